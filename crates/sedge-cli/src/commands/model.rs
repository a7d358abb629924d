//! `sedge model`

mod import;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sedge_agent::Inspection;
use sedge_agent::api::{LogEntry, Model, ModelAdd, ModelDetail, Request, Verification};
use sedge_statement::Probe;
use serde_json::Value;

use super::ask;
use crate::failure::Failure;
use crate::grammar::{AddArgs, ModelCommand};
use crate::screen::Screen;
use crate::tensors::read_probes;

/// Carries out a command.
pub(crate) async fn run(home: &Path, command: ModelCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        ModelCommand::Add(args) => {
            let model: Model = ask(home, &Request::ModelAdd(request(*args)?)).await?;
            screen.show(&model, text::added)
        }
        ModelCommand::Import(args) => import::run(home, args, screen).await,
        ModelCommand::Forget { model } => import::forget(home, model, screen).await,
        ModelCommand::List { drafts: true } => import::list(home, screen).await,
        ModelCommand::List { drafts: false } => {
            let models: Vec<Model> = ask(home, &Request::ModelList).await?;
            screen.show(&models, |models, paint| text::list(models, paint))?;
            // Scripts rely on a list of releases; a person wants to see what is on its way too.
            if screen.is_json() { Ok(()) } else { import::list_also(home, screen).await }
        }
        ModelCommand::Show { model, peat: true } => import::export(home, model, screen).await,
        ModelCommand::Show { model, peat: false } => {
            match ask::<ModelDetail>(home, &Request::ModelShow { model: model.clone() }).await {
                Ok(detail) => screen.show(&detail, text::detail),
                Err(failure) => import::show(home, model, screen, failure).await,
            }
        }
        ModelCommand::Inspect { file } => {
            // Reading and hashing a whole model is no work for the thread that catches signals.
            let read = tokio::task::spawn_blocking(move || sedge_agent::inspect(&file)).await;
            let inspection: Inspection = read.map_err(|error| {
                Failure::failed(format!("reading the model ended early: {error}"), "Report it, with the file.")
            })??;
            screen.show(&inspection, text::inspection)
        }
        ModelCommand::Verify { model } => {
            let verification: Verification = ask(home, &Request::ModelVerify { model }).await?;
            screen.show(&verification, text::verification)
        }
        ModelCommand::Log { model } => {
            let log: Vec<LogEntry> = ask(home, &Request::ModelLog { id: model }).await?;
            screen.show(&log, |log, paint| text::log(log, paint))
        }
    }
}

fn request(args: AddArgs) -> Result<ModelAdd, Failure> {
    // The agent has a working directory of its own.
    let absolute = |file: &PathBuf| {
        file.canonicalize().map_err(|error| {
            let remedy = "Check that the path exists and that you may read it.";
            Failure::failed(format!("{}: {error}", file.display()), remedy)
        })
    };
    let mut files = args.files.iter().map(absolute).collect::<Result<Vec<_>, _>>()?;
    let file = files.remove(0);
    let mut probes = Vec::new();
    for spec in &args.probe {
        probes.extend(read_probes(spec)?);
    }
    Ok(ModelAdd {
        file,
        beside: files,
        id: args.id,
        version: args.version,
        variant: args.variant,
        model_type: args.model_type,
        license: args.license,
        source: args.source,
        probes: probe_values(&probes),
        metadata: BTreeMap::from_iter(args.meta),
        draft: args.draft,
    })
}

fn probe_values(probes: &[Probe]) -> Vec<Value> {
    serde_json::from_slice(&Probe::write_all(probes)).expect("a file of probes is a list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_travel_to_the_agent_in_the_form_it_reads() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits/probes/digits-2.0.0.probe-a.json");
        let probes = read_probes(Path::new(file)).unwrap();
        let values = probe_values(&probes);
        let bytes = serde_json::to_vec(&values).unwrap();
        assert_eq!(Probe::read_all(&bytes).unwrap(), probes);
    }
}
