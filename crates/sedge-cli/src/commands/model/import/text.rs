//! Drafts and imports as a person sees them.

use sedge_agent::api::{Imported, ImportedCommand, ImportedModel, ModelDraft};
use sedge_statement::{Action, ByteSize};

use crate::paint::{Paint, Tone};
use crate::table::{Table, cell, toned};
use crate::words::{now, show_age};

pub(super) fn imported(imported: &[Imported], paint: Paint) -> String {
    imported.iter().map(|one| document(one, paint)).collect::<Vec<_>>().join("\n")
}

fn document(one: &Imported, paint: Paint) -> String {
    let reference = format!("{}:{}", one.id, one.version);
    let strong = paint.tone(Tone::Strong, &reference);
    let mut lines = vec![match (one.model, &one.release) {
        (ImportedModel::Draft, _) => format!("Imported {strong} as a draft."),
        (ImportedModel::Same, _) => format!("The draft {strong} says this already."),
        (ImportedModel::Replaced, _) => format!("Imported {strong}, in the place of the draft that was there."),
        (ImportedModel::Released, Some(id)) => format!("{strong} is released already, as {}.", id.short()),
        (ImportedModel::Released, None) => format!("{strong} is released already."),
    }];
    if one.model != ImportedModel::Released {
        lines.push(format!("Add its file with `sedge model add {} --completes {reference}`.", one.file_name));
    }
    if let Some(command) = &one.command {
        lines.extend(wish(one, command, &reference));
    }
    lines.join("\n")
}

fn wish(one: &Imported, command: &ImportedCommand, reference: &str) -> Vec<String> {
    let mut words = format!("sedge deploy {reference} --to '{}' --slot {}", command.selector, command.slot);
    words.push_str(&format!(" --priority {}", u8::from(command.priority)));
    if command.action == Action::StageOnly {
        words.push_str(" --stage-only");
    }
    let mut lines = Vec::new();
    match &command.deployed {
        Some(done) if command.again => {
            lines.push(format!("The command {} is rollout {} already.", command.command, done.rollout.short()));
        }
        Some(done) => {
            let nodes = if done.nodes == 1 { "1 node".to_owned() } else { format!("{} nodes", done.nodes) };
            let (id, rollout) = (command.command, done.rollout.short());
            lines.push(format!("Deployed the command {id} as rollout {rollout} to {nodes}: `{words}`."));
        }
        None if one.release.is_some() => {
            lines.push(format!("The command {} means `{words}`.", command.command));
            lines.push(format!("Deploy it with `sedge model import {} --deploy`.", one.file));
        }
        None => lines.push(format!("The command {} means, once there is a release, `{words}`.", command.command)),
    }
    if let Some(fallback) = &command.rollback_model_id {
        lines.push(format!(
            "Its fallback {fallback} is kept as a remark: a slot where the update fails goes back by itself to what it served before."
        ));
    }
    lines
}

pub(super) fn drafts(drafts: &[ModelDraft], paint: Paint) -> String {
    if drafts.is_empty() {
        return "No draft here; import one with `sedge model import FILE.json`.".to_owned();
    }
    let mut table = Table::new(["DRAFT", "VERSION", "FORMAT", "SIZE", "DIGEST", "WAITS FOR", "IMPORTED"]);
    for draft in drafts {
        table.row([
            cell(&draft.id),
            cell(&draft.version),
            cell(format!("{} {}", draft.format, draft.quantization)),
            cell(draft.size_bytes.map(|n| ByteSize(n).to_string()).unwrap_or_default()),
            cell(draft.sha256.map(|digest| digest.short()).unwrap_or_default()),
            toned(Tone::Faint, &draft.file_name),
            cell(show_age(draft.imported_at, now())),
        ]);
    }
    table.render(paint)
}

pub(super) fn draft(draft: &ModelDraft, paint: Paint) -> String {
    let reference = format!("{}:{}", draft.id, draft.version);
    let unknown = || "any, until the file is added".to_owned();
    let lines = [
        format!("{}  a draft on {}", paint.tone(Tone::Strong, &reference), draft.node),
        format!("{}, a {}, imported {}", draft.name, draft.model_type, show_age(draft.imported_at, now())),
        format!("file     {}  {} {}", draft.file_name, draft.format, draft.quantization),
        format!("size     {}", draft.size_bytes.map_or_else(unknown, |n| ByteSize(n).to_string())),
        format!("SHA-256  {}", draft.sha256.map_or_else(unknown, |digest| digest.to_string())),
        format!("Add its file with `sedge model add {} --completes {reference}`.", draft.file_name),
    ];
    lines.join("\n")
}
