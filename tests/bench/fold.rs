//! How long a node with a thousand others takes from its disk to its view, and from one change to the next view:
//! `cargo bench -p sedge-agent --bench fold`.
//!
//! A `state.redb` with the table that the agent keeps holds the records of a mesh of a thousand nodes: certificates, node documents of
//! ten to twenty-one links (a profile, two slots, a dozen files), and one authority's twenty releases and deployments. Measured, in a fleet
//! without cells, where each node holds them all, is opening the database, reading its records, [`Fleet::open`] and [`Fleet::view`], the file being in the page cache. The anchor is
//! Automerge's own `load` of the same thousand documents, saved.

mod nodes;
mod releases;
mod support;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use automerge::{Automerge, Change};
use nodes::{Author, START, genesis, id};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use releases::{deployment, release};
use sedge_fleet::testing;
use sedge_fleet::{Edit, Event, Fleet, FleetView, Write};
use sedge_statement::{CellPath, DocKind};
use support::{Line, Report, median, timed};

const NODES: u32 = 1000;
const FLEET: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("fleet");

fn main() -> ExitCode {
    let authors: Vec<Author> = (0..=NODES).map(author).collect();
    let writes: Vec<Write> = authors.iter().flat_map(|author| author.writes.iter().cloned()).collect();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("state.redb");
    store(&path, &writes);
    let saved: Vec<Vec<u8>> = authors.iter().skip(1).map(saved).collect();
    let milliseconds = |spent: Duration| spent.as_secs_f64() * 1000.0;
    let loading = milliseconds(median(|| timed(|| load(&saved)).1));

    let mut report = Report::new("fold", "processor time of one thread, median of five");
    let read = milliseconds(median(|| timed(|| records(&path).len()).1));
    let folded = milliseconds(median(|| timed(|| view(&path)).1));
    report.add(Line {
        what: "1,000 nodes from disk to the view",
        measured: folded,
        unit: "ms",
        promise: Some(0.0..=150.0),
        anchor: ("Automerge load", loading),
    });
    report.add(Line {
        what: "of that: reading the records",
        measured: read,
        unit: "ms",
        promise: None,
        anchor: ("Automerge load", loading),
    });
    let (mut fleet, first) = view(&path);
    let copying = milliseconds(median(|| timed(|| FleetView::clone(&first)).1));
    let mut links = news();
    report.add(Line {
        what: "the view after one node's link, of 1,000",
        measured: milliseconds(median(|| next_view(&mut fleet, links.next().expect("enough news")))),
        unit: "ms",
        promise: None,
        anchor: ("a copy of the view", copying),
    });
    let later = START.plus(Duration::from_secs(5));
    report.add(Line {
        what: "the view 5 s later, nothing changed",
        measured: milliseconds(median(|| timed(|| fleet.view(later)).1)),
        unit: "ms",
        promise: None,
        anchor: ("a copy of the view", copying),
    });
    report.add(resident(&path, &saved));
    report.finish()
}

/// The links of a node: ten to twenty-one.
fn links(n: u32) -> u32 {
    10 + n % 12
}

fn author(n: u32) -> Author {
    let mut author = Author::new(n, &CellPath::root());
    if n > 0 {
        author.live(links(n));
        return author;
    }
    for i in 0..20 {
        let release = release(i);
        let id = release.id();
        author.write(DocKind::Authority, &[Edit::PutRelease(release)]);
        author.write(DocKind::Authority, &[Edit::PutDeployment(deployment(id, i))]);
    }
    author
}

/// A frame with one link more than the store holds, of one node after another.
fn news() -> impl Iterator<Item = Vec<u8>> {
    (1..=8).map(|n| {
        let mut ahead = Author::new(n, &CellPath::root());
        ahead.live(links(n) + 1);
        let last = ahead.links().pop().expect("it wrote");
        testing::links_frame(last.head.expect("signed"), last.seq, vec![last.raw])
    })
}

fn next_view(fleet: &mut Fleet, frame: Vec<u8>) -> Duration {
    let (_, mesh) = genesis();
    fleet.handle(Event::Connected { peer: id(1) }, START);
    fleet.handle(Event::Received { peer: id(1), frame: testing::hello_frame(mesh, &[]) }, START);
    let before = fleet.view(START);
    fleet.handle(Event::Received { peer: id(1), frame }, START);
    let (after, spent) = timed(|| fleet.view(START));
    assert_ne!(before.digest(), after.digest(), "the link says something new");
    spent
}

fn store(path: &Path, writes: &[Write]) {
    let database = Database::create(path).expect("a new file");
    let transaction = database.begin_write().expect("a transaction");
    {
        let mut table = transaction.open_table(FLEET).expect("a table");
        for Write { key, value } in writes {
            match value {
                Some(value) => table.insert(key.as_slice(), value.as_slice()).map(|_| ()),
                None => table.remove(key.as_slice()).map(|_| ()),
            }
            .expect("a record");
        }
    }
    transaction.commit().expect("a commit");
}

/// As the agent's store reads them.
fn records(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let database = Database::create(path).expect("the file opens");
    let transaction = database.begin_read().expect("a transaction");
    let table = transaction.open_table(FLEET).expect("the table");
    let records = table.iter().expect("its records");
    records
        .map(|record| {
            let (key, value) = record.expect("a record");
            (key.value().to_vec(), value.value().to_vec())
        })
        .collect()
}

fn view(path: &Path) -> (Fleet, Arc<FleetView>) {
    let (genesis, mesh) = genesis();
    let mut fleet = Fleet::open(&genesis, mesh, id(0), records(path)).expect("it opens");
    let view = fleet.view(START);
    let nodes = NODES as usize;
    assert_eq!((view.profiles.len(), view.slots.len(), view.releases.len()), (nodes, 2 * nodes, 20));
    assert_eq!((view.deployments.len(), view.holders.len(), view.findings.len()), (20, 64, 0), "{:?}", view.findings);
    (fleet, view)
}

fn saved(author: &Author) -> Vec<u8> {
    let mut document = Automerge::new();
    let changes = author.links().into_iter().map(|link| Change::from_bytes(link.raw).expect("honest"));
    document.apply_changes(changes.collect::<Vec<_>>()).expect("it applies");
    document.save()
}

fn load(saved: &[Vec<u8>]) -> Vec<Automerge> {
    saved.iter().map(|bytes| Automerge::load(bytes).expect("it was just saved")).collect()
}

/// Resident memory that a node document costs, with everything round it, and that its bare Automerge document costs.
fn resident(path: &Path, saved: &[Vec<u8>]) -> Line {
    let kibibytes = |before: f64, after: f64| (after - before).max(1.0) / f64::from(NODES);
    let before = resident_kibibytes();
    let documents = load(saved);
    let loaded = resident_kibibytes();
    let fleet = view(path);
    let folded = resident_kibibytes();
    drop((documents, fleet));
    Line {
        what: "resident memory, each node's document",
        measured: kibibytes(loaded, folded),
        unit: "KiB",
        promise: None,
        anchor: ("Automerge load", kibibytes(before, loaded)),
    }
}

fn resident_kibibytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
}
