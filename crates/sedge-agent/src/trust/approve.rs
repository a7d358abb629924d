//! Agreeing to what another authority wants.

use sedge_fleet::Edit;
use sedge_statement::{Approval, Approved, DocKind, Role};

use crate::api::{ApiError, Rollout};
use crate::core::{Core, now};

impl Core {
    /// Agrees to a rollout's deployment, and to its release, as far as this node's certificate lets it.
    pub(crate) async fn approve(&self, rollout: &str) -> Result<Rollout, ApiError> {
        let _turn = self.authoring.lock().await;
        let view = self.view();
        let id = self.find_rollout(rollout)?;
        let published = view.deployments.get(&id).ok_or_else(|| {
            ApiError::failed(
                "the rollout is not in this node's view any more",
                "`sedge rollout list` shows those there are.",
            )
        })?;
        let cell = published.deployment.selector.widest_cell();
        let own = view.members.get(&self.me());
        let may = |role: Role| own.is_some_and(|c| c.may(role) && c.cell.covers(&cell));
        let of = |role: Role, what: Approved, given: bool| (may(role) && !given).then_some(what);
        let release = published.deployment.release;
        let agreed =
            (published.agreement.given.contains(&self.me()), published.release_agreement.given.contains(&self.me()));
        let given: Vec<Approved> = [
            of(Role::Deploy, Approved::Rollout(id), agreed.0),
            of(Role::Release, Approved::Release(release), agreed.1 || !view.releases.contains_key(&release)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if given.is_empty() {
            return Err(match agreed {
                (true, _) | (_, true) => ApiError::refused(
                    "this node agrees to it already",
                    "Another authority must approve it; `sedge rollout show` says how many agree.",
                ),
                _ => ApiError::refused(
                    format!("this node's certificate does not let it agree to anything for cell {cell}"),
                    "Approve it on a node with the role `deploy` or `release` there; `sedge node list` shows who has it.",
                ),
            });
        }
        let edits = given.iter().map(|of| Edit::PutApproval(Approval { of: *of, at: now() })).collect();
        self.write(DocKind::Authority, edits).await?;
        let me = self.me();
        self.settle(self.planned.clone(), |planned| {
            planned.view.deployments.get(&id).is_some_and(|d| {
                given.iter().all(|of| match of {
                    Approved::Rollout(_) => d.agreement.given.contains(&me),
                    Approved::Release(_) => d.release_agreement.given.contains(&me),
                })
            })
        })
        .await?;
        self.rollout(&id.to_string(), None).await
    }
}
