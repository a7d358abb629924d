//! A program that is a node of a mesh and tells a story with whatever language model the fleet's operators deployed to its
//! slot, word by word as it comes.
//!
//! ```text
//! sedge --home ./teller join TICKET --name teller-1
//! cargo run --release -p sedge-agent --example storyteller -- ./teller writer "The old lighthouse"
//! ```

use std::io::Write;

use sedge_agent::statement::{Sampling, SlotName, TextRequest};
use sedge_agent::{Agent, AgentConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: storyteller HOME SLOT BEGINNING";
    let home = arguments.next().ok_or(usage)?;
    let slot: SlotName = arguments.next().ok_or(usage)?.parse()?;
    let beginning = arguments.next().ok_or(usage)?;

    let agent = Agent::start(AgentConfig::new(home)).await?;
    println!("waiting for a model in slot {slot}");
    agent.watch_slot(&slot).until(|report| report.sha256.is_some()).await.ok_or("the agent stopped")?;
    // Equal seeds tell equal stories.
    let sampling = Sampling { temperature: 0.8, top_p: 0.95, seed: 7, ..Sampling::default() };
    let request = TextRequest { sampling, ..TextRequest::continue_text(&beginning, 200) };
    let mut story = agent.chat(&slot, request).await?;
    print!("{beginning}");
    while let Some(piece) = story.next().await {
        print!("{piece}");
        std::io::stdout().flush()?;
    }
    let end = story.end().await?;
    println!("\n{} tokens by {}", end.usage.completion_tokens, end.sha256);
    agent.shutdown().await;
    Ok(())
}
