//! A store of this version, kept in the repository: every later version opens it to the same view, the same slots and the same floors.
//!
//! `tests/fixtures/store/state.redb` is what the node of `life.rs` leaves behind, and `view.txt` what is to be seen in it. Where a format changes on purpose,
//! before the first release, both are made anew with `SEDGE_WRITE_FIXTURE=1 cargo test -p sedge-agent --lib store::fixture`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use redb::Database;
use sedge_fleet::Fleet;
use sedge_slot::{Floor, SlotMachine};
use sedge_statement::{Blake3, codec};

use super::life::{ME, at, genesis, id, live};
use super::{Kind, Store};

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/store").join(name)
}

#[test]
fn a_store_of_an_earlier_day_opens_to_the_same_view() {
    let (state, view) = (here("state.redb"), here("view.txt"));
    if std::env::var_os("SEDGE_WRITE_FIXTURE").is_some() {
        fs::create_dir_all(here("")).unwrap();
        if state.exists() {
            fs::remove_file(&state).unwrap();
        }
        live(&Store::open(&state).unwrap(), &mut |_, _| {});
        Database::open(&state).unwrap().compact().unwrap();
        fs::write(&view, seen(&state)).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("state.redb");
    fs::copy(&state, &copy).unwrap();
    for time in ["first", "second"] {
        assert_eq!(seen(&copy), fs::read_to_string(&view).unwrap(), "the {time} time");
    }
}

/// What is to be seen in a store.
fn seen(path: &Path) -> String {
    let store = Store::open(path).unwrap();
    let (genesis, mesh) = genesis();
    assert_eq!(store.meta("genesis").unwrap(), Some(genesis.clone()));
    let mut fleet = Fleet::open(&genesis, mesh, id(ME), store.fleet().unwrap()).unwrap();
    let view = fleet.view(at(500));
    let mut out = String::new();
    let roots: Vec<String> = view.roots.keys.iter().map(|root| root.short()).collect();
    let (version, threshold) = (view.roots.version, view.roots.threshold);
    line(&mut out, format_args!("roots, version {version}: {threshold} of {}", roots.join(" ")));
    for (node, c) in &view.members {
        let roles: Vec<&str> = c.roles.iter().map(|role| role.word()).collect();
        line(&mut out, format_args!("member {} {} revision {}: {}", node.short(), c.name, c.revision, roles.join(" ")));
    }
    for node in view.revoked.keys() {
        line(&mut out, format_args!("revoked {}", node.short()));
    }
    for (id, published) in &view.releases {
        let manifest = &published.release.manifest;
        line(&mut out, format_args!("release {} {}:{}", id.short(), manifest.id, manifest.version));
    }
    for (id, published) in &view.deployments {
        let (release, controls) = (published.deployment.release.short(), published.controls);
        let control = &published.control;
        line(&mut out, format_args!("deployment {} of {release}: {control}, control {controls}", id.short()));
    }
    for ((node, slot), report) in &view.slots {
        let since = report.since;
        line(&mut out, format_args!("slot {slot} of {}: {} since {since}", node.short(), report.state));
    }
    for (blake3, nodes) in &view.holders {
        line(&mut out, format_args!("file {} held by {}", blake3.short(), nodes.len()));
    }
    for (rollout, reports) in &view.gates {
        for (node, report) in reports {
            line(&mut out, format_args!("evidence on {} by {}: {}", rollout.short(), node.short(), report.state));
        }
    }
    for finding in &view.findings {
        line(&mut out, format_args!("finding: {finding}"));
    }
    for entry in fleet.trail(at(500)) {
        let (at, by, standing) = (entry.order.at, entry.order.by.short(), entry.standing.word());
        line(&mut out, format_args!("trail: {at} {by} {standing}"));
    }
    seen_of_slots(&store, &mut out);
    out
}

fn seen_of_slots(store: &Store, out: &mut String) {
    for (_, journal) in store.list(Kind::Journal).unwrap() {
        let machine = SlotMachine::open(&journal).unwrap();
        let serving = machine.serving().unwrap();
        let (slot, state, release) = (&machine.journal().slot, machine.state().unwrap(), serving.release.short());
        line(out, format_args!("journal of {slot}: {state}, stands for {release} since {}", serving.since));
    }
    for (slot, floor) in store.list(Kind::Floor).unwrap() {
        let floor: Floor = codec::decode(&floor, 64 << 10).unwrap();
        let releases: Vec<String> = floor.releases.iter().map(|(model, n)| format!("{model} {n}")).collect();
        let (slot, deployment) = (String::from_utf8_lossy(&slot).into_owned(), floor.deployment);
        line(out, format_args!("floor of {slot}: deployment {deployment}, {}", releases.join(", ")));
    }
    // Of the other tables the digests do: their records are read by the tests of those who keep them.
    for kind in Kind::ALL {
        let all: Vec<u8> = store.list(kind).unwrap().into_iter().flat_map(|(k, v)| [k, v].concat()).collect();
        line(out, format_args!("{kind:?}: {}", Blake3::of(&all).short()));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").unwrap();
}
