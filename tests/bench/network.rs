//! How fast a mesh learns, what its endpoints cost, and how fast weights come: `cargo bench -p sedge-agent --bench network`.
//!
//! | argument | measures | anchor in the same run |
//! |---|---|---|
//! | `agents` | 24 agents in this process, each with a home of its own on loopback: from asking one to deploy until all 24 views hold it | round trips over bare endpoints |
//! | `sync-250`, `sync-1000` | so many [`sedge_mesh::Mesh`]es with 8 neighbours each in one process: from writing a deployment until every view holds it; bytes of frames and resident memory each | as many bare endpoints with 3 connections each, and a round trip of 500 B on every connection |
//! | `churn-250` | 250 [`sedge_mesh::Mesh`]es that choose their neighbours themselves, a third of them restarted at random for a minute: from its end until every view holds a deployment; tasks, connections and resident memory before and after | the same mesh before |
//! | `fetch` | 1 GiB from one peer over loopback until it is under `models/` with its SHA-256 proven | `curl` over TLS from nginx with `sha256sum` after; iroh-blobs' download with export by copy |
//!
//! Without an argument all of them run. Each size of endpoints runs in a process of its own, so that memory is that size's; so does whoever
//! provides weights, as nginx does. Everything is timed by the wall: a quiet moment is waited for, for half a minute or
//! `SEDGE_BENCH_PATIENCE` seconds, and how busy the processors were is said beside each measurement.

// What `support.rs` lists but its clock, which is for what one thread does.
#[path = "support/baseline.rs"]
mod baseline;
#[path = "support/report.rs"]
mod report;

#[path = "network/agents.rs"]
mod agents;
#[path = "network/bare.rs"]
mod bare;
#[path = "network/child.rs"]
mod child;
#[path = "network/churn.rs"]
mod churn;
#[path = "network/fetch.rs"]
mod fetch;
#[path = "network/host.rs"]
mod host;
#[path = "network/nginx.rs"]
mod nginx;
#[path = "network/provider.rs"]
mod provider;
#[path = "network/roster.rs"]
mod roster;
#[path = "network/sync.rs"]
mod sync;

use std::process::ExitCode;

use report::Report;

#[tokio::main(flavor = "multi_thread")]
async fn main() -> ExitCode {
    // What Cargo adds begins with a dash.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [child, rest @ ..] = words.as_slice()
        && child == child::WORD
    {
        child::run(rest).await;
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    let mut report = Report::new("network", "by the wall, over a machine shared with others");
    if wanted("agents") {
        agents::measure(&mut report).await;
    }
    if wanted("sync-250") {
        sync::measure(&mut report, &sync::SMALL).await;
    }
    if wanted("sync-1000") {
        sync::measure(&mut report, &sync::LARGE).await;
    }
    if wanted("churn-250") {
        churn::measure(&mut report).await;
    }
    if wanted("fetch") {
        fetch::measure(&mut report).await;
    }
    report.finish()
}
