//! Taking back what a node may say.

use std::collections::BTreeSet;

use sedge_fleet::FleetView;
use sedge_statement::{Certificate, Kept, NodeId, Revocation, Role, Timestamp};

use crate::api::{ApiError, RevokeRequest, Revoked};
use crate::core::{Core, now};
use crate::queries::member;

/// The word for: it rightly enrolled nobody.
const NOBODY: &str = "none";

impl Core {
    /// Signs a revocation, or the one that another root proposed for the same node, and publishes it.
    pub(crate) async fn revoke(&self, request: RevokeRequest) -> Result<Revoked, ApiError> {
        let _turn = self.authoring.lock().await;
        let view = self.view();
        let is_root = view.roots.keys.contains(&self.me());
        if !is_root {
            self.authority(&view, Role::Enroll)?;
        }
        let subject = member(&view, &request.node)?;
        let name = view.members[&subject].name.clone();
        if view.roots.keys.contains(&subject) {
            return Err(ApiError::refused(
                format!("{name} is a root, and leaves by a new version of the roots"),
                "`sedge mesh rotate --remove NODE` proposes one; it needs as many roots as `sedge mesh show` says.",
            ));
        }
        if subject == self.me() {
            return Err(ApiError::refused("a node does not revoke itself", "Do it on the node that enrolled it."));
        }
        if request.reason.len() > Revocation::MAX_REASON {
            let message = format!("the reason has {} bytes, above {}", request.reason.len(), Revocation::MAX_REASON);
            return Err(ApiError::usage(message, "Shorten it."));
        }
        // What other roots sign must be the very same, so what was proposed comes before what is asked for here.
        let proposed = view.pending_revocations.iter().find(|(r, by)| r.subject == subject && !by.contains(&self.me()));
        let revocation = match proposed.filter(|_| is_root) {
            Some((revocation, _)) => revocation.clone(),
            None => {
                let kept = self.kept(&view, subject, &request).await?;
                Revocation { subject, kept, reason: request.reason, at: now() }
            }
        };
        self.say(&view, &revocation).await?;
        let view = self.view();
        let counts = view.revoked.contains_key(&subject);
        let signed = view.pending_revocations.iter().find(|(pending, _)| *pending == revocation);
        let signed = signed.map_or(usize::from(counts), |(_, by)| by.len());
        if !counts && signed == 0 {
            return Err(ApiError::refused(
                format!("this node stands in no line above {name}, so its revocation does not count"),
                "Do it on the node that enrolled it, on one above, or on as many roots as `sedge mesh show` says.",
            ));
        }
        Ok(Revoked {
            node: subject,
            name: Some(name),
            counts,
            signed,
            needed: usize::from(view.roots.threshold),
            certificates_kept: revocation.kept.certificates,
        })
    }

    async fn kept(&self, view: &FleetView, node: NodeId, request: &RevokeRequest) -> Result<Kept, ApiError> {
        let mut kept = self.kept_until(node, request.good_until).await?;
        if let Some(last) = &request.last_enrolled {
            kept.certificates = last_enrolled(view, node, last)?;
        }
        Ok(kept)
    }

    /// What is known of a node up to a time; all that is, where none is given.
    pub(super) async fn kept_until(&self, node: NodeId, until: Option<Timestamp>) -> Result<Kept, ApiError> {
        let until = until.unwrap_or(Timestamp::from_millis(u64::MAX));
        self.mesh.kept_of(node, until).await.ok_or_else(|| ApiError::failed("the agent is stopping", "Start it again."))
    }
}

/// The serial of the last certificate that an enroller rightly issued.
fn last_enrolled(view: &FleetView, enroller: NodeId, last: &str) -> Result<u64, ApiError> {
    if last == NOBODY {
        return Ok(0);
    }
    let enrolled: Vec<&Certificate> = view.certificates.iter().filter(|c| c.issuer == enroller).collect();
    let of_name = enrolled.iter().filter(|c| c.name.as_str() == last).map(|c| c.serial).max();
    of_name.ok_or_else(|| {
        let names: BTreeSet<&str> = enrolled.iter().map(|c| c.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let shown = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        let remedy = format!("It enrolled {shown}; or give `{NOBODY}` to void every certificate that it issued.");
        ApiError::usage(format!("{last} was not enrolled by that node"), &remedy)
    })
}
