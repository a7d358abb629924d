//! Taking back what a node may say.

use std::collections::BTreeSet;

use sedge_fleet::{FleetView, Remnant};
use sedge_statement::{Certificate, NodeId, Revocation, Role, Timestamp};

use super::named;
use crate::api::{ApiError, KeptShown, RevokeRequest, Revoked};
use crate::core::{Core, now};
use crate::queries::{by_prefix, member};

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
        let subject = self.revocable(&view, &request)?;
        let name = named(&view, subject).name;
        let called = name.as_ref().map_or_else(|| subject.short(), ToString::to_string);
        let (revocation, rolls) = match self.proposed(&view, subject, &request)? {
            // What other roots sign must be the very same.
            Some(proposed) => (proposed.clone(), Vec::new()),
            None => {
                let Remnant { kept, rolls } = self.kept(&view, subject, &request).await?;
                let before = view.revoked.get(&subject).map(|node| &node.kept);
                if before.is_some_and(|before| before.and(&kept) == *before) {
                    return Err(ApiError::refused(
                        format!("{called} is revoked, and no more would be taken back"),
                        "Keep less of what it said: --good-until a time, or --last-enrolled NODE.",
                    ));
                }
                (Revocation { subject, kept, reason: request.reason, at: now() }, rolls)
            }
        };
        self.say(&view, &revocation).await?;
        self.say_all(&view, &rolls).await?;
        let view = self.view();
        let kept = view.revoked.get(&subject).map(|node| &node.kept);
        let counts = kept.is_some_and(|kept| kept.and(&revocation.kept) == *kept);
        let signed = view.pending_revocations.iter().find(|(pending, _)| *pending == revocation);
        let signed = signed.map_or(usize::from(counts), |(_, by)| by.len());
        if !counts && signed == 0 {
            return Err(ApiError::refused(
                format!("this node stands in no line above {called}, so its revocation does not count"),
                "Do it on the node that enrolled it, on one above, or on as many roots as `sedge mesh show` says.",
            ));
        }
        Ok(Revoked {
            node: subject,
            name,
            counts,
            signed,
            needed: usize::from(view.roots.threshold),
            certificates_kept: revocation.kept.certificates.last,
            id: revocation.id(),
        })
    }

    /// Whom a request is about, where it can be revoked.
    fn revocable(&self, view: &FleetView, request: &RevokeRequest) -> Result<NodeId, ApiError> {
        let subject = known(view, &request.node)?;
        if view.roots.keys.contains(&subject) {
            return Err(ApiError::refused(
                format!("{} is a root, and leaves by a new version of the roots", request.node),
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
        Ok(subject)
    }

    /// The revocation of a node that another root proposed and this one is to sign: the one that the request names, or the only one, where it does not
    /// say itself what is kept.
    fn proposed<'v>(
        &self,
        view: &'v FleetView,
        subject: NodeId,
        request: &RevokeRequest,
    ) -> Result<Option<&'v Revocation>, ApiError> {
        let is_root = view.roots.keys.contains(&self.me());
        let waits = |(r, by): &&(Revocation, BTreeSet<NodeId>)| r.subject == subject && !by.contains(&self.me());
        let open: Vec<&Revocation> =
            view.pending_revocations.iter().filter(|_| is_root).filter(waits).map(|(r, _)| r).collect();
        if let Some(text) = &request.proposed {
            let ids = open.iter().map(|revocation| revocation.id());
            let id = by_prefix("revocation that waits for this node", text, ids, "sedge mesh show")?;
            return Ok(open.into_iter().find(|revocation| revocation.id() == id));
        }
        if request.good_until.is_some() || request.last_enrolled.is_some() {
            return Ok(None);
        }
        match open.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            several => {
                let each = several.iter().map(|r| format!("{} {}", r.id().short(), KeptShown::from(&r.kept)));
                let each: Vec<String> = each.collect();
                Err(ApiError::refused(
                    format!("{} revocations of it wait: {}", several.len(), each.join("; ")),
                    "Name the one to sign with --proposed ID, by the first digits of its id.",
                ))
            }
        }
    }

    async fn kept(&self, view: &FleetView, node: NodeId, request: &RevokeRequest) -> Result<Remnant, ApiError> {
        let last = match &request.last_enrolled {
            Some(last) => Some(last_enrolled(view, node, last)?),
            None => None,
        };
        self.kept_until(node, request.good_until, last).await
    }

    /// What is known of a node up to a time and a serial; all that is, where none is given.
    pub(super) async fn kept_until(
        &self,
        node: NodeId,
        until: Option<Timestamp>,
        last: Option<u64>,
    ) -> Result<Remnant, ApiError> {
        let until = until.unwrap_or(Timestamp::from_millis(u64::MAX));
        let kept = self.mesh.kept_of(node, until, last).await;
        let kept = kept.ok_or_else(|| ApiError::failed("the agent is stopping", "Start it again."))?;
        kept.map_err(|error| {
            ApiError::refused(error, "Keep less of what it said: --good-until a time, or --last-enrolled NODE.")
        })
    }
}

/// The node that `text` names: a member, one that is revoked already, or any other that holds a certificate.
fn known(view: &FleetView, text: &str) -> Result<NodeId, ApiError> {
    let revoked = view.revoked.iter().filter(|(_, node)| node.name.as_ref().is_some_and(|name| name.as_str() == text));
    let revoked: Vec<NodeId> = revoked.map(|(id, _)| *id).collect();
    match member(view, text) {
        Err(_) if revoked.len() == 1 => Ok(revoked[0]),
        Err(_) if revoked.is_empty() => {
            let all = view.certificates.iter().map(|certificate| certificate.subject);
            let all: BTreeSet<NodeId> = all.chain(view.revoked.keys().copied()).collect();
            by_prefix("node", text, all.into_iter(), "sedge mesh show` and `sedge node list")
        }
        found => found,
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
