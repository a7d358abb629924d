//! How many links a second one core takes, everything on: `cargo bench -p sedge-agent --bench links`.
//!
//! A thousand authors' links come to one node as frames, once with a signature for each link, as they do while nodes live, and once
//! with twenty links under one signature, as they do when a node catches up. Measured is [`Fleet::handle`]: decoding, signature, pre-check,
//! Automerge, canonical reload, and the records to store. The anchor does only what cannot be left out by anybody: a bare
//! ed25519 verification for each signature, and Automerge's `apply_changes` of the same changes, frame by frame.

mod nodes;
mod support;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use automerge::{Automerge, Change};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use nodes::{Author, START, certificate, genesis, id};
use sedge_fleet::testing::{self, StoredLink};
use sedge_fleet::{Event, Fleet};
use sedge_statement::{CellPath, NodeId};
use support::{Line, Report, median, timed};

const AUTHORS: u32 = 1000;
/// Links of each author: two frames of twenty.
const LINKS: u32 = 40;
/// Of these, how many come one by one: a node of some weeks says about as much.
const SINGLY: usize = 16;
const TOGETHER: usize = 20;

fn main() -> ExitCode {
    let authors: Vec<Vec<StoredLink>> = (1..=AUTHORS).map(links).collect();
    let mut report = Report::new("links", "processor time of one thread, median of five");
    // Round by round, as they would come: no author's next link right after its last.
    let singly: Vec<&[StoredLink]> = (0..SINGLY).flat_map(|i| authors.iter().map(move |links| &links[i..=i])).collect();
    let together: Vec<&[StoredLink]> = (0..LINKS as usize / TOGETHER)
        .flat_map(|i| authors.iter().map(move |links| &links[i * TOGETHER..(i + 1) * TOGETHER]))
        .collect();
    report.add(line("16,000 links of 1,000 authors, one a signature", &singly, 6_000.0));
    report.add(line("40,000 links of 1,000 authors, twenty a signature", &together, 50_000.0));
    report.finish()
}

fn links(n: u32) -> Vec<StoredLink> {
    let mut author = Author::new(n, &CellPath::root());
    author.live(LINKS);
    author.links()
}

fn line(what: &'static str, frames: &[&[StoredLink]], promise: f64) -> Line {
    let count: usize = frames.iter().map(|links| links.len()).sum();
    let rate = |spent: Duration| count as f64 / spent.as_secs_f64();
    let encoded: Vec<Vec<u8>> = frames.iter().map(|links| frame(links)).collect();
    let measured = median(|| receive(&encoded, count));
    let anchor = median(|| bare(frames));
    Line {
        what,
        measured: rate(measured),
        unit: "links/s",
        promise: Some(promise..=f64::INFINITY),
        anchor: ("bare ed25519 and Automerge", rate(anchor)),
    }
}

fn frame(links: &[StoredLink]) -> Vec<u8> {
    let last = links.last().expect("a frame has links");
    let head = last.head.clone().expect("authors sign every link");
    testing::links_frame(head, links[0].seq, links.iter().map(|link| link.raw.clone()).collect())
}

/// A node that knows all authors, and has one neighbour.
fn receiver(neighbour: NodeId) -> Fleet {
    let (genesis, mesh) = genesis();
    let mut fleet = Fleet::open(&genesis, mesh, id(0), []).expect("an empty fleet opens");
    for n in 0..=AUTHORS {
        fleet.publish(certificate(n, &CellPath::root(), mesh), START).expect("the root issued it");
    }
    fleet.handle(Event::Connected { peer: neighbour }, START);
    fleet.handle(Event::Received { peer: neighbour, frame: testing::hello_frame(mesh, &[]) }, START);
    fleet
}

fn receive(frames: &[Vec<u8>], count: usize) -> Duration {
    let peer = id(1);
    let mut fleet = receiver(peer);
    let frames = frames.to_vec();
    let (stored, spent) = timed(|| {
        frames.into_iter().map(|frame| fleet.handle(Event::Received { peer, frame }, START)).collect::<Vec<_>>()
    });
    let stored = stored.iter().flatten().filter_map(|effect| match effect {
        sedge_fleet::Effect::Persist(writes) => Some(writes.len()),
        _ => None,
    });
    assert_eq!(stored.sum::<usize>(), count, "every link was adopted and stored");
    spent
}

fn bare(frames: &[&[StoredLink]]) -> Duration {
    let key = SigningKey::from_bytes(&[1; 32]);
    let signed: Vec<(VerifyingKey, [u8; 120], Signature)> = (0..frames.len())
        .map(|i| {
            let mut message = [0; 120];
            message[..8].copy_from_slice(&i.to_le_bytes());
            (key.verifying_key(), message, key.sign(&message))
        })
        .collect();
    let changes: Vec<(_, Vec<Vec<u8>>)> =
        frames.iter().map(|links| (&links[0].doc, links.iter().map(|link| link.raw.clone()).collect())).collect();
    let mut documents: BTreeMap<_, Automerge> = BTreeMap::new();
    let (_, spent) = timed(|| {
        for ((doc, raws), (key, message, signature)) in changes.into_iter().zip(&signed) {
            key.verify_strict(message, signature).expect("it was just signed");
            let changes = raws.into_iter().map(|raw| Change::from_bytes(raw).expect("an honest change"));
            let document = documents.entry(doc).or_default();
            document.apply_changes(changes.collect::<Vec<_>>()).expect("it applies");
        }
        documents.len()
    });
    spent
}
