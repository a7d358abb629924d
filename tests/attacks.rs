//! A hostile member against a real agent: whatever it says is refused and named, and costs the others nothing.
//!
//! Tests are named after the rows of the list of attacks that they perform. The attacker holds a valid certificate, got with
//! a real ticket, and signs what it says with its own key.
#![expect(dead_code, reason = "each end-to-end test uses its own part of what they share")]

#[path = "support/hostile.rs"]
mod hostile;
mod support;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use automerge::transaction::Transactable;
use hostile::{Intruder, Session};
use sedge_fleet::testing::{Forge, Op, actor, column, doc_id, hash, head, links_frame, run_of, want_frame};
use sedge_mesh::{JOIN_ALPN, SYNC_ALPN};
use sedge_statement::{ChangeHash, DocKind, NodeId, SecretKey};
use support::models::{variation, word};
use support::node::{Node, list, text};
use support::until::{so_or, until};
use tempfile::TempDir;

/// How much more memory the agent may ever have held than before the attack, bytes: less than the smallest bomb here makes
/// when it goes off, which is [`INFLATED`], and many times what the members that join meanwhile cost.
const ROOM: u64 = 32 << 20;
/// What the compressed bomb inflates to, bytes.
const INFLATED: usize = 48 << 20;
/// How soon a node under attack answers `sedge status`, the start of that process included.
const SOON: Duration = Duration::from_secs(5);
/// More connections than one remote may hold.
const TOO_MANY_CONNECTIONS: usize = 12;
/// More malformed frames than a connection may carry.
const MORE_THAN_IS_BORNE: usize = 40;

/// A node under attack, an honest one beside it, and intruders one after another.
struct Siege {
    victim: Node,
    honest: Node,
    before: u64,
    intruders: u8,
    rounds: u8,
    dir: TempDir,
}

impl Siege {
    async fn lay() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (mut victim, mut honest) = (Node::new(dir.path(), "victim"), Node::new(dir.path(), "honest"));
        victim.init().await?;
        victim.start(&[]).await?;
        honest.join(&victim, &["--role", "device", "--role", "release"]).await?;
        honest.start(&[]).await?;
        honest.is_connected(&victim.id().await?, true).await?;
        let mut siege = Self { victim, honest, before: 0, intruders: 100, rounds: 0, dir };
        siege.in_sync().await?;
        siege.before = siege.victim.peak_memory()?;
        Ok(siege)
    }

    /// A new member, so that what is found of it is found of nobody before.
    async fn intruder(&mut self) -> Result<Intruder> {
        self.intruders += 1;
        Intruder::join(&self.victim, self.intruders).await
    }

    /// Somebody without a certificate.
    async fn stranger(&mut self) -> Result<Intruder> {
        self.intruders += 1;
        let status = self.victim.status().await?;
        Intruder::stranger(text(&status, "/mesh/id")?.parse()?, self.intruders).await
    }

    /// Says one frame as a new member, and waits until the victim names it with that kind and reason.
    async fn refuses(&mut self, kind: &str, why: &str, frame: impl FnOnce(&Intruder) -> Result<Vec<u8>>) -> Result<()> {
        let intruder = self.intruder().await?;
        let mut session = intruder.greet(&self.victim).await?;
        session.say(&frame(&intruder)?).await?;
        self.names(&self.victim, intruder.id(), kind, why).await?;
        self.is_unharmed().await.with_context(|| format!("after {kind} of {why}"))
    }

    /// Waits until a node names somebody.
    async fn names(&self, node: &Node, whom: NodeId, kind: &str, why: &str) -> Result<()> {
        let begins = format!("{kind} by {}", whom.short());
        until(&format!("{} finding {begins} … {why}", node.name), async || {
            let status = node.status().await?;
            let findings = list(&status, "/findings")?;
            let is = |finding: &&str| finding.starts_with(&begins) && finding.contains(why);
            let found = findings.iter().filter_map(|finding| finding.as_str()).find(is);
            Ok(so_or(found.is_some(), || format!("it finds {findings:?}")))
        })
        .await
    }

    /// Checks that the victim answers soon and never held much more memory than before.
    async fn is_unharmed(&self) -> Result<()> {
        let asked = self.victim.run(&["status"]).await?;
        asked.json()?;
        ensure!(asked.took < SOON, "it took {:?} to answer", asked.took);
        let grown = self.victim.peak_memory()?.saturating_sub(self.before);
        ensure!(grown < ROOM, "its memory grew by {grown} bytes, above {ROOM}");
        Ok(())
    }

    /// Publishes on either side, and waits until the other has it.
    async fn in_sync(&mut self) -> Result<()> {
        self.rounds += 1;
        for (from, to) in [(&self.honest, &self.victim), (&self.victim, &self.honest)] {
            let (id, version) = (format!("by-{}", from.name), format!("1.0.{}", self.rounds));
            let note = format!("{id} {version}");
            let file = variation(self.dir.path(), &format!("{id}.onnx"), &note)?;
            from.ask(&["model", "add", word(&file)?, "--id", &id, "--version", &version]).await?;
            to.knows_model(&id, &version).await?;
        }
        Ok(())
    }

    /// What is checked when an attack is over.
    async fn holds(mut self) -> Result<()> {
        self.is_unharmed().await?;
        self.in_sync().await?;
        until("both nodes having one view", async || {
            let (ours, theirs) = (self.victim.status().await?, self.honest.status().await?);
            let (ours, theirs) = (text(&ours, "/sync/view")?.to_owned(), text(&theirs, "/sync/view")?.to_owned());
            Ok(so_or(ours == theirs, || format!("{ours} and {theirs}")))
        })
        .await?;
        let grown = self.victim.peak_memory()?.saturating_sub(self.before) >> 20;
        println!("{} intruders; memory grew by {grown} MiB of {} allowed", self.intruders - 100, ROOM >> 20);
        Ok(())
    }
}

/// A change that an honest writer could have made.
fn honest(intruder: &Intruder) -> Forge {
    Forge::new(&intruder.doc(), None, 1, &[Op::put("x", "1")])
}

/// Says a first change made from an honest one.
fn bent(intruder: &Intruder, bend: impl FnOnce(&mut Forge)) -> Result<Vec<u8>> {
    let mut forge = honest(intruder);
    bend(&mut forge);
    intruder.links(1, vec![forge.bytes()])
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_or_huge_frames_change_bombs_are_counted_and_never_made() -> Result<()> {
    let mut siege = Siege::lay().await?;
    siege
        .refuses("bad change", "more than 512 operations", |intruder| {
            let mut size = 0;
            let frame = bent(intruder, |forge| {
                for (number, value) in [(column::ACTION, 1), (column::VALUE_META, 0), (column::PRED_COUNT, 0)] {
                    forge.columns.insert(number, run_of(1_000_000, value));
                }
                forge.columns.insert(column::VALUE, Vec::new());
                // A million, as the length of the one run of booleans.
                forge.columns.insert(column::INSERT, vec![0xc0, 0x84, 0x3d]);
                let name = [run_of(1_000_000, 1), b"x".to_vec()].concat();
                forge.columns.insert(column::KEY_STRING, name);
                size = forge.bytes().len();
            })?;
            ensure!(size < 90, "no bomb of {size} bytes");
            Ok(frame)
        })
        .await?;
    for number in [column::ACTION, column::KEY_STRING, column::OBJECT_COUNTER, column::PRED_COUNT] {
        let run = [run_of(1 << 40, 1), b"x".to_vec()].concat();
        let bomb = |intruder: &Intruder| bent(intruder, |forge| drop(forge.columns.insert(number, run)));
        siege.refuses("bad change", "more than 512 operations", bomb).await?;
    }
    siege
        .refuses("bad change", "names an object that does not exist", |intruder| {
            let op = Op { object: 77, ..Op::put("x", "1") };
            intruder.links(1, vec![Forge::new(&intruder.doc(), None, 1, &[op]).bytes()])
        })
        .await?;
    siege
        .refuses("bad change", "invalid object", |intruder| {
            bent(intruder, |forge| {
                forge.columns.insert(column::OBJECT_ACTOR, vec![0x7f, 5]);
                forge.columns.insert(column::OBJECT_COUNTER, vec![0x7f, 1]);
            })
        })
        .await?;
    let unknown_actor = |intruder: &Intruder| bent(intruder, |forge| forge.other_actors = vec![vec![1; 16]]);
    siege.refuses("malformed", "names other actors", unknown_actor).await?;
    siege
        .refuses("bad change", "not the canonical encoding of actions", |intruder| {
            let mut forge = Forge::new(&intruder.doc(), None, 1, &[Op::put("a", "1"), Op::put("b", "2")]);
            // Two literal values where one run of two is shorter.
            forge.columns.insert(column::ACTION, vec![0x7e, 1, 1]);
            intruder.links(1, vec![forge.bytes()])
        })
        .await?;
    siege.refuses("malformed", "chunk type 2", |intruder| intruder.links(1, vec![inflating(intruder)?])).await?;
    siege.holds().await
}

/// A compressed chunk of less than a link's limit that inflates to [`INFLATED`].
fn inflating(intruder: &Intruder) -> Result<Vec<u8>> {
    let actor = automerge::ActorId::from(actor(&intruder.doc()).to_vec());
    let mut doc = automerge::AutoCommit::new().with_actor(actor);
    doc.put(automerge::ROOT, "x", automerge::ScalarValue::Bytes(vec![0; INFLATED]))?;
    doc.commit();
    let mut change = doc.get_last_local_change().context("a change was made")?;
    let bytes = change.bytes().into_owned();
    ensure!(bytes.len() < 64 << 10 && bytes[8] == 2, "{} bytes of type {}", bytes.len(), bytes[8]);
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_author_gap_or_orphan_in_a_chain_is_never_applied() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let wrong_actor = |intruder: &Intruder| bent(intruder, |forge| forge.actor = vec![3; 16]);
    siege.refuses("malformed", "another actor", wrong_actor).await?;

    let victim: NodeId = siege.victim.id().await?.parse()?;
    siege
        .refuses("malformed", "head", |intruder| {
            let doc = doc_id(victim, DocKind::Authority, 7);
            let raw = Forge::new(&doc, None, 1, &[Op::put("x", "1")]).bytes();
            Ok(links_frame(head(&intruder.key, intruder.mesh, &doc, 1, &raw), 1, vec![raw]))
        })
        .await?;

    // Something is missing before it: the node asks for that, and applies nothing.
    let intruder = siege.intruder().await?;
    let mut session = intruder.greet(&siege.victim).await?;
    let first = honest(&intruder).bytes();
    let second = Forge::new(&intruder.doc(), Some((1, hash(&first))), 2, &[Op::put("y", "1")]).bytes();
    session.say(&intruder.links(2, vec![second])?).await?;
    session.hears("a request for what is missing", |frame| frame == want_frame(intruder.doc(), 1)).await?;
    siege.names(&siege.victim, intruder.id(), "withheld", "from link 1 on").await?;

    // It depends on a change that nobody has, now that the first one is here.
    let intruder = siege.intruder().await?;
    let mut session = intruder.greet(&siege.victim).await?;
    let first = honest(&intruder).bytes();
    session.say(&intruder.links(1, vec![first.clone()])?).await?;
    let nobody = ChangeHash::from_bytes([9; 32]);
    let orphan = Forge::new(&intruder.doc(), Some((1, nobody)), 2, &[Op::put("y", "1")]);
    session.say(&intruder.links(2, vec![orphan.bytes()])?).await?;
    session.hears("a request for what it hangs on", |frame| frame == want_frame(intruder.doc(), 1)).await?;
    siege.names(&siege.victim, intruder.id(), "withheld", "from link 1 on").await?;
    let two = Forge { dependencies: vec![hash(&first), nobody], ..orphan };
    session.say(&intruder.links(2, vec![two.bytes()])?).await?;
    siege.names(&siege.victim, intruder.id(), "malformed", "does not depend on exactly the link before").await?;

    // An author that nobody enrolled is not kept, and not named either: anybody could make up any number of them.
    let unknown = SecretKey::from_bytes(&[7; 32]);
    let intruder = siege.intruder().await?;
    let mut session = intruder.greet(&siege.victim).await?;
    let doc = doc_id(unknown.node_id(), DocKind::Authority, 0);
    let raw = Forge::new(&doc, None, 1, &[Op::put("x", "1")]).bytes();
    session.say(&links_frame(head(&unknown, intruder.mesh, &doc, 1, &raw), 1, vec![raw])).await?;
    // Frames are taken in order, so that one is behind it.
    session.say(&bent(&intruder, |forge| forge.actor = vec![3; 16])?).await?;
    siege.names(&siege.victim, intruder.id(), "malformed", "another actor").await?;
    let status = siege.victim.status().await?;
    ensure!(!status.to_string().contains(&unknown.node_id().short()), "a stranger is known: {status}");
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn equivocation_is_proven_to_every_node() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let intruder = siege.intruder().await?;
    let mut session = intruder.greet(&siege.victim).await?;
    for value in ["one", "another"] {
        let raw = Forge::new(&intruder.doc(), None, 1, &[Op::put("x", value)]).bytes();
        session.say(&intruder.links(1, vec![raw])?).await?;
    }
    for node in [&siege.victim, &siege.honest] {
        siege.names(node, intruder.id(), "fork", "part at link 1").await?;
    }
    let carriers = [siege.victim.id().await?, siege.honest.id().await?];
    for node in [&siege.victim, &siege.honest] {
        let status = node.status().await?;
        let blamed = list(&status, "/findings")?.iter().filter_map(|finding| finding.as_str());
        let blamed = blamed.filter(|finding| carriers.iter().any(|id| finding.contains(&id[..10]))).count();
        ensure!(blamed == 0, "a carrier is blamed: {status}");
    }
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_or_huge_frames_cost_their_sender_its_connection() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let intruder = siege.intruder().await?;
    let mut session = intruder.greet(&siege.victim).await?;
    for _ in 0..MORE_THAN_IS_BORNE {
        session.say(&[0xff; 4096]).await?;
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
    let reason = tokio::time::timeout(support::until::DEADLINE, connection.closed()).await?.to_string();
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
            let (bytes, streams) = hostile::fill(&connection).await;
            sent += bytes;
            held.push((connection, streams));
        }
    }
    ensure!(sent > 256 << 10, "only {sent} bytes went out, which is no attack");
    let open = held.iter().filter(|(connection, _)| connection.close_reason().is_none()).count();
    println!("{} connections, {open} of them still open; {} KiB went out", held.len(), sent >> 10);
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn unauthenticated_blob_download_is_refused() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let stranger = siege.stranger().await?;
    // The handshake succeeds on the dialler's side before the node decides.
    if let Ok(connection) = stranger.dial(&siege.victim, sedge_blobs::ALPN).await {
        let reason = tokio::time::timeout(support::until::DEADLINE, connection.closed()).await?.to_string();
        ensure!(reason.contains("not a member"), "{reason}");
    }
    siege.holds().await
}

/// Waits until the session's connection is closed for that reason.
async fn ends_as(session: &Session, why: &str) -> Result<()> {
    let reason = session.is_closed().await?;
    ensure!(reason.contains(why), "closed because of {reason}, where {why} was due");
    Ok(())
}
