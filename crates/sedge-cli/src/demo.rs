//! `sedge demo`: a mesh of real agents on this machine, through the whole life of an update.
//!
//! Every agent is a process of its own, of this same program, with a home of its own. They are driven only through the
//! command line, as an operator would; what a check says is what it saw in their answers, or on their disks.

mod checks;
mod material;
mod mesh;
mod node;
mod report;
mod said;
mod until;

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use sedge_statement::ModelFormat;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Exit, Failure};
use crate::grammar::DemoArgs;
use crate::screen::Screen;
use checks::{CHECKS, Story};
use material::{Material, OtherSlot};
use mesh::Mesh;
use report::Report;

/// The demo, from an empty directory to none.
pub(crate) async fn run(args: DemoArgs, screen: &Screen) -> Result<Exit, Failure> {
    let mut stops = stops().map_err(|e| setup(&e))?;
    let nodes = usize::from(args.nodes);
    let (mut mesh, material, other) = prepare(nodes, args.model.as_deref()).await.map_err(|e| setup(&e))?;
    let mut report = Report::new(screen, nodes, mesh.dir());
    report.begin();
    let mut story = Story::new(&mut mesh, material, other, args.keep);
    let interrupted = tokio::select! {
        () = play(&mut story, &mut report) => false,
        _ = stops.recv() => true,
    };
    let kept = args.keep.then(|| mesh.dir().to_owned());
    mesh.end(args.keep).await;
    if interrupted {
        report.interrupt();
        return Ok(Exit::Interrupted);
    }
    report.finish(kept.as_deref())
}

async fn prepare(nodes: usize, model: Option<&Path>) -> anyhow::Result<(Mesh, Material, OtherSlot)> {
    let mesh = Mesh::new(nodes)?;
    let Some(file) = model else {
        let material = Material::digits(mesh.dir())?;
        let other = OtherSlot::tales(mesh.dir())?;
        return Ok((mesh, material, other));
    };
    let file = file.canonicalize().with_context(|| file.display().to_string())?;
    let material = Material::foreign(&mesh, &file).await?;
    let other = match material.format {
        ModelFormat::Gguf => OtherSlot::digits(mesh.dir())?,
        _ => OtherSlot::tales(mesh.dir())?,
    };
    Ok((mesh, material, other))
}

/// One check after another. What comes after a failed one would only fail of it, so it is not tried; whether anything is
/// left behind is looked at in any case.
async fn play(story: &mut Story<'_>, report: &mut Report<'_>) {
    for name in CHECKS {
        if report.has_failed() && name != checks::LAST {
            report.skip(name);
            continue;
        }
        report.start(name);
        let began = Instant::now();
        let outcome = story.check(name).await;
        let tail = if outcome.is_err() { story.mesh.tail() } else { Vec::new() };
        report.done(name, began.elapsed(), outcome, &tail);
    }
}

/// Ctrl-C, a polite end from outside, or a terminal that went away: in each case everything is cleaned up.
fn stops() -> anyhow::Result<tokio::sync::mpsc::Receiver<()>> {
    let (tell, told) = tokio::sync::mpsc::channel(1);
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut signal, tell) = (signal(kind)?, tell.clone());
        tokio::spawn(async move {
            signal.recv().await;
            // Full means that another one was told already.
            let _ = tell.try_send(());
        });
    }
    Ok(told)
}

fn setup(error: &anyhow::Error) -> Failure {
    Failure::failed(
        format!("the demo could not begin: {error:#}"),
        "Check that the temporary directory can be written, and with --model that the file is an ONNX or GGUF model.",
    )
}
