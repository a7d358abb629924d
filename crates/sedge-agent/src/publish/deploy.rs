//! Publishing deployments and controls.

use sedge_fleet::{Edit, FleetView};
use sedge_statement::{Control, ControlAction, Deployment, DeploymentDraft, DocKind, ReleaseId, Role};
use uuid::Uuid;

use super::{next_generation, other_holders};
use crate::api::{ApiError, DeployRequest, Deployed, Rollout};
use crate::core::{Core, now};
use crate::queries::find_release;

impl Core {
    /// Publishes a deployment, and waits until this node has planned by it.
    pub(crate) async fn deploy(&self, request: DeployRequest) -> Result<Deployed, ApiError> {
        self.deploy_as(request, None).await
    }

    /// The same under the id of a command, which is one deployment however often it is given.
    pub(crate) async fn deploy_as(&self, request: DeployRequest, command: Option<Uuid>) -> Result<Deployed, ApiError> {
        let _turn = self.authoring.lock().await;
        let view = self.view();
        let certificate = self.authority(&view, Role::Deploy)?;
        let release = self.or_draft(&request.model, find_release(&view, &request.model))?;
        if let Some(before) = command.and_then(|id| view.deployments.values().find(|d| d.deployment.command == id)) {
            return self.deployed_before(&view, &before.deployment, release, &request.draft);
        }
        let draft = request.draft;
        let cell = draft.selector.widest_cell();
        if !certificate.cell.covers(&cell) {
            return Err(ApiError::refused(
                format!("this node may deploy to cell {} and below, not to {cell}", certificate.cell),
                "Narrow the selector with cell=…, or deploy from a node whose cell covers it.",
            ));
        }
        let publisher = view.members.get(&view.releases[&release].publisher);
        if !publisher.is_some_and(|publisher| publisher.cell.covers(&cell)) {
            return Err(ApiError::refused(
                format!("{} was published for a narrower cell than {cell}", request.model),
                "Narrow the selector with cell=…, or publish the model from a node whose cell covers it.",
            ));
        }
        let named = view.members.values().filter(|c| draft.selector.matches(c));
        let nodes = named.filter(|c| c.may(Role::Device)).count();
        if nodes == 0 {
            return Err(ApiError::usage(
                format!("the selector {} matches no device", draft.selector),
                "`sedge node list` shows names, cells, labels and roles; nothing was published.",
            ));
        }
        let now = now();
        let of_slot = view.deployments.values().filter(|d| d.deployment.slot == draft.slot);
        let deployment = Deployment {
            command: command.unwrap_or_else(Uuid::new_v4),
            release,
            slot: draft.slot.clone(),
            selector: draft.selector,
            frontier: view.frontier.clone(),
            generation: next_generation(of_slot.map(|d| d.deployment.generation)),
            action: draft.action,
            downgrade: draft.downgrade,
            priority: draft.priority,
            waves: draft.waves,
            gate: draft.gate,
            probation: draft.probation,
            deadline: now.plus(draft.deadline_in),
            start_by: draft.start_within.map(|within| now.plus(within)),
            created_at: now,
        };
        let rollout = deployment.id();
        self.write(DocKind::Authority, vec![Edit::PutDeployment(deployment)]).await?;
        self.settle(self.planned.clone(), |planned| planned.plan.rollouts.contains_key(&rollout)).await?;
        let manifest = &view.releases[&release].release.manifest;
        let replicated = other_holders(&view, manifest, self.me()) > 0;
        Ok(Deployed { rollout, slot: draft.slot, release, nodes, replicated })
    }

    /// What a command was deployed as, where it was this.
    fn deployed_before(
        &self,
        view: &FleetView,
        before: &Deployment,
        release: ReleaseId,
        draft: &DeploymentDraft,
    ) -> Result<Deployed, ApiError> {
        let was = (before.release, &before.slot, &before.selector, before.action, before.priority);
        if was != (release, &draft.slot, &draft.selector, draft.action, draft.priority) {
            return Err(ApiError::refused(
                format!("the command {} was deployed already, as something else", before.command),
                "A command never changes; give the new one an id of its own.",
            ));
        }
        let named = view.members.values().filter(|c| before.selector.matches(c));
        let nodes = named.filter(|c| c.may(Role::Device)).count();
        let replicated = other_holders(view, &view.releases[&release].release.manifest, self.me()) > 0;
        Ok(Deployed { rollout: before.id(), slot: before.slot.clone(), release, nodes, replicated })
    }

    /// Publishes a control of a rollout, and waits until this node has planned by it.
    pub(crate) async fn control(
        &self,
        rollout: &str,
        action: ControlAction,
        reason: String,
    ) -> Result<Rollout, ApiError> {
        let _turn = self.authoring.lock().await;
        let view = self.view();
        let certificate = self.authority(&view, Role::Deploy)?;
        let id = self.find_rollout(rollout)?;
        let published = view.deployments.get(&id).ok_or_else(|| {
            ApiError::failed(
                "the rollout is not in this node's view any more",
                "`sedge rollout list` shows those there are.",
            )
        })?;
        if !certificate.cell.covers(&published.deployment.selector.widest_cell()) {
            return Err(ApiError::refused(
                "this node may not steer rollouts beyond its own cell",
                "Do it on a node whose cell covers the rollout's.",
            ));
        }
        if reason.len() > Control::MAX_REASON {
            let message = format!("the reason has {} bytes, above {}", reason.len(), Control::MAX_REASON);
            return Err(ApiError::usage(message, "Shorten it."));
        }
        let count = published.controls.saturating_add(1);
        let control = Control { rollout: id, action, count, reason, at: now() };
        self.write(DocKind::Authority, vec![Edit::PutControl(control)]).await?;
        self.settle(self.planned.clone(), |planned| {
            planned.view.deployments.get(&id).is_some_and(|d| d.controls >= count)
        })
        .await?;
        self.rollout(&id.to_string(), None).await
    }
}
