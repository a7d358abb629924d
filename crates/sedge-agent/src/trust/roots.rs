//! Who the roots are: shown, proposed, signed; and the certificate that a new root gives itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sedge_fleet::{FleetView, Proposal, Roots};
use sedge_statement::{Certificate, NodeId, Role, RootVersion, RootVersionError, RootsId};

use super::named;
use crate::api::{
    ApiError, KeptShown, LeavingRoot, MeshShown, PendingRevocation, ProposedRoots, RootsShown, RotateRequest,
};
use crate::core::{Core, now};
use crate::queries::{by_prefix, member, name_of};

impl Core {
    /// The mesh as this node knows it.
    pub(crate) fn mesh_shown(&self) -> MeshShown {
        let view = self.view();
        let proposed = view.proposed.iter().map(|proposal| shown_proposal(&view, proposal)).collect();
        let pending = view.pending_revocations.iter().map(|(revocation, by)| PendingRevocation {
            node: named(&view, revocation.subject),
            reason: revocation.reason.clone(),
            id: revocation.id(),
            kept: KeptShown::from(&revocation.kept),
            signed_by: by.iter().map(|root| named(&view, *root)).collect(),
            lacks: usize::from(view.roots.threshold).saturating_sub(by.len()),
        });
        MeshShown {
            id: view.mesh,
            name: view.genesis.name.clone(),
            members: view.members.len(),
            roots: shown(&view, &view.roots),
            proposed,
            revoked: view.revoked.keys().map(|node| named(&view, *node)).collect(),
            pending_revocations: pending.collect(),
            verified_time: view.verified,
        }
    }

    /// Proposes the next version of the roots, and signs it.
    pub(crate) async fn rotate(&self, request: RotateRequest) -> Result<MeshShown, ApiError> {
        let _turn = self.authoring.lock().await;
        let view = self.view();
        self.is_root(&view)?;
        let mut roots = view.roots.keys.clone();
        for text in &request.add {
            let node = member(&view, text)?;
            if !roots.insert(node) {
                return Err(ApiError::usage(format!("{text} is a root already"), "`sedge mesh show` lists the roots."));
            }
        }
        let (mut leaving, mut rolls) = (BTreeMap::new(), Vec::new());
        for text in &request.remove {
            let node = root(&view, text)?;
            roots.remove(&node);
            let remnant = self.kept_until(node, request.good_until, None).await?;
            leaving.insert(node, remnant.kept);
            rolls.extend(remnant.rolls);
        }
        let least = u8::try_from(roots.len() / 2 + 1).unwrap_or(u8::MAX);
        let unchanged = roots == view.roots.keys;
        let threshold = request.threshold.unwrap_or(if unchanged { view.roots.threshold } else { least });
        let mut approvals = view.roots.approvals;
        approvals.release = request.release_approvals.unwrap_or(approvals.release);
        approvals.deploy = request.deploy_approvals.unwrap_or(approvals.deploy);
        if unchanged && (threshold, approvals) == (view.roots.threshold, view.roots.approvals) {
            return Err(ApiError::usage(
                "nothing would change",
                "Name who becomes a root with --add or leaves with --remove, or give --threshold, --release-approvals or --deploy-approvals.",
            ));
        }
        let version = RootVersion {
            version: view.roots.version.saturating_add(1),
            previous: view.roots.id,
            roots,
            threshold,
            approvals,
            leaving,
            at: now(),
        };
        version.check().map_err(|error| {
            let remedy = match error {
                RootVersionError::KeepsTooMuch => {
                    "Remove fewer at once, or keep less of them with --good-until; nothing was published.".to_owned()
                }
                _ => format!("At least {least} of {} roots must agree; nothing was published.", version.roots.len()),
            };
            ApiError::usage(error, &remedy)
        })?;
        self.say(&view, &version).await?;
        self.say_all(&view, &rolls).await?;
        self.take_office().await?;
        Ok(self.mesh_shown())
    }

    /// Signs a version of the roots that was proposed: the one of that id, or the only one.
    pub(crate) async fn sign_roots(&self, id: Option<String>) -> Result<MeshShown, ApiError> {
        let _turn = self.authoring.lock().await;
        let view = self.view();
        let me = self.me();
        let mine = |p: &&Proposal| view.roots.keys.contains(&me) || p.version.roots.contains(&me);
        let open: Vec<&Proposal> = view.proposed.iter().filter(mine).filter(|p| !p.signers.contains(&me)).collect();
        let version = match (id, open.as_slice()) {
            (Some(text), _) => {
                let ids = open.iter().map(|proposal| proposal.version.id());
                let id = by_prefix("version of the roots that waits for this node", &text, ids, "sedge mesh show")?;
                open.iter().map(|proposal| &proposal.version).find(|version| version.id() == id)
            }
            (None, [one]) => Some(&one.version),
            (None, _) => None,
        };
        match (version, open.as_slice()) {
            (Some(version), _) => {
                self.say(&view, version).await?;
                self.take_office().await?;
                Ok(self.mesh_shown())
            }
            (None, []) => Err(ApiError::refused(
                "no version of the roots waits for this node's signature",
                "`sedge mesh show` lists what was proposed, and who signed it.",
            )),
            (None, several) => {
                let each = several.iter().map(|proposal| told(&view, &proposal.version));
                Err(ApiError::refused(
                    format!("{} versions of the roots wait: {}", several.len(), each.collect::<Vec<_>>().join("; ")),
                    "Name the one to sign: `sedge mesh approve ID`, by the first digits of its id.",
                ))
            }
        }
    }

    fn is_root(&self, view: &FleetView) -> Result<(), ApiError> {
        if view.roots.keys.contains(&self.me()) {
            return Ok(());
        }
        Err(ApiError::refused("this node is no root", "Do it on a root; `sedge mesh show` lists them."))
    }

    /// Gives this node a root's certificate, once it is one; tells under which version of the roots, where it did.
    async fn take_office(&self) -> Result<Option<RootsId>, ApiError> {
        let view = self.view();
        let own = view.members.get(&self.me()).filter(|_| view.roots.keys.contains(&self.me()));
        let Some(own) = own.filter(|certificate| !certificate.may(Role::Root)) else { return Ok(None) };
        let mut roles = own.roles.clone();
        roles.extend([Role::Root, Role::Enroll, Role::Release, Role::Deploy, Role::Observe]);
        let cell = sedge_statement::CellPath::root();
        let revision = own.revision.saturating_add(1);
        let certificate = Certificate { roles, cell, revision, not_after: None, ..own.clone() };
        self.issue(&view, certificate).await?;
        Ok(Some(view.roots.id))
    }
}

/// Gives this node a root's certificate as soon as it is one: the last signature may come from elsewhere. Once for each version of the roots: what a
/// root gives itself counts, whatever other roots certify.
pub(crate) async fn hold_office(core: Arc<Core>) {
    let mut views = core.mesh.view();
    let mut tried = None;
    loop {
        let version = core.view().roots.id;
        if tried != Some(version) {
            let _turn = core.authoring.lock().await;
            match core.take_office().await {
                Ok(taken) => tried = taken.or(tried),
                Err(error) => {
                    tracing::error!(%error, "this root cannot give itself a root's certificate");
                    tried = Some(version);
                }
            }
        }
        tokio::select! {
            () = core.stop.cancelled() => return,
            changed = views.changed() => if changed.is_err() { return },
        }
    }
}

/// The root that `text` names, member or not.
fn root(view: &FleetView, text: &str) -> Result<NodeId, ApiError> {
    let by_id: BTreeSet<NodeId> =
        view.roots.keys.iter().copied().filter(|root| root.to_string().starts_with(text) && text.len() >= 6).collect();
    let found = match member(view, text) {
        Ok(node) => Some(node),
        Err(_) => by_id.first().copied().filter(|_| by_id.len() == 1),
    };
    found.filter(|node| view.roots.keys.contains(node)).ok_or_else(|| {
        ApiError::usage(format!("{text} is no root"), "`sedge mesh show` lists the roots; nothing was published.")
    })
}

fn shown(view: &FleetView, roots: &Roots) -> RootsShown {
    RootsShown {
        version: roots.version,
        id: roots.id,
        keys: roots.keys.iter().map(|root| named(view, *root)).collect(),
        threshold: roots.threshold,
        release_approvals: roots.approvals.release,
        deploy_approvals: roots.approvals.deploy,
        since: roots.since,
    }
}

/// A version of the roots on a line: its id, who they are, and what it keeps of those who leave.
fn told(view: &FleetView, version: &RootVersion) -> String {
    let name = |root: &NodeId| name_of(view, *root).to_string();
    let roots: Vec<String> = version.roots.iter().map(name).collect();
    let leaving =
        version.leaving.iter().map(|(root, kept)| format!(", without {}, {}", name(root), KeptShown::from(kept)));
    format!("{} ({} of {}{})", version.id().short(), version.threshold, roots.join(", "), leaving.collect::<String>())
}

fn shown_proposal(view: &FleetView, Proposal { version, signers }: &Proposal) -> ProposedRoots {
    let lacks = |keys: &BTreeSet<NodeId>, threshold: u8| {
        usize::from(threshold).saturating_sub(keys.intersection(signers).count())
    };
    let roots = Roots {
        version: version.version,
        id: version.id(),
        keys: version.roots.clone(),
        threshold: version.threshold,
        approvals: version.approvals,
        since: version.at,
    };
    ProposedRoots {
        roots: shown(view, &roots),
        leaving: version
            .leaving
            .iter()
            .map(|(root, kept)| LeavingRoot { node: named(view, *root), kept: KeptShown::from(kept) })
            .collect(),
        signed_by: signers.iter().map(|root| named(view, *root)).collect(),
        lacks_old: lacks(&view.roots.keys, view.roots.threshold),
        lacks_new: lacks(&version.roots, version.threshold),
    }
}
