//! Importing documents: read all, judge all, then keep and deploy.

use std::collections::{BTreeMap, BTreeSet};

use sedge_fleet::FleetView;
use sedge_statement::peat::{Peat, PeatCommand, PeatManifest, PeatTarget};
use sedge_statement::{CellPattern, DeploymentDraft, NodeName, ReleaseId, Role, Selector, SlotName, Term};
use serde_json::Value;
use uuid::Uuid;

use super::{add_its_file, joined, record, reference};
use crate::api::{
    ApiError, DeployRequest, Deployed, ImportFile, ImportRequest, Imported, ImportedCommand, ImportedModel,
};
use crate::core::{Core, now};
use crate::queries::{find_release, name_of};

/// The most documents of one request.
const MAX_FILES: usize = 256;
/// The most drafts of a node: they are read whole for every list.
const MAX_DRAFTS: usize = 1024;

/// A document that was judged and can be imported.
struct Judged {
    file: String,
    manifest: PeatManifest,
    model: ImportedModel,
    release: Option<ReleaseId>,
    command: Option<Wish>,
}

/// A command and the deployment that it means.
struct Wish {
    command: PeatCommand,
    draft: DeploymentDraft,
}

impl Core {
    /// Imports documents: none of them where one is refused.
    pub(crate) async fn import(&self, request: ImportRequest) -> Result<Vec<Imported>, ApiError> {
        let judged = self.judge(&self.view(), &request)?;
        let drafts = judged.iter().filter(|j| matches!(j.model, ImportedModel::Draft | ImportedModel::Replaced));
        let drafts: Vec<_> = drafts.map(|j| record::draft(&j.manifest, now())).collect();
        let mut imported = Vec::new();
        for judged in judged {
            imported.push(self.carry_out(judged, request.deploy).await?);
        }
        // Last: a deployment that is refused leaves no draft behind.
        self.store.put_all(drafts)?;
        self.drop_released()?;
        Ok(imported)
    }

    /// The document that a draft, a release, or a deployed command is to Peat.
    pub(crate) fn peat_of(&self, text: &str) -> Result<Value, ApiError> {
        if let Ok(id) = Uuid::try_parse(text)
            && let Some(command) = record::deployed(&self.store, id)?
        {
            return Ok(command.to_json());
        }
        let view = self.view();
        let id = match find_release(&view, text) {
            Ok(id) => id,
            Err(error) => return self.draft_record(text).map(|r| r.manifest.to_json()).map_err(|_| error),
        };
        let manifest = PeatManifest::of_release(&view.releases[&id].release).map_err(|error| {
            ApiError::refused(
                format!("{text} cannot be said as Peat does: {error}"),
                "Peat has no word for it, or the release's metadata was not written by an import.",
            )
        })?;
        Ok(manifest.to_json())
    }

    fn judge(&self, view: &FleetView, request: &ImportRequest) -> Result<Vec<Judged>, ApiError> {
        if request.files.is_empty() || request.files.len() > MAX_FILES {
            let message =
                format!("{} documents are given; 1 to {MAX_FILES} can be imported at once", request.files.len());
            return Err(ApiError::usage(message, "Import them in several steps."));
        }
        let mut seen: BTreeMap<String, PeatManifest> = BTreeMap::new();
        let mut judged = Vec::new();
        for file in &request.files {
            let one = self.judge_one(view, file, request)?;
            let before = seen.insert(reference(&one.manifest), one.manifest.clone());
            if before.is_some_and(|before| before != one.manifest) {
                let message =
                    format!("{}: {} stands in two documents that differ", file.name, reference(&one.manifest));
                return Err(ApiError::refused(message, "Give the one that is meant; nothing was imported."));
            }
            judged.push(one);
        }
        if request.deploy && judged.iter().all(|one| one.command.is_none()) {
            let remedy = "Give an update command, or leave --deploy out; nothing was imported.";
            return Err(ApiError::usage("none of the documents is a command that could be deployed", remedy));
        }
        if request.deploy {
            self.may_deploy(view, &judged)?;
        }
        let kept = self.draft_records()?.len();
        let new = judged.iter().filter(|one| matches!(one.model, ImportedModel::Draft)).count();
        if new > 0 && kept.saturating_add(new) > MAX_DRAFTS {
            let message = format!("this node keeps {kept} drafts, and {MAX_DRAFTS} are the most");
            return Err(ApiError::refused(message, "Drop some with `sedge model forget`."));
        }
        Ok(judged)
    }

    /// Refuses what publishing would refuse, before the first command is published.
    fn may_deploy(&self, view: &FleetView, judged: &[Judged]) -> Result<(), ApiError> {
        let mut seen: BTreeMap<Uuid, &PeatCommand> = BTreeMap::new();
        for one in judged {
            let (Some(wish), Some(release)) = (&one.command, one.release) else { continue };
            let id = wish.command.id();
            if seen.insert(id, &wish.command).is_some_and(|before| *before != wish.command) {
                return Err(ApiError::refused(
                    format!("{}: the command {id} stands in two documents that differ", one.file),
                    "Give the one that is meant; nothing was imported.",
                ));
            }
            self.may_deploy_as(view, deploy_request(release, wish.draft.clone()), id)?;
        }
        Ok(())
    }

    fn judge_one(&self, view: &FleetView, file: &ImportFile, request: &ImportRequest) -> Result<Judged, ApiError> {
        let peat = Peat::read(&file.text).map_err(|error| {
            ApiError::refused(format!("{}: {error}", file.name), "Correct the document there; nothing was imported.")
        })?;
        let (manifest, command) = match peat {
            Peat::Manifest(manifest) => (*manifest, None),
            Peat::Command(command) => (command.manifest().clone(), Some(*command)),
        };
        let release = find_release(view, &reference(&manifest)).ok();
        let model = match release {
            Some(id) => {
                agrees(view, id, &manifest, file)?;
                ImportedModel::Released
            }
            None if command.is_some() && request.deploy => return Err(not_released(&manifest, file)),
            None => match record::like(&self.store, &manifest)? {
                None => ImportedModel::Draft,
                Some(before) if before == manifest => ImportedModel::Same,
                Some(_) => ImportedModel::Replaced,
            },
        };
        let command = command.map(|command| self.wish(view, command, file, request)).transpose()?;
        Ok(Judged { file: file.name.clone(), manifest, model, release, command })
    }

    fn wish(
        &self,
        view: &FleetView,
        command: PeatCommand,
        file: &ImportFile,
        request: &ImportRequest,
    ) -> Result<Wish, ApiError> {
        if request.deploy {
            self.authority(view, Role::Deploy)?;
        }
        let mut names: BTreeSet<NodeName> = BTreeSet::new();
        for (index, target) in command.targets().iter().enumerate() {
            names.insert(resolve(view, target).ok_or_else(|| {
                let at = command.target_path(index);
                let message = format!("{}: {at} is {target}, and no one device of that name or id is known", file.name);
                ApiError::refused(message, "`sedge node list` shows names and ids; nothing was imported.")
            })?);
        }
        let own: SlotName = command.manifest().facts().id.as_str().parse().expect("an id is a name, as a slot's is");
        let mut draft = command.deployment(request.slot.clone().unwrap_or(own), &names);
        self.narrow(view, &mut draft, &names);
        if let Some(before) = record::deployed(&self.store, command.id())?
            && before != command
        {
            let message = format!("{}: $.command_id is that of another command, which was deployed", file.name);
            return Err(ApiError::refused(message, "A command never changes; give the new one an id of its own."));
        }
        Ok(Wish { command, draft })
    }

    /// Named nodes of this operator's own cell are meant there, where the role does not reach further.
    fn narrow(&self, view: &FleetView, draft: &mut DeploymentDraft, names: &BTreeSet<NodeName>) {
        let Some(own) = view.members.get(&self.me()) else { return };
        if own.cell.parent().is_none() || names.is_empty() {
            return;
        }
        let inside = |name: &NodeName| view.members.values().any(|c| c.name == *name && own.cell.covers(&c.cell));
        if names.iter().all(inside) {
            let cell = Term::Cell(CellPattern::Subtree(own.cell.clone()));
            let terms = std::iter::once(cell).chain(draft.selector.terms().iter().cloned());
            draft.selector = Selector::try_from(terms.collect::<Vec<_>>()).expect("two terms are a selector");
        }
    }

    async fn carry_out(&self, judged: Judged, deploy: bool) -> Result<Imported, ApiError> {
        let Judged { file, manifest, model, release, command } = judged;
        let facts = manifest.facts();
        let command = match command {
            Some(Wish { command, draft }) => {
                let mut told = ImportedCommand {
                    command: command.id(),
                    slot: draft.slot.clone(),
                    selector: draft.selector.to_string(),
                    action: draft.action,
                    priority: draft.priority,
                    rollback_model_id: command.fallback().cloned(),
                    deployed: None,
                    again: false,
                };
                if let (true, Some(release)) = (deploy, release) {
                    (told.deployed, told.again) = self.deploy_command(deploy_request(release, draft), &command).await?;
                }
                Some(told)
            }
            None => None,
        };
        Ok(Imported {
            file,
            id: facts.id.clone(),
            version: facts.version.clone(),
            model,
            release,
            file_name: facts.file_name.to_string(),
            command,
        })
    }

    async fn deploy_command(
        &self,
        request: DeployRequest,
        command: &PeatCommand,
    ) -> Result<(Option<Deployed>, bool), ApiError> {
        let again = self.view().deployments.values().any(|d| d.deployment.command == command.id());
        let deployed = self.deploy_as(request, Some(command.id())).await?;
        record::keep(&self.store, command, now())?;
        Ok((Some(deployed), again))
    }
}

fn deploy_request(release: ReleaseId, draft: DeploymentDraft) -> DeployRequest {
    DeployRequest { model: release.to_string(), canaries: Vec::new(), draft }
}

fn agrees(view: &FleetView, id: ReleaseId, manifest: &PeatManifest, file: &ImportFile) -> Result<(), ApiError> {
    let wrong = manifest.mismatches_with(&view.releases[&id].release.manifest);
    if wrong.is_empty() {
        return Ok(());
    }
    let (name, reference) = (&file.name, reference(manifest));
    Err(ApiError::refused(
        format!("{name}: {reference} is already published, with another file: {}", joined(&wrong)),
        "A release never changes; import this one under a new version.",
    ))
}

fn not_released(manifest: &PeatManifest, file: &ImportFile) -> ApiError {
    let add = add_its_file(manifest);
    ApiError::refused(
        format!("{}: {} has no release yet, so there is nothing to deploy", file.name, reference(manifest)),
        &format!(
            "Import the command without --deploy, which keeps the model as a draft. {add} Then deploy the command."
        ),
    )
}

/// The name of the one device that a target means.
fn resolve(view: &FleetView, target: &PeatTarget) -> Option<NodeName> {
    let is_meant = |id: &sedge_statement::NodeId, name: &NodeName| match target {
        PeatTarget::Id(wanted) => id == wanted,
        PeatTarget::Name(wanted) => name == wanted,
    };
    let mut meant = view.members.iter().filter(|(id, c)| c.may(Role::Device) && is_meant(id, &c.name));
    let (id, _) = meant.next().filter(|_| meant.next().is_none())?;
    let name = name_of(view, *id);
    // A selector names nodes by name: one that two bear would mean both.
    let is_one = view.members.values().filter(|c| c.name == name).count() == 1;
    is_one.then_some(name)
}
