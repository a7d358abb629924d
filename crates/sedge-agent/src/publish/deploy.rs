//! Publishing deployments and controls.

use std::collections::BTreeSet;

use sedge_fleet::{Edit, FleetView};
use sedge_statement::{
    Canaries, Certificate, Control, ControlAction, Deployment, DeploymentDraft, DocKind, ReleaseId, Role, Selector,
    Timestamp, WaveSize,
};
use uuid::Uuid;

use super::{next_generation, other_holders};
use crate::api::{ApiError, DeployRequest, Deployed, Rollout};
use crate::core::{Core, now};
use crate::queries::{find_release, member};

impl Core {
    /// Publishes a deployment, and waits until this node has planned by it.
    pub(crate) async fn deploy(&self, request: DeployRequest) -> Result<Deployed, ApiError> {
        self.deploy_as(request, None).await
    }

    /// The same under the id of a command, which is one deployment however often it is given.
    pub(crate) async fn deploy_as(&self, request: DeployRequest, command: Option<Uuid>) -> Result<Deployed, ApiError> {
        let _turn = self.authoring.lock().await;
        let view = self.view();
        if let Some(before) = command.and_then(|id| view.deployments.values().find(|d| d.deployment.command == id)) {
            self.authority(&view, Role::Deploy)?;
            let release = find_release(&view, &request.model)?;
            return self.deployed_before(&view, &before.deployment, release, &request.draft);
        }
        let deployment = self.drafted(&view, request, command.unwrap_or_else(Uuid::new_v4), now())?;
        let (rollout, release, slot) = (deployment.id(), deployment.release, deployment.slot.clone());
        let named = view.members.values().filter(|c| is_named(c, &deployment.selector));
        let nodes = named.count();
        self.write(DocKind::Authority, vec![Edit::PutDeployment(deployment)]).await?;
        self.settle(self.planned.clone(), |planned| planned.plan.rollouts.contains_key(&rollout)).await?;
        let manifest = &view.releases[&release].release.manifest;
        let replicated = other_holders(&view, manifest, self.me()) > 0;
        Ok(Deployed { rollout, slot, release, nodes, replicated })
    }

    /// Whether a command could be deployed now; publishes nothing.
    pub(crate) fn may_deploy_as(
        &self,
        view: &FleetView,
        request: DeployRequest,
        command: Uuid,
    ) -> Result<(), ApiError> {
        match view.deployments.values().find(|d| d.deployment.command == command) {
            Some(before) => {
                let release = find_release(view, &request.model)?;
                self.deployed_before(view, &before.deployment, release, &request.draft).map(drop)
            }
            None => self.drafted(view, request, command, now()).map(drop),
        }
    }

    /// The deployment that a request comes to at a time: what is published, and what is shown before.
    pub(super) fn drafted(
        &self,
        view: &FleetView,
        request: DeployRequest,
        command: Uuid,
        now: Timestamp,
    ) -> Result<Deployment, ApiError> {
        let certificate = self.authority(view, Role::Deploy)?;
        let release = self.or_draft(&request.model, find_release(view, &request.model))?;
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
        if !view.members.values().any(|c| is_named(c, &draft.selector)) {
            return Err(ApiError::usage(
                format!("the selector {} matches no device", draft.selector),
                "`sedge node list` shows names, cells, labels and roles; nothing was published.",
            ));
        }
        let mut waves = named(view, &request.canaries, &draft.selector)?;
        waves.extend(draft.waves);
        if waves.len() > WaveSize::MAX {
            return Err(ApiError::usage(
                format!("{} waves are asked for, and {} are the most", waves.len(), WaveSize::MAX),
                "Take larger waves; nothing was published.",
            ));
        }
        WaveSize::check(&waves)
            .map_err(|error| ApiError::usage(error, "Write shares that grow, as 1,25%,100%; nothing was published."))?;
        let of_slot = view.deployments.values().filter(|d| d.deployment.slot == draft.slot);
        Ok(Deployment {
            command,
            release,
            slot: draft.slot.clone(),
            selector: draft.selector,
            frontier: view.frontier.clone(),
            generation: next_generation(view, of_slot.map(|d| d.deployment.generation)),
            action: draft.action,
            downgrade: draft.downgrade,
            priority: draft.priority,
            waves,
            gate: draft.gate,
            probation: draft.probation,
            deadline: now.plus(draft.deadline_in),
            start_by: draft.start_within.map(|within| now.plus(within)),
            created_at: now,
        })
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

/// Whether a selector means a member: as the planner has it, devices only.
fn is_named(certificate: &Certificate, selector: &Selector) -> bool {
    certificate.may(Role::Device) && selector.matches(certificate)
}

/// The wave of the nodes that an operator named; none where nobody was.
fn named(view: &FleetView, canaries: &[String], selector: &Selector) -> Result<Vec<WaveSize>, ApiError> {
    const REMEDY: &str = "`sedge node list` shows names, cells, labels and roles; nothing was published.";
    let mut nodes = BTreeSet::new();
    for canary in canaries {
        let node =
            member(view, canary).map_err(|error| ApiError::usage(format!("canary {canary}: {error}"), REMEDY))?;
        let certificate = view.members.get(&node);
        if !certificate.is_some_and(|certificate| is_named(certificate, selector)) {
            return Err(ApiError::usage(format!("canary {canary} is not a device that {selector} names"), REMEDY));
        }
        if !nodes.insert(node) {
            return Err(ApiError::usage(format!("canary {canary} is named twice"), "Name each canary once."));
        }
    }
    if nodes.is_empty() {
        return Ok(Vec::new());
    }
    let canaries = Canaries::try_from(nodes).map_err(|error| ApiError::usage(error, "Name fewer canaries."))?;
    Ok(vec![WaveSize::Named(canaries)])
}
