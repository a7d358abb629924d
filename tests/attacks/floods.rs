//! More of everything than anybody needs: neither memory nor time of the others is had for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sedge_fleet::testing::{digest_frame, doc_id, set_frame, vector_frame, want_frame};
use sedge_mesh::{JOIN_ALPN, SYNC_ALPN};
use sedge_statement::{ChangeHash, DocId, DocKind, NodeId, ObjectId, Scope};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::frames::ends_as;
use crate::hostile::{Intruder, Session};
use crate::siege::Siege;
use crate::support::node::Node;
use crate::support::until::{DEADLINE, so_or, until};

/// How soon honest neighbours hear of each other whatever goes on, a model's publishing on either side included.
const IN_TIME: Duration = Duration::from_secs(30);
/// Entries of all vectors together, and of one: what fits a frame.
const ENTRIES: u64 = 100_000;
const PER_VECTOR: u64 = 10_000;
/// The same of ids.
const PER_SET: u64 = 25_000;
/// How many requests of links and items are answered with one vector or set.
const WANTS: u64 = 1024;
/// How often a document is asked for.
const ASKED: u64 = 4_000;
/// The frames that ask for something, by their first byte.
const WANT: u8 = 6;
const WANT_ITEMS: u8 = 7;

/// Thirty-two bytes that rise with `n`.
fn rising(n: u64) -> [u8; 32] {
    let mut bytes = [0x77; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    bytes
}

fn made_up(n: u64) -> (DocId, u64, ChangeHash) {
    (doc_id(NodeId::from_bytes(rising(n)), DocKind::Authority, 0), 9, ChangeHash::from_bytes(rising(n)))
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_vectors_and_sets_of_a_hundred_thousand_entries_are_answered_within_bounds() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let intruder = siege.intruder().await?;
    let mut session = intruder.greet(&siege.victim).await?;
    for first in (0..ENTRIES).step_by(usize::try_from(PER_VECTOR)?) {
        session.say(&vector_frame(Scope::Mesh, (first..first + PER_VECTOR).map(made_up).collect())).await?;
    }
    for first in (0..ENTRIES).step_by(usize::try_from(PER_SET)?) {
        let ids = (first..first + PER_SET).map(|n| ObjectId::from_bytes(rising(n))).collect();
        session.say(&set_frame(ids)).await?;
    }
    // Frames are taken in order, so whatever is named is behind them.
    session.say(&[&[1], &[0xff; 64][..]].concat()).await?;
    let named = format!("malformed by {}", intruder.id().short());
    let asks = |kind: u8| session.heard().iter().filter(|frame| frame.first() == Some(&kind)).count() as u64;
    until("the victim having dealt with all of it, or with as much as its reader bears", async || {
        let findings = siege.victim.status().await?["findings"].to_string();
        let closed = session.connection().close_reason().map(|reason| reason.to_string()).unwrap_or_default();
        let (links, items) = (asks(WANT), asks(WANT_ITEMS));
        let answered = findings.contains(&named) && links > 0 && items > 0;
        let seen = || format!("{links} and {items} requests, {findings} {closed}");
        Ok(so_or(answered || closed.contains("reads too slowly"), seen))
    })
    .await?;
    let (links, items) = (asks(WANT), asks(WANT_ITEMS));
    ensure!(links <= WANTS * ENTRIES / PER_VECTOR, "{links} requests for links");
    ensure!(items <= ENTRIES / PER_SET, "{items} requests for items");
    let heard = session.heard();
    let most = heard.iter().map(Vec::len).max().unwrap_or_default();
    ensure!(most <= 1 << 20, "a frame of {most} bytes");
    siege.in_sync_within(IN_TIME).await?;
    siege.holds().await
}

/// Says frames without a pause until it is stopped, and counts them.
fn flood(mut session: Session, frames: Vec<Vec<u8>>) -> (JoinHandle<()>, Arc<AtomicU64>) {
    let said = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&said);
    let task = tokio::spawn(async move {
        loop {
            for frame in &frames {
                if session.say(frame).await.is_err() {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    (task, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_without_end_stall_no_honest_neighbour() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let victim: NodeId = siege.victim.id().await?.parse()?;
    let mut floods = Vec::new();
    // Each asks for something with every frame; some of them lead towards the victim, and some follow.
    for n in 0..4u8 {
        let intruder = siege.intruder().await?;
        let doc = doc_id(victim, DocKind::Authority, 0);
        let frames = match n % 2 {
            0 => vec![digest_frame(Scope::Mesh)],
            _ => vec![want_frame(doc, 1), set_frame(Vec::new()), vector_frame(Scope::Mesh, Vec::new())],
        };
        let session = intruder.greet_heedless(&siege.victim).await?;
        floods.push((intruder, flood(session, frames)));
    }
    for _ in 0..3 {
        siege.in_sync_within(IN_TIME).await?;
        siege.is_unharmed().await?;
    }
    let said: Vec<u64> = floods.iter().map(|(_, (_, said))| said.load(Ordering::Relaxed)).collect();
    ensure!(said.iter().sum::<u64>() > 1_000, "only {said:?} frames were said, which is no flood");
    println!("{said:?} frames were said meanwhile");
    floods.iter().for_each(|(_, (task, _))| task.abort());
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_requests_by_a_slow_reader_end_with_its_connection() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let victim: NodeId = siege.victim.id().await?.parse()?;
    let intruder = siege.intruder().await?;
    let mut session = intruder.greet_deaf(&siege.victim).await?;
    let doc = doc_id(victim, DocKind::Authority, 0);
    for _ in 0..ASKED {
        session.say(&want_frame(doc.clone(), 1)).await?;
        session.say(&vector_frame(Scope::Mesh, Vec::new())).await?;
        if session.connection().close_reason().is_some() {
            break;
        }
    }
    siege.in_sync_within(IN_TIME).await?;
    ends_as(&session, "reads too slowly").await?;
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_half_open_streams_leave_everybody_else_a_place() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let (intruder, strangers) = (siege.intruder().await?, [siege.stranger().await?, siege.stranger().await?]);
    let mut held = Vec::new();
    // Nothing, half a length, a length without its frame, and half a frame.
    let beginnings: [&[u8]; 4] = [b"", &[9, 0], &[200, 0, 0, 0], &[200, 0, 0, 0, 1, 2, 3]];
    let whom: [(&Intruder, &[u8]); 4] = [
        (&intruder, sedge_blobs::ALPN),
        (&intruder, SYNC_ALPN),
        (&strangers[0], SYNC_ALPN),
        (&strangers[1], JOIN_ALPN),
    ];
    for (whom, alpn) in whom {
        for beginning in beginnings {
            let connection = whom.dial(&siege.victim, alpn).await?;
            // Whoever has too many is turned away, at any moment.
            let opened = timeout(Duration::from_secs(1), connection.open_bi()).await;
            if let Ok(Ok((mut send, recv))) = opened {
                let _ = send.write_all(beginning).await;
                held.push((connection, send, recv));
            }
        }
    }
    ensure!(held.len() > beginnings.len(), "only {} streams were opened", held.len());
    siege.in_sync_within(IN_TIME).await?;
    let mut late = Node::new(siege.dir.path(), "late");
    late.join(&siege.victim, &[]).await.context("no place for a newcomer")?;
    late.start(&["--peer", &siege.victim.address().await?]).await?;
    late.is_connected(&siege.victim.id().await?, true).await?;
    // Those who were to say hello are not waited for.
    for (connection, ..) in held.iter().filter(|(connection, ..)| connection.alpn() != sedge_blobs::ALPN) {
        timeout(DEADLINE, connection.closed()).await.context("half a hello is waited for without end")?;
    }
    siege.holds().await
}
