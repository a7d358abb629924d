//! Histories that no honest author writes.

use anyhow::{Context, Result, ensure};
use automerge::transaction::Transactable;
use sedge_fleet::testing::{Forge, Op, actor, column, doc_id, hash, head, links_frame, run_of, want_frame};
use sedge_statement::{ChangeHash, DocKind, NodeId, SecretKey};

use crate::hostile::Intruder;
use crate::siege::{INFLATED, Siege};
use crate::support::node::list;

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
