//! What one deployment costs one node, as the fleet grows around its cell: `cargo bench -p sedge-agent --bench growth`.
//!
//! The node is one of a cell of a hundred, in fleets of 100, 1,000 and 10,000. It has two neighbours, one of its cell and one of another, both whole
//! [`Fleet`]s that hold what a node there holds. A release and its deployment in three waves are published, each node of both cells reports the steps of
//! its update, and each wave's witnesses sign their evidence; other nodes are certificates alone, since nothing else of theirs leaves their cells. Counted
//! are the bytes of the frames that reach the node, of its store, and of its memory with its view, what was there before taken off. What certificates,
//! authorities and evidence take is stated apart: every node holds those. The rest must not grow with the fleet.

mod nodes;
mod releases;
mod support;

use std::collections::BTreeMap;
use std::process::ExitCode;

use nodes::{Author, START, certificate, genesis, id, key};
use peak_alloc::PeakAlloc;
use releases::{deployment, release};
use sedge_fleet::testing::{self, StoredLink};
use sedge_fleet::{Edit, Effect, Event, Fleet, Write};
use sedge_statement::{CellPath, DocKind, GateReport, MeshId, NodeId, RolloutId, SlotState};
use support::{Line, Report, median, timed};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const CELL: u32 = 100;
/// The node that is looked at, and its neighbours.
const NODE: u32 = 1;
const NEAR: u32 = 2;
const FAR: u32 = CELL + 1;
/// Links of each node before the deployment, and those that it takes to tell of it.
const BEFORE: u32 = 10;
const STEPS: u32 = 12;
/// How much the rest may vary: keys differ in how they compress.
const SLACK: f64 = 1.05;

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn main() -> ExitCode {
    let mut authors: Vec<Author> = (0..=2 * CELL).map(before).collect();
    let old: Vec<usize> = authors.iter().map(|author| author.writes.len()).collect();
    deploy(&mut authors);
    let costs = [100, 1_000, 10_000].map(|nodes| Fleets::new(nodes, &authors, &old).cost());
    let mut report = Report::new(
        "growth",
        "bytes at one node of a cell of 100, for one deployment; and for certificates, all of them",
    );
    let names = |of: [&'static str; 3]| of.into_iter().zip(&costs);
    let line = |what, measured, promise: Option<f64>, anchor: f64| Line {
        what,
        measured,
        unit: "KiB",
        promise: promise.map(|most| 0.0..=most),
        anchor: ("100 nodes", anchor),
    };
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    let least = &costs[0];
    for (what, cost) in names(["received, 100 nodes", "received, 1,000 nodes", "received, 10,000 nodes"]) {
        let (rest, anchor) = (kib(cost.received.cell), kib(least.received.cell));
        report.add(line(what, rest, Some(anchor * SLACK), anchor));
    }
    for (what, cost) in names(["stored, 100 nodes", "stored, 1,000 nodes", "stored, 10,000 nodes"]) {
        let (rest, anchor) = (kib(cost.stored.cell), kib(least.stored.cell));
        report.add(line(what, rest, Some(anchor * SLACK), anchor));
    }
    for (what, cost) in names(["resident, 100 nodes", "resident, 1,000 nodes", "resident, 10,000 nodes"]) {
        let (rest, anchor) = (kib(cost.resident.cell), kib(least.resident.cell));
        report.add(line(what, rest, Some(anchor * SLACK), anchor));
    }
    let apart = |report: &mut Report, of: [&'static str; 3], figure: fn(&Cost) -> usize| {
        for (what, cost) in of.into_iter().zip(&costs) {
            report.add(line(what, kib(figure(cost)), None, kib(figure(least))));
        }
    };
    let what = ["authority and evidence received, 100", "same, 1,000", "same, 10,000"];
    apart(&mut report, what, |cost| cost.received.mesh);
    let what = ["authority and evidence stored, 100", "those, 1,000", "those, 10,000"];
    apart(&mut report, what, |cost| cost.stored.mesh);
    let what = ["all certificates, stored, 100", "certificates, stored, 1,000", "certificates, stored, 10,000"];
    apart(&mut report, what, |cost| cost.stored.certificates);
    let what = ["all certificates, resident, 100", "certificates, resident, 1,000", "certificates, resident, 10,000"];
    apart(&mut report, what, |cost| cost.resident.certificates);
    let [fewest, most] = [100, 10_000].map(|nodes| Fleets::new(nodes, &authors, &old).opening());
    let (what, anchor) = ("from 10,000 certificates to the view", ("from 100", fewest));
    report.add(Line { what, measured: most, unit: "ms", promise: None, anchor });
    report.finish()
}

/// Bytes of what a cell's nodes say of themselves, of what the whole mesh holds, and of its certificates.
#[derive(Debug, Default)]
struct Bytes {
    cell: usize,
    mesh: usize,
    certificates: usize,
}

#[derive(Debug, Default)]
struct Cost {
    received: Bytes,
    stored: Bytes,
    resident: Bytes,
}

fn cell(n: u32) -> CellPath {
    format!("acme/cell-{}", n.saturating_sub(1) / CELL).parse().expect("a cell")
}

fn before(n: u32) -> Author {
    let mut author = Author::new(n, &cell(n));
    if n > 0 {
        author.live(BEFORE);
    }
    author
}

/// The release, its deployment, and what each node says on the way.
fn deploy(authors: &mut [Author]) {
    let release = release(1);
    let deployment = deployment(release.id(), 1);
    let rollout = deployment.id();
    authors[0].write(DocKind::Authority, &[Edit::PutRelease(release)]);
    authors[0].write(DocKind::Authority, &[Edit::PutDeployment(deployment)]);
    for author in authors.iter_mut().skip(1) {
        author.go_on(BEFORE, BEFORE + STEPS);
        author.write(DocKind::Gate, &[Edit::PutGate(evidence(rollout))]);
    }
}

fn evidence(rollout: RolloutId) -> GateReport {
    let soaked = std::time::Duration::from_secs(60);
    GateReport { rollout, state: SlotState::Committed, reason: None, sha256: None, soaked, at: START }
}

/// How many nodes of a fleet are witnesses: 64 at the most of each of three waves, of one node, of a quarter, of all.
fn witnesses(nodes: u32) -> u32 {
    1 + (nodes / 4 - 1).min(64) + (nodes - nodes / 4).min(64)
}

/// A node with its neighbours.
struct Fleets<'a> {
    mesh: MeshId,
    certificates: Records,
    authors: &'a [Author],
    old: &'a [usize],
    nodes: u32,
}

impl<'a> Fleets<'a> {
    fn new(nodes: u32, authors: &'a [Author], old: &'a [usize]) -> Self {
        let (_, mesh) = genesis();
        let record = |n| {
            let object = certificate(n, &cell(n), mesh);
            ([b"o", object.id().as_bytes().as_slice()].concat(), object.to_bytes())
        };
        let certificates = (0..=nodes).map(record).collect();
        let there = usize::try_from(nodes.min(2 * CELL)).expect("a few") + 1;
        Self { mesh, certificates, authors: &authors[..there], old: &old[..there], nodes }
    }

    fn cost(&self) -> Cost {
        let mut records = self.certificates.clone();
        for (author, old) in self.authors.iter().zip(self.old) {
            apply(&mut records, &author.writes[..*old]);
        }
        let has_far = self.nodes > CELL;
        let mut neighbours: Vec<(NodeId, Fleet)> =
            [NEAR].into_iter().chain(has_far.then_some(FAR)).map(|n| (id(n), open(n, &records))).collect();
        let mut node = open(NODE, &records);
        let mut store = records;
        keep(&node.handle(Event::Tick, START), &mut store);
        let stored_before = stored(&store);
        for (peer, _) in &neighbours {
            connect(&mut node, *peer, self.mesh);
        }
        let mut received = Bytes::default();
        for (_, neighbour) in &mut neighbours {
            connect(neighbour, id(NODE), self.mesh);
        }
        for (n, link) in self.news() {
            for (peer, neighbour) in &mut neighbours {
                let author = id(n);
                if author == *peer || author == id(NODE) {
                    continue;
                }
                connect(neighbour, author, self.mesh);
                let effects = neighbour.handle(Event::Received { peer: author, frame: frame(&link) }, START);
                neighbour.handle(Event::Disconnected { peer: author }, START);
                for frame in sends(effects, id(NODE)) {
                    let bytes = if link.doc.kind == DocKind::Node { &mut received.cell } else { &mut received.mesh };
                    *bytes += frame.len();
                    keep(&node.handle(Event::Received { peer: *peer, frame }, START), &mut store);
                }
            }
        }
        let after = stored(&store);
        let difference = Bytes {
            cell: after.cell - stored_before.cell,
            mesh: after.mesh - stored_before.mesh,
            certificates: after.certificates,
        };
        Cost { received, stored: difference, resident: self.resident(&store) }
    }

    /// How long the node takes from its certificates to its view, milliseconds.
    fn opening(&self) -> f64 {
        let spent = median(|| timed(|| open(NODE, &self.certificates).view(START)).1);
        spent.as_secs_f64() * 1000.0
    }

    /// What is new, by whom: of the witnesses their evidence too.
    fn news(&self) -> Vec<(u32, StoredLink)> {
        let mut news = Vec::new();
        for ((n, author), old) in (0u32..).zip(self.authors).zip(self.old) {
            let before = author.writes[..*old].iter().filter_map(testing::stored_link).count();
            let links = author.links().into_iter().skip(before);
            let signs = n == 0 || n <= witnesses(self.nodes);
            news.extend(links.filter(|link| link.doc.kind != DocKind::Gate || signs).map(|link| (n, link)));
        }
        news
    }

    /// The memory of the node with its view, and of one that holds certificates alone, or what the whole mesh holds.
    fn resident(&self, store: &Records) -> Bytes {
        let of_mesh: Records = store.iter().filter(|(key, value)| !is_of_cell(key, value)).map(owned).collect();
        let [certificates, mesh, all] = [&self.certificates, &of_mesh, store].map(|records| {
            let before = MEMORY.current_usage();
            let mut fleet = open(NODE, records);
            let view = fleet.view(START);
            let taken = MEMORY.current_usage().saturating_sub(before);
            drop((fleet, view));
            taken
        });
        Bytes { cell: all - mesh, mesh: mesh - certificates, certificates }
    }
}

fn owned((key, value): (&Vec<u8>, &Vec<u8>)) -> (Vec<u8>, Vec<u8>) {
    (key.clone(), value.clone())
}

fn open(n: u32, records: &Records) -> Fleet {
    let (genesis, mesh) = genesis();
    Fleet::open(&genesis, mesh, key(n).node_id(), records.iter().map(owned)).expect("it opens")
}

/// Connects a peer that both know.
fn connect(fleet: &mut Fleet, peer: NodeId, mesh: MeshId) {
    fleet.handle(Event::Connected { peer }, START);
    fleet.handle(Event::Received { peer, frame: testing::hello_frame(mesh, &[]) }, START);
}

fn frame(link: &StoredLink) -> Vec<u8> {
    testing::links_frame(link.head.clone().expect("authors sign every link"), link.seq, vec![link.raw.clone()])
}

fn sends(effects: Vec<Effect>, to: NodeId) -> impl Iterator<Item = Vec<u8>> {
    effects.into_iter().filter_map(move |effect| match effect {
        Effect::Send { peer, frame } if peer == to => Some(frame),
        _ => None,
    })
}

fn keep(effects: &[Effect], store: &mut Records) {
    for effect in effects {
        if let Effect::Persist(writes) = effect {
            apply(store, writes);
        }
    }
}

fn apply(store: &mut Records, writes: &[Write]) {
    for Write { key, value } in writes {
        match value {
            Some(value) => store.insert(key.clone(), value.clone()),
            None => store.remove(key),
        };
    }
}

fn is_of_cell(key: &[u8], value: &[u8]) -> bool {
    let write = Write { key: key.to_vec(), value: Some(value.to_vec()) };
    testing::stored_link(&write).is_some_and(|link| link.doc.kind == DocKind::Node)
}

fn stored(store: &Records) -> Bytes {
    let mut bytes = Bytes::default();
    for (key, value) in store {
        let kind = match key.first() {
            Some(b'o') => &mut bytes.certificates,
            _ if is_of_cell(key, value) => &mut bytes.cell,
            _ => &mut bytes.mesh,
        };
        *kind += key.len() + value.len();
    }
    bytes
}
