//! `sedge deploy`

use std::path::Path;

use sedge_agent::Client;
use sedge_agent::api::{DeployPlan, DeployRequest, Deployed, ModelDetail, Request};
use sedge_statement::{Action, DeploymentDraft, Downgrade, GatePolicy, SlotName, WaveSize};

use super::plan;
use super::wait::wait;
use crate::failure::{Exit, Failure};
use crate::grammar::DeployArgs;
use crate::screen::Screen;

/// Publishes a deployment, and stays with it where that is wanted.
pub(crate) async fn run(home: &Path, args: DeployArgs, screen: &Screen) -> Result<Exit, Failure> {
    let mut client = Client::connect(home).await?;
    let detail: ModelDetail = client.ask(&Request::ModelShow { model: args.model.clone() }).await?;
    let named_as_the_model = || {
        let id = detail.model.id.as_str();
        id.parse::<SlotName>().map_err(|error| {
            Failure::usage(format!("the model's id {id:?} as a slot {error}"), "Choose a slot with --slot.")
        })
    };
    let slot = args.slot.clone().map_or_else(named_as_the_model, Ok)?;
    // The release that was looked at is the one deployed, whatever is published in between.
    let request = DeployRequest {
        model: detail.model.release.to_string(),
        canaries: args.canary.clone(),
        draft: draft(&args, slot),
    };
    if args.plan {
        let plan: DeployPlan = client.ask(&Request::DeployPlan(request)).await?;
        screen.show(&plan, plan::text)?;
        return Ok(plan::outcome(&plan));
    }
    let deployed: Deployed = client.ask(&Request::Deploy(request)).await?;
    if !deployed.replicated {
        screen.remark("No other node holds the files yet: keep this one reachable until the rollout is under way.");
    }
    if args.wait {
        if !screen.is_json() {
            screen.line(&text(&deployed))?;
        }
        return wait(&mut client, deployed.rollout, args.timeout, screen).await;
    }
    screen.show(&deployed, |deployed, _| {
        format!("{}\nFollow it with `sedge rollout watch {}`.", text(deployed), deployed.rollout.short())
    })?;
    Ok(Exit::Done)
}

fn draft(args: &DeployArgs, slot: SlotName) -> DeploymentDraft {
    DeploymentDraft {
        slot,
        selector: args.to.clone(),
        action: if args.stage_only { Action::StageOnly } else { Action::Activate },
        downgrade: if args.allow_downgrade { Downgrade::Allow } else { Downgrade::Refuse },
        priority: args.priority,
        waves: match &args.waves {
            Some(waves) => waves.0.clone(),
            // Named canaries stand for the one that is taken where nothing is said.
            None if args.canary.is_empty() => vec![WaveSize::Count(1)],
            None => Vec::new(),
        },
        gate: GatePolicy { quorum: args.quorum, max_failed: args.max_failed, soak: args.soak },
        probation: args.probation,
        deadline_in: args.deadline,
        start_within: args.start_by,
    }
}

fn text(deployed: &Deployed) -> String {
    let nodes = if deployed.nodes == 1 { "1 node".to_owned() } else { format!("{} nodes", deployed.nodes) };
    format!(
        "Rollout {}: release {} into slot {} of {nodes}.",
        deployed.rollout.short(),
        deployed.release.short(),
        deployed.slot
    )
}
