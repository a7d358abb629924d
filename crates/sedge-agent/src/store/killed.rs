//! Killed at every write: whatever is left on the disk, the node stands where its acknowledged records end.

use std::collections::{BTreeMap, BTreeSet};

use redb::Database;
use sedge_fleet::{Edit, Effect, Event, FindingKind, Fleet};
use sedge_mesh::Storage;
use sedge_slot::{Floor, SlotMachine};
use sedge_statement::{Blake3, DocKind, codec};

use super::disk::{Disk, Loss, left};
use super::life::{ME, NEIGHBOUR, Peer, Records, at, genesis, id, key, live};
use super::{Kind, Record, Store};

/// Everything in a store.
type Contents = Vec<Vec<Record>>;

/// Where the store stood when it had acknowledged something, and what its neighbour had heard by then.
struct Stand {
    asked: usize,
    contents: Contents,
    neighbour: Records,
}

fn store_on(disk: Disk) -> Store {
    Store::over(Database::builder().create_with_backend(disk).unwrap()).unwrap()
}

fn contents(store: &Store) -> Contents {
    let tables = Kind::ALL.iter().map(|kind| store.list(*kind).unwrap());
    let meta = ["format", "genesis", "mesh"].map(|name| (name.into(), store.meta(name).unwrap().unwrap_or_default()));
    tables.chain([store.fleet().unwrap(), meta.to_vec()]).collect()
}

fn floors(store: &Store) -> BTreeMap<Vec<u8>, Floor> {
    let kept = store.list(Kind::Floor).unwrap().into_iter();
    kept.map(|(slot, floor)| (slot, codec::decode(&floor, 64 << 10).unwrap())).collect()
}

#[test]
fn killed_at_every_write_a_node_stands_where_its_acknowledged_records_end() {
    let disk = Disk::default();
    let mut stands: Vec<Stand> = Vec::new();
    {
        let store = store_on(disk.clone());
        let asked = disk.asked();
        stands.push(Stand { asked, contents: contents(&store), neighbour: Records::new() });
        live(&store, &mut |store, neighbour| {
            let (contents, neighbour) = (contents(store), neighbour.records.clone());
            stands.push(Stand { asked: disk.asked(), contents, neighbour });
        });
    }
    let ops = disk.log();
    let (mut cuts, mut behind, mut gone_on) = (0, [0; 2], BTreeSet::new());
    for cut in stands[0].asked..=ops.len() {
        let last = stands.iter().rposition(|stand| stand.asked <= cut).unwrap();
        for loss in [Loss::Nothing, Loss::Unsynced, Loss::Torn(cut as u64), Loss::Torn(!cut as u64)] {
            let found = reopened(left(&ops[..cut], loss), &stands, last, &mut gone_on)
                .unwrap_or_else(|why| panic!("cut at {cut} of {}, {loss:?}: {why}", ops.len()));
            behind[found - last] += 1;
            cuts += 1;
        }
    }
    assert!(behind[0] > 0 && behind[1] > 0, "some cuts fall before a commit lasts, some behind: {behind:?}");
    println!(
        "{cuts} cuts in {} writes and syncs of {} commits: {} at the last acknowledged one, {} at the one under way",
        ops.len(),
        stands.len() - 1,
        behind[0],
        behind[1]
    );
}

/// Opens what is left, and goes on with it; says at which of the stands it was. What a node does from there, the store's contents and what the
/// neighbour had heard decide, so that is tried once for each of both.
fn reopened(
    image: Vec<u8>,
    stands: &[Stand],
    last: usize,
    gone_on: &mut BTreeSet<(usize, usize)>,
) -> Result<usize, String> {
    let database = Database::builder().create_with_backend(Disk::of(image)).map_err(|error| error.to_string())?;
    let store = Store::over(database).map_err(|error| error.to_string())?;
    let found = contents(&store);
    let stand = (last..stands.len().min(last + 2)).find(|n| stands[*n].contents == found);
    let stand = stand.ok_or_else(|| format!("it is neither at commit {last} nor at the next"))?;
    for (_, journal) in store.list(Kind::Journal).unwrap() {
        SlotMachine::open(&journal).map_err(|error| error.to_string())?;
    }
    for (slot, floor) in floors_of(&stands[last].contents) {
        let now = floors(&store).remove(&slot).ok_or("a floor is gone")?;
        let lower = floor.releases.iter().any(|(model, generation)| now.releases.get(model) < Some(generation));
        if now.deployment < floor.deployment || lower {
            return Err("a floor is lower".to_owned());
        }
    }
    store.put(Kind::Draft, b"after", Some(b"all")).map_err(|error| error.to_string())?;
    if gone_on.insert((stand, last)) {
        goes_on(&store, &stands[last].neighbour)?;
    }
    Ok(stand)
}

fn floors_of(contents: &Contents) -> BTreeMap<Vec<u8>, Floor> {
    let at = Kind::ALL.iter().position(|kind| *kind == Kind::Floor).unwrap();
    contents[at].iter().map(|(slot, floor)| (slot.clone(), codec::decode(floor, 64 << 10).unwrap())).collect()
}

/// Writes before anybody is heard, which is the worst that a node can do, and then meets the neighbour that heard all it said before.
fn goes_on(store: &Store, heard: &Records) -> Result<(), String> {
    let (genesis, mesh) = genesis();
    if store.meta("genesis").unwrap().is_none() {
        return Ok(());
    }
    let mut fleet = Fleet::open(&genesis, mesh, id(ME), store.fleet().unwrap()).map_err(|error| error.to_string())?;
    let edit = Edit::PutArtifact { blake3: Blake3::of(b"after"), size: 1 };
    let effects = fleet.write(&key(ME), DocKind::Node, at(500), &[edit]).map_err(|error| error.to_string())?;
    commit(store, &effects);
    let mut neighbour = Peer::open(NEIGHBOUR, heard.clone());
    let effects = fleet.handle(Event::Connected { peer: id(NEIGHBOUR) }, at(500));
    let mut to_them = commit(store, &effects);
    let effects = neighbour.fleet.handle(Event::Connected { peer: id(ME) }, at(500));
    let mut to_me = neighbour.keep(&effects);
    for seconds in 500..520 {
        while !(to_me.is_empty() && to_them.is_empty()) {
            for frame in std::mem::take(&mut to_them) {
                let effects = neighbour.fleet.handle(Event::Received { peer: id(ME), frame }, at(seconds));
                to_me.extend(neighbour.keep(&effects));
            }
            for frame in std::mem::take(&mut to_me) {
                to_them
                    .extend(commit(store, &fleet.handle(Event::Received { peer: id(NEIGHBOUR), frame }, at(seconds))));
            }
        }
        to_them.extend(commit(store, &fleet.handle(Event::Tick, at(seconds))));
        let effects = neighbour.fleet.handle(Event::Tick, at(seconds));
        to_me.extend(neighbour.keep(&effects));
    }
    let (mine, theirs) = (fleet.view(at(520)), neighbour.fleet.view(at(520)));
    let forked = |finding: &&sedge_fleet::Finding| finding.kind == FindingKind::Fork && finding.about == id(ME);
    if let Some(fork) = mine.findings.iter().chain(&theirs.findings).find(forked) {
        return Err(format!("it contradicts itself: {fork}"));
    }
    if mine.digest() == theirs.digest() {
        Ok(())
    } else {
        Err("it does not come to one view with its neighbour".to_owned())
    }
}

/// Keeps what is to be kept, and gives the frames.
fn commit(store: &Store, effects: &[Effect]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for effect in effects {
        match effect {
            Effect::Persist(writes) => store.commit(writes).unwrap(),
            Effect::Send { frame, .. } => frames.push(frame.clone()),
            _ => {}
        }
    }
    frames
}

#[test]
fn a_first_start_that_was_killed_at_any_write_starts_again() {
    let disk = Disk::default();
    drop(store_on(disk.clone()));
    let ops = disk.log();
    let dir = tempfile::tempdir().unwrap();
    let (path, fresh) = (dir.path().join("state.redb"), dir.path().join("state.redb.new"));
    for cut in 0..=ops.len() {
        for loss in [Loss::Nothing, Loss::Unsynced, Loss::Torn(cut as u64)] {
            std::fs::write(&fresh, left(&ops[..cut], loss)).unwrap();
            let store = Store::open(&path).unwrap();
            assert_eq!(store.fleet().unwrap(), []);
            drop(store);
            assert!(!fresh.exists());
            std::fs::remove_file(&path).unwrap();
        }
    }
    println!("{} cuts of a first start", 3 * (ops.len() + 1));
}
