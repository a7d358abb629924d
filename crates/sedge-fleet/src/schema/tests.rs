//! Edits read back as what was said, in few operations, and hostile documents read without harm.

use std::collections::BTreeMap;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{Automerge, AutomergeError, ObjType, ROOT, ReadDoc, ScalarValue};
use sedge_statement::{
    Blake3, Control, ControlAction, DocKind, GateReport, ReleaseId, RolloutId, Sha256, SlotReport, SlotState, Timestamp,
};

use super::read::{Defect, MAX_LIST};
use super::{Defects, Edit, apply, note_evidence, read_authority, read_gate, read_node};
use crate::view::fixtures::{deployment, profile, release};

fn slot(state: SlotState, reason: Option<String>) -> SlotReport {
    SlotReport {
        slot: "detector".parse().unwrap(),
        rollout: Some(RolloutId::from_bytes([1; 32])),
        state,
        reason,
        since: Timestamp::from_millis(u64::MAX),
        serving: Some(ReleaseId::from_bytes([2; 32])),
        sha256: Some(Sha256::from_bytes([3; 32])),
    }
}

fn gate() -> GateReport {
    GateReport {
        rollout: RolloutId::from_bytes([1; 32]),
        state: SlotState::Failed,
        reason: Some("out of memory".into()),
        sha256: None,
        soaked: Duration::from_millis(1500),
        at: Timestamp::from_millis(5),
    }
}

/// Applies edits in one change; says how many operations it took.
fn write(doc: &mut Automerge, edits: &[Edit]) -> usize {
    doc.transact::<_, _, AutomergeError>(|tx| {
        apply(tx, edits)?;
        Ok(tx.pending_ops())
    })
    .unwrap()
    .result
}

/// The edits that build what a document says anew.
fn edits_of(doc: &Automerge, kind: DocKind) -> Vec<Edit> {
    let mut unread = Defects::default();
    match kind {
        DocKind::Authority => {
            let content = read_authority(doc, &mut unread);
            let releases = content.releases.into_iter().map(|(_, release)| Edit::PutRelease(release));
            let deployments = content.deployments.into_iter().map(|(_, deployment)| Edit::PutDeployment(deployment));
            releases.chain(deployments).chain(content.controls.into_iter().map(Edit::PutControl)).collect()
        }
        DocKind::Node => super::snapshot(doc),
        DocKind::Gate => {
            let mut standing = BTreeMap::new();
            for report in read_gate(doc, &mut unread).reports {
                note_evidence(standing.entry(report.rollout), report);
            }
            standing.into_values().map(Edit::PutGate).collect()
        }
    }
}

fn control(reason: &str) -> Control {
    let (rollout, action) = (RolloutId::from_bytes([1; 32]), ControlAction::Pause);
    Control { rollout, action, count: 3, reason: reason.into(), at: Timestamp::from_millis(9) }
}

#[test]
fn what_is_read_of_applied_edits_rebuilds_the_same_state() {
    let release = release("digits", 1);
    let sets = [
        (
            DocKind::Authority,
            vec![
                Edit::PutRelease(release.clone()),
                Edit::PutDeployment(deployment(release.id(), 1)),
                Edit::PutControl(control("noise")),
            ],
        ),
        (
            DocKind::Node,
            vec![
                Edit::PutProfile(profile(2)),
                Edit::PutSlot(slot(SlotState::Committed, None)),
                Edit::PutArtifact { blake3: Blake3::of(b"weights"), size: u64::MAX },
            ],
        ),
        (DocKind::Gate, vec![Edit::PutGate(gate())]),
    ];
    for (kind, edits) in sets {
        assert!(edits.iter().all(|edit| edit.kind() == kind));
        let mut doc = Automerge::new();
        write(&mut doc, &edits);
        assert_eq!(edits_of(&doc, kind), edits);
        let mut again = Automerge::new();
        write(&mut again, &edits_of(&doc, kind));
        assert_eq!(again.hydrate(None), doc.hydrate(None));
    }
}

#[test]
fn a_slot_that_moves_on_writes_only_what_changed() {
    let mut doc = Automerge::new();
    write(&mut doc, &[Edit::PutSlot(slot(SlotState::Testing, Some("trying".into())))]);
    assert_eq!(write(&mut doc, &[Edit::PutSlot(slot(SlotState::Activating, Some("trying".into())))]), 1);
    assert_eq!(write(&mut doc, &[Edit::PutSlot(slot(SlotState::Activating, None))]), 1);
    assert_eq!(write(&mut doc, &[Edit::PutSlot(slot(SlotState::Activating, None))]), 0);
    let read = read_node(&doc, &mut Defects::default());
    assert_eq!(read.slots, [slot(SlotState::Activating, None)]);
}

#[test]
fn evidence_is_only_added_to_and_a_failure_is_the_last_of_it() {
    let mut doc = Automerge::new();
    let report = |state, soaked| GateReport { state, soaked: Duration::from_secs(soaked), reason: None, ..gate() };
    let put = |doc: &mut Automerge, state, soaked| write(doc, &[Edit::PutGate(report(state, soaked))]);
    assert!(put(&mut doc, SlotState::Committed, 0) > 0);
    assert_eq!(put(&mut doc, SlotState::Committed, 0), 0, "nothing new");
    assert!(put(&mut doc, SlotState::Committed, 5) > 0);
    assert_eq!(put(&mut doc, SlotState::Committed, 4), 0, "nothing new");
    for n in 0..40 {
        put(&mut doc, if n % 2 == 0 { SlotState::Superseded } else { SlotState::Committed }, 5);
    }
    let said = |doc: &Automerge| read_gate(doc, &mut Defects::default()).reports;
    assert_eq!(said(&doc).len(), 31, "a place is left");
    assert!(put(&mut doc, SlotState::Failed, 0) > 0, "for a failure");
    assert_eq!(put(&mut doc, SlotState::Committed, 9), 0, "and nothing follows it");
    let said = said(&doc);
    assert_eq!((said[0].state, said[31].state), (SlotState::Committed, SlotState::Failed));
    assert_eq!(edits_of(&doc, DocKind::Gate), [Edit::PutGate(report(SlotState::Failed, 0))]);
}

#[test]
fn a_failure_stays_whatever_is_added_to_its_entry() {
    let mut doc = Automerge::new();
    write(&mut doc, &[Edit::PutGate(GateReport { state: SlotState::Failed, reason: None, sha256: None, ..gate() })]);
    let said = |doc: &Automerge| read_gate(doc, &mut Defects::default()).reports;
    assert_eq!(said(&doc)[0].state, SlotState::Failed);
    let (_, evidence) = doc.get(ROOT, "evidence").unwrap().unwrap();
    let entry = doc.keys(&evidence).next().unwrap();
    let (_, entry) = doc.get(&evidence, &entry).unwrap().unwrap();
    doc.transact::<_, _, AutomergeError>(|tx| {
        tx.put(&entry, "reason", 7)?;
        tx.put(&entry, "sha256", vec![1u8, 2, 3])
    })
    .unwrap();
    assert_eq!(said(&doc)[0].state, SlotState::Failed, "an unreadable reason took the failure back");
}

#[test]
fn an_edit_that_says_nothing_new_writes_nothing() {
    let mut doc = Automerge::new();
    let edits = [Edit::PutProfile(profile(3)), Edit::PutArtifact { blake3: Blake3::of(b"w"), size: 1 }];
    assert!(write(&mut doc, &edits) > 0);
    assert_eq!(write(&mut doc, &edits), 0);
    let mut grown = profile(3);
    grown.cores = 9;
    assert_eq!(write(&mut doc, &[Edit::PutProfile(grown)]), 1);
}

#[test]
fn the_largest_profile_fits_one_change() {
    let mut doc = Automerge::new();
    let operations = write(&mut doc, &[Edit::PutProfile(profile(MAX_LIST + 4))]);
    assert!(operations <= 512, "{operations}");
    let kept = read_node(&doc, &mut Defects::default()).profile.unwrap();
    assert_eq!(kept, profile(MAX_LIST));
}

#[test]
fn removed_entries_are_gone_and_absent_ones_cost_nothing() {
    let mut doc = Automerge::new();
    let blake3 = Blake3::of(b"weights");
    let removals = [Edit::RemoveSlot("detector".parse().unwrap()), Edit::RemoveArtifact(blake3)];
    assert_eq!(write(&mut doc, &removals), 0);
    write(&mut doc, &[Edit::PutSlot(slot(SlotState::Staged, None)), Edit::PutArtifact { blake3, size: 4 }]);
    assert_eq!(write(&mut doc, &removals), 2);
    assert!(edits_of(&doc, DocKind::Node).is_empty());
}

#[test]
fn the_writer_cuts_a_reason_that_readers_would_refuse() {
    let mut doc = Automerge::new();
    let long = "é".repeat(400);
    write(&mut doc, &[Edit::PutSlot(slot(SlotState::Failed, Some(long.clone())))]);
    let mut defects = Defects::default();
    let reason = read_node(&doc, &mut defects).slots[0].reason.clone().unwrap();
    assert_eq!(reason, "é".repeat(256));
    write(&mut doc, &[Edit::PutControl(control(&long))]);
    assert_eq!(read_authority(&doc, &mut defects).controls[0].reason, "é".repeat(256));
    assert!(defects.0.is_empty());
}

/// A document whose author writes what it likes.
fn hostile(
    write: impl FnOnce(&mut automerge::transaction::Transaction<'_>) -> Result<(), AutomergeError>,
) -> Automerge {
    let mut doc = Automerge::new();
    doc.transact::<_, _, AutomergeError>(write).unwrap();
    doc
}

fn defects(doc: &Automerge) -> Vec<(&'static str, Defect)> {
    let mut defects = Defects::default();
    read_authority(doc, &mut defects);
    read_node(doc, &mut defects);
    read_gate(doc, &mut defects);
    defects.0.into_keys().collect()
}

#[test]
fn places_of_the_wrong_type_are_skipped() {
    let places = ["releases", "deployments", "controls", "profile", "slots", "artifacts", "evidence"];
    for kind in [ObjType::List, ObjType::Text] {
        let doc = hostile(|tx| places.iter().try_for_each(|place| tx.put_object(ROOT, *place, kind).map(drop)));
        assert_eq!(defects(&doc).len(), places.len());
    }
    let doc = hostile(|tx| places.iter().try_for_each(|place| tx.put(ROOT, *place, 7)));
    let found = defects(&doc);
    assert_eq!(found.len(), places.len());
    assert!(found.iter().all(|(_, defect)| *defect == Defect::WrongType));
}

#[test]
fn entries_of_the_wrong_shape_are_skipped_and_the_rest_is_read() {
    let doc = hostile(|tx| {
        apply(tx, &[Edit::PutSlot(slot(SlotState::Committed, None)), Edit::PutGate(gate())])?;
        let (_, slots) = tx.get(ROOT, "slots")?.unwrap();
        tx.put(&slots, "scalar", true)?;
        tx.put_object(&slots, "empty", ObjType::Map)?;
        tx.put_object(&slots, "../../etc", ObjType::Map)?;
        tx.put_object(&slots, "k".repeat(60_000), ObjType::Map)?;
        let talker = tx.put_object(&slots, "talker", ObjType::Map)?;
        tx.put(&talker, "state", "failed")?;
        tx.put(&talker, "since", ScalarValue::Uint(1))?;
        tx.put(&talker, "reason", "x".repeat(513))?;
        let mut deep = tx.put_object(&slots, "deep", ObjType::Map)?;
        for _ in 0..300 {
            deep = tx.put_object(&deep, "state", ObjType::Map)?;
        }
        let artifacts = tx.put_object(ROOT, "artifacts", ObjType::Map)?;
        tx.put(&artifacts, "AA".repeat(32), ScalarValue::Uint(1))?;
        tx.put(&artifacts, "aa".repeat(32), -1)
    });
    let found = defects(&doc);
    for defect in [Defect::WrongType, Defect::BadKey, Defect::TooLong, Defect::Undecodable] {
        assert!(found.contains(&("slots", defect)), "{defect}");
    }
    assert_eq!(found.iter().filter(|(place, _)| *place == "artifacts").count(), 2);
    assert_eq!(edits_of(&doc, DocKind::Node), [Edit::PutSlot(slot(SlotState::Committed, None))]);
}

#[test]
fn a_time_that_no_operator_could_be_shown_is_skipped() {
    let last = Timestamp::LAST.as_millis();
    let read = |since: u64| {
        let doc = hostile(|tx| {
            apply(tx, &[Edit::PutSlot(slot(SlotState::Committed, None)), Edit::PutGate(gate())])?;
            for (place, field) in [("slots", "since"), ("evidence", "at")] {
                let (_, entries) = tx.get(ROOT, place)?.unwrap();
                let name = tx.keys(&entries).next().unwrap();
                let (_, entry) = tx.get(&entries, &name)?.unwrap();
                tx.put(&entry, field, ScalarValue::Uint(since))?;
            }
            Ok(())
        });
        let mut noted = Defects::default();
        let held = (read_node(&doc, &mut noted).slots.len(), read_gate(&doc, &mut noted).reports.len());
        (held, defects(&doc))
    };
    assert_eq!(read(last), ((1, 1), vec![]));
    for late in [last + 1, i64::MAX.unsigned_abs(), u64::MAX] {
        assert_eq!(read(late), ((0, 0), vec![("evidence", Defect::AfterTime), ("slots", Defect::AfterTime)]));
    }
}

#[test]
fn an_entry_under_the_key_of_another_is_skipped() {
    let release = release("digits", 1);
    let doc = hostile(|tx| {
        let releases = tx.put_object(ROOT, "releases", ObjType::Map)?;
        tx.put(&releases, "00".repeat(32), release.to_bytes())?;
        tx.put(&releases, release.id().to_string(), b"garbage".to_vec())?;
        let controls = tx.put_object(ROOT, "controls", ObjType::Map)?;
        tx.put(&controls, "later", control("").to_bytes())
    });
    let of_another = Defect::KeyOfAnother;
    assert_eq!(defects(&doc), [("controls", of_another), ("releases", of_another), ("releases", Defect::Undecodable)]);
}

#[test]
fn more_slots_than_a_node_may_have_are_not_read() {
    let doc = hostile(|tx| {
        (0..100u32).try_for_each(|i| {
            let slot = format!("s{i:03}").parse().unwrap();
            apply(tx, &[Edit::PutSlot(SlotReport { slot, ..self::slot(SlotState::Staged, None) })])
        })
    });
    assert_eq!(read_node(&doc, &mut Defects::default()).slots.len(), 64);
    assert_eq!(defects(&doc), [("slots", Defect::TooMany)]);
}

#[test]
fn keys_of_a_later_version_are_left_alone() {
    let doc = hostile(|tx| {
        tx.put(ROOT, "previous", b"head".to_vec())?;
        tx.put_object(ROOT, "approvals", ObjType::Map).map(drop)
    });
    assert!(defects(&doc).is_empty());
}

/// Writes a value of some shape at `entry`, nested `depth` deep.
fn scribble(
    tx: &mut automerge::transaction::Transaction<'_>,
    at: &automerge::ObjId,
    entry: &str,
    shape: u8,
    depth: u8,
) -> Result<(), AutomergeError> {
    const FIELDS: [&str; 14] = [
        "state",
        "reason",
        "since",
        "rollout",
        "serving",
        "sha256",
        "soaked",
        "at",
        "architecture",
        "os",
        "memory",
        "runtimes",
        "name",
        "cores",
    ];
    match shape % 8 {
        0 => tx.put(at, entry, ScalarValue::Uint(u64::MAX)),
        1 => tx.put(at, entry, "committed"),
        2 => tx.put(at, entry, vec![shape; 32]),
        3 => tx.put(at, entry, f64::NAN),
        4 => tx.put(at, entry, ScalarValue::counter(-1)),
        5 if depth > 0 => {
            let list = tx.put_object(at, entry, ObjType::List)?;
            tx.insert(&list, 0, ScalarValue::Null)?;
            let inner = tx.insert_object(&list, 1, ObjType::Map)?;
            scribble(tx, &inner, FIELDS[usize::from(shape) % FIELDS.len()], shape / 2, depth - 1)
        }
        6 => {
            let text = tx.put_object(at, entry, ObjType::Text)?;
            tx.splice_text(&text, 0, 0, "text")
        }
        _ if depth > 0 => {
            let map = tx.put_object(at, entry, ObjType::Map)?;
            FIELDS.iter().zip(0u8..).try_for_each(|(field, i)| {
                scribble(tx, &map, field, shape.wrapping_mul(31).wrapping_add(i * 7), depth - 1)
            })
        }
        _ => tx.put(at, entry, ScalarValue::Null),
    }
}

proptest::proptest! {
    #[test]
    fn no_document_makes_a_reader_panic(
        scribbles in proptest::collection::vec((0usize..7, 0usize..4, proptest::num::u8::ANY), 1..12)
    ) {
        const PLACES: [&str; 7] = ["releases", "deployments", "controls", "profile", "slots", "artifacts", "evidence"];
        let keys = ["detector".to_owned(), "ab".repeat(32), format!("{}/3", "ab".repeat(32)), "memory".to_owned()];
        let doc = hostile(|tx| {
            scribbles.iter().try_for_each(|(place, entry, shape)| {
                let map = match tx.get(ROOT, PLACES[*place])? {
                    Some((_, map)) => map,
                    None => tx.put_object(ROOT, PLACES[*place], ObjType::Map)?,
                };
                scribble(tx, &map, &keys[*entry], *shape, 2)
            })
        });
        // What does read is a state like any other: it survives being written anew.
        for kind in [DocKind::Authority, DocKind::Node, DocKind::Gate] {
            defects(&doc);
            let read = edits_of(&doc, kind);
            let mut again = Automerge::new();
            write(&mut again, &read);
            proptest::prop_assert_eq!(edits_of(&again, kind), read);
        }
    }
}
