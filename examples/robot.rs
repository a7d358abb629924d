//! A robot that is a node of a mesh: it serves whatever the fleet's operators deploy to its slot, goes on answering
//! while the model is swapped, and stops cleanly on Ctrl-C.
//!
//! ```text
//! sedge --home ./robot join TICKET --name robot-1
//! cargo run --release -p sedge-agent --example robot -- ./robot digits
//! ```

use sedge_agent::statement::{SlotName, Tensor};
use sedge_agent::{Agent, AgentConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: robot HOME SLOT";
    let home = arguments.next().ok_or(usage)?;
    let slot: SlotName = arguments.next().ok_or(usage)?.parse()?;

    let agent = Agent::start(AgentConfig::new(home)).await?;
    let mut watch = agent.watch_slot(&slot);
    println!("waiting for a model in slot {slot}");
    let mut serving = None;
    loop {
        let next = tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            next = watch.until(|report| report.sha256.is_some() && report.sha256 != serving) => next,
        };
        let Some(report) = next else { break };
        serving = report.sha256;
        // An 8 × 8 image of nothing: what the camera would give.
        let image = Tensor::from_f32("image", vec![1, 64], &[0.0; 64])?;
        let answer = agent.infer(&slot, vec![image]).await?;
        println!("{} answers {}", answer.sha256, answer.outputs[0].to_json());
    }
    agent.shutdown().await;
    Ok(())
}
