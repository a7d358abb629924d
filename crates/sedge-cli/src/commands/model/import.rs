//! `sedge model import`, and drafts

mod text;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sedge_agent::api::{ImportFile, ImportRequest, Imported, ModelDraft, Request};
use sedge_statement::peat::PeatManifest;
use serde_json::Value;

use crate::commands::ask;
use crate::failure::Failure;
use crate::grammar::ImportArgs;
use crate::screen::Screen;
use crate::tame;

/// Imports documents.
pub(super) async fn run(home: &Path, args: ImportArgs, screen: &Screen) -> Result<(), Failure> {
    let files = args.files.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    let request = ImportRequest { files, deploy: args.deploy, slot: args.slot };
    let imported: Vec<Imported> = ask(home, &Request::Import(request)).await?;
    screen.show(&imported, |imported, paint| text::imported(imported, paint))
}

/// Drops a draft.
pub(super) async fn forget(home: &Path, model: String, screen: &Screen) -> Result<(), Failure> {
    let draft: ModelDraft = ask(home, &Request::DraftForget { model }).await?;
    screen.show(&draft, |draft, _| format!("Dropped the draft {}:{}.", draft.id, draft.version))
}

/// Lists the drafts.
pub(super) async fn list(home: &Path, screen: &Screen) -> Result<(), Failure> {
    let drafts: Vec<ModelDraft> = ask(home, &Request::DraftList).await?;
    screen.show(&drafts, |drafts, paint| text::drafts(drafts, paint))
}

/// Lists the drafts behind the releases, where there are any.
pub(super) async fn list_also(home: &Path, screen: &Screen) -> Result<(), Failure> {
    let drafts: Vec<ModelDraft> = screen.tamed(ask(home, &Request::DraftList).await?)?;
    if drafts.is_empty() { Ok(()) } else { screen.line(&format!("\n{}", text::drafts(&drafts, screen.paint()))) }
}

/// Shows a draft, or fails as asking for a release did.
pub(super) async fn show(home: &Path, model: String, screen: &Screen, failure: Failure) -> Result<(), Failure> {
    match ask::<ModelDraft>(home, &Request::DraftShow { model }).await {
        Ok(draft) => screen.show(&draft, text::draft),
        Err(_) => Err(failure),
    }
}

/// Prints Peat's JSON.
pub(super) async fn export(home: &Path, model: String, screen: &Screen) -> Result<(), Failure> {
    let document: Value = ask(home, &Request::PeatExport { model }).await?;
    screen.show_as_it_is(&document, |document, _| tame::json(&format!("{document:#}")).into_owned())
}

/// Reads a document, of which a little more than what is allowed is enough to refuse it.
fn read(path: &Path) -> Result<ImportFile, Failure> {
    let name = path.display().to_string();
    let remedy = "Check that the path is a file that can be read.";
    let failed = |error: std::io::Error| Failure::failed(format!("{name}: {error}"), remedy);
    // Asked before it is opened: opening a pipe waits for whoever writes to it.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Failure::usage(format!("{name}: is not a regular file"), remedy));
    }
    let mut bytes = Vec::new();
    let limit = PeatManifest::MAX_BYTES as u64;
    File::open(path).map_err(failed)?.take(limit + 4).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        let what = format!("{name}: $ takes more than {limit} bytes, and no more are allowed");
        return Err(Failure::refused(what, "Give a manifest or a command; a model file goes to `sedge model add`."));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Failure::refused(format!("{name}: $ is not JSON: {}", error.utf8_error()), "Save it as UTF-8.")
    })?;
    Ok(ImportFile { name, text })
}
