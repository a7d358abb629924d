//! Frames and streams that are no sync.

use anyhow::{Result, ensure};
use sedge_mesh::{JOIN_ALPN, SYNC_ALPN};

use crate::hostile::{Session, fill};
use crate::siege::Siege;
use crate::support::until::DEADLINE;

/// More connections than one remote may hold.
const TOO_MANY_CONNECTIONS: usize = 12;
/// More malformed frames than a connection may carry.
const MORE_THAN_IS_BORNE: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_or_huge_frames_cost_their_sender_its_connection() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let intruder = siege.intruder().await?;
    let mut session = intruder.greet(&siege.victim).await?;
    for _ in 0..MORE_THAN_IS_BORNE {
        // A digest, by its first byte: a kind that is not known yet is passed over.
        session.say(&[&[1], &[0xff; 4096][..]].concat()).await?;
    }
    ends_as(&session, "protocol violation").await?;
    siege.names(&siege.victim, intruder.id(), "malformed", "frame:").await?;

    for length in [(1u32 << 20) + 1, u32::MAX] {
        let intruder = siege.intruder().await?;
        let mut session = intruder.greet(&siege.victim).await?;
        session.say_raw(&length.to_le_bytes()).await;
        ends_as(&session, "protocol violation").await?;
        siege.is_unharmed().await?;
    }
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_or_version_is_turned_away_and_so_is_a_stranger() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let intruder = siege.intruder().await?;
    ensure!(intruder.dial(&siege.victim, b"h3").await.is_err(), "an unknown protocol was accepted");
    let http = b"GET / HTTP/1.1\r\nHost: sedge\r\n\r\n";
    let mut session = intruder.greet(&siege.victim).await?;
    session.say_raw(http).await;
    ends_as(&session, "protocol violation").await?;

    // The version stands behind the frame's own number.
    let mut newer = intruder.hello();
    newer[1] = 99;
    let session = intruder.greet_with(&siege.victim, &newer).await?;
    ends_as(&session, "another version of the protocol").await?;

    let stranger = siege.stranger().await?;
    let session = stranger.greet_with(&siege.victim, &stranger.hello()).await?;
    ends_as(&session, "not a member").await?;
    let connection = stranger.dial(&siege.victim, SYNC_ALPN).await?;
    let (mut send, _recv) = connection.open_bi().await?;
    send.write_all(http).await?;
    let reason = tokio::time::timeout(DEADLINE, connection.closed()).await?.to_string();
    ensure!(reason.contains("protocol violation"), "{reason}");
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_data_in_streams_that_nobody_reads_fills_no_memory() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let (intruder, stranger) = (siege.intruder().await?, siege.stranger().await?);
    let (mut held, mut sent) = (Vec::new(), 0);
    for (whom, alpn) in [(&intruder, sedge_blobs::ALPN), (&intruder, SYNC_ALPN), (&stranger, JOIN_ALPN)] {
        for _ in 0..TOO_MANY_CONNECTIONS {
            let connection = whom.dial(&siege.victim, alpn).await?;
            let (bytes, streams) = fill(&connection).await;
            sent += bytes;
            held.push((connection, streams));
        }
    }
    ensure!(sent > 256 << 10, "only {sent} bytes went out, which is no attack");
    let open = held.iter().filter(|(connection, _)| connection.close_reason().is_none()).count();
    println!("{} connections, {open} of them still open; {} KiB went out", held.len(), sent >> 10);
    siege.holds().await
}

/// Waits until the session's connection is closed for that reason.
pub(crate) async fn ends_as(session: &Session, why: &str) -> Result<()> {
    let reason = session.is_closed().await?;
    ensure!(reason.contains(why), "closed because of {reason}, where {why} was due");
    Ok(())
}
