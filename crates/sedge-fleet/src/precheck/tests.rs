//! Whatever Automerge writes for one author passes; whatever is done to it afterwards is refused without harm.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use proptest::prelude::*;
use sedge_statement::ChangeHash;

use super::{Expected, Refusal, Shape, check, place};

const ACTOR: [u8; 16] = [9; 16];

/// An edit of an honest writer, as numbers that say where and what.
#[derive(Debug, Clone)]
enum Edit {
    Put(usize, u8, ScalarValue),
    Make(usize, u8, ObjType),
    Insert(usize, usize, ScalarValue),
    InsertObject(usize, usize, ObjType),
    Replace(usize, usize, ScalarValue),
    Delete(usize, usize),
    Splice(usize, usize, usize, String),
}

fn scalar() -> impl Strategy<Value = ScalarValue> {
    prop_oneof![
        Just(ScalarValue::Null),
        any::<bool>().prop_map(ScalarValue::Boolean),
        any::<u64>().prop_map(ScalarValue::Uint),
        any::<i64>().prop_map(ScalarValue::Int),
        any::<i64>().prop_map(ScalarValue::Timestamp),
        "\\PC{0,40}".prop_map(|text| ScalarValue::Str(text.into())),
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(ScalarValue::Bytes),
    ]
}

fn kind() -> impl Strategy<Value = ObjType> {
    prop_oneof![Just(ObjType::Map), Just(ObjType::List), Just(ObjType::Text)]
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0..8usize;
    prop_oneof![
        (at.clone(), any::<u8>(), scalar()).prop_map(|(o, k, v)| Edit::Put(o, k % 12, v)),
        (at.clone(), any::<u8>(), kind()).prop_map(|(o, k, t)| Edit::Make(o, k % 12, t)),
        (at.clone(), at.clone(), scalar()).prop_map(|(o, i, v)| Edit::Insert(o, i, v)),
        (at.clone(), at.clone(), kind()).prop_map(|(o, i, t)| Edit::InsertObject(o, i, t)),
        (at.clone(), at.clone(), scalar()).prop_map(|(o, i, v)| Edit::Replace(o, i, v)),
        (at.clone(), at.clone()).prop_map(|(o, i)| Edit::Delete(o, i)),
        (at.clone(), at.clone(), at, "\\PC{0,12}").prop_map(|(o, i, n, t)| Edit::Splice(o, i, n, t)),
    ]
}

/// Every object reachable from the root, none nested deeper than the schema's.
fn objects(doc: &impl ReadDoc) -> Vec<(ObjId, ObjType)> {
    let mut found = vec![(ROOT, ObjType::Map)];
    let mut next = vec![(ROOT, 0)];
    while let Some((object, depth)) = next.pop() {
        let items: Vec<_> = doc.values(&object).filter_map(|(value, id)| value.to_objtype().map(|t| (id, t))).collect();
        for (id, kind) in items {
            found.push((id.clone(), kind));
            if depth < 6 && kind != ObjType::Text {
                next.push((id, depth + 1));
            }
        }
    }
    found
}

fn apply(doc: &mut impl Transactable, edit: &Edit) {
    let all = objects(doc);
    let of = |at: &usize, kind: ObjType| {
        let fitting: Vec<_> = all.iter().filter(|(_, k)| *k == kind).collect();
        fitting.get(at % fitting.len().max(1)).map(|(id, _)| id.clone())
    };
    let key = |k: &u8| format!("ключ-{k}");
    match edit {
        Edit::Put(o, k, v) => of(o, ObjType::Map).map(|object| doc.put(&object, key(k), v.clone())),
        Edit::Make(o, k, t) => of(o, ObjType::Map).map(|object| doc.put_object(&object, key(k), *t).map(|_| ())),
        Edit::Insert(o, i, v) => {
            of(o, ObjType::List).map(|object| doc.insert(&object, i % (doc.length(&object) + 1), v.clone()))
        }
        Edit::InsertObject(o, i, t) => {
            of(o, ObjType::List).map(|object| doc.insert_object(&object, i % (doc.length(&object) + 1), *t).map(|_| ()))
        }
        Edit::Replace(o, i, v) => of(o, ObjType::List)
            .filter(|object| doc.length(object) > 0)
            .map(|object| doc.put(&object, i % doc.length(&object), v.clone())),
        Edit::Delete(o, i) => match of(o, if i % 2 == 0 { ObjType::List } else { ObjType::Map }) {
            Some(object) if i % 2 == 0 && doc.length(&object) > 0 => Some(doc.delete(&object, i % doc.length(&object))),
            Some(object) if i % 2 == 1 => {
                let first = doc.keys(&object).next();
                first.map(|first| doc.delete(&object, first))
            }
            _ => None,
        },
        Edit::Splice(o, i, n, text) => of(o, ObjType::Text).map(|object| {
            let len = doc.length(&object);
            let at = i % (len + 1);
            let delete = isize::try_from((*n).min(len - at)).unwrap();
            doc.splice_text(&object, at, delete, text)
        }),
    }
    .transpose()
    .unwrap();
}

/// The changes that Automerge writes for these commits.
fn written(commits: &[Vec<Edit>]) -> Vec<Vec<u8>> {
    let mut doc = Automerge::new().with_actor(ActorId::from(ACTOR));
    let mut changes = Vec::new();
    for edits in commits {
        let mut transaction = doc.transaction();
        edits.iter().for_each(|edit| apply(&mut transaction, edit));
        if let (Some(_), _) = transaction.commit_with(CommitOptions::default().with_time(1_800_000_000)) {
            changes.push(doc.get_last_local_change().unwrap().raw_bytes().to_vec());
        }
    }
    changes
}

fn check_all(changes: &[Vec<u8>]) -> Result<Shape, Refusal> {
    let mut shape = Shape::default();
    let mut previous: Option<ChangeHash> = None;
    for (seq, raw) in (1u64..).zip(changes) {
        let place = check(raw, Expected { actor: &ACTOR, seq, previous }, &mut shape)?;
        previous = Some(place.hash);
    }
    Ok(shape)
}

fn commits() -> impl Strategy<Value = Vec<Vec<Edit>>> {
    proptest::collection::vec(proptest::collection::vec(edit(), 1..12), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_automerge_writes_for_one_author_passes(commits in commits()) {
        prop_assert!(check_all(&written(&commits)).is_ok(), "{:?}", check_all(&written(&commits)).err());
    }

    #[test]
    fn any_byte_changed_anywhere_is_refused(commits in commits(), at in any::<prop::sample::Index>(), with in 1..=255u8) {
        let mut changes = written(&commits);
        if let Some(last) = changes.last_mut() {
            let at = at.index(last.len());
            last[at] ^= with;
            prop_assert!(check_all(&changes).is_err());
        }
    }

    /// As above, with the checksum made to fit: what passes then is canonical and loads.
    #[test]
    fn a_changed_change_with_a_fitting_checksum_is_refused_or_loads(
        commits in commits(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut changes = written(&commits);
        let Some(last) = changes.last_mut() else { return Ok(()) };
        for (at, with) in edits {
            let at = 8 + at.index(last.len() - 8);
            last[at] = with;
        }
        let sum = <sha2::Sha256 as sha2::Digest>::digest(&last[8..]);
        last[4..8].copy_from_slice(&sum[..4]);
        if check_all(&changes).is_ok() {
            let mut doc = Automerge::new();
            let parsed: Vec<_> = changes.iter().map(|raw| automerge::Change::from_bytes(raw.clone()).unwrap()).collect();
            doc.apply_changes(parsed).unwrap();
            let again = Automerge::load(&doc.save()).unwrap();
            prop_assert_eq!(again.get_heads(), doc.get_heads());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut chunk = super::MAGIC.to_vec();
        chunk.extend(bytes);
        prop_assert!(place(&chunk, &ACTOR).is_err());
    }
}

#[test]
fn integers_have_one_encoding() {
    use super::encode::{sleb, uleb};
    use super::reader::Reader;
    for value in [0, 1, 63, 64, 127, 128, 16383, 16384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let mut bytes = Vec::new();
        uleb(&mut bytes, value);
        assert_eq!(Reader::new(&bytes).unsigned(), Ok(value));
    }
    for value in [0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8192, -8193, i64::MAX, i64::MIN, i64::MIN + 1] {
        let mut bytes = Vec::new();
        sleb(&mut bytes, value);
        assert_eq!(Reader::new(&bytes).signed(), Ok(value), "{bytes:x?}");
    }
    for long in [vec![0x80, 0x00], vec![0xff, 0x80, 0x00]] {
        assert_eq!(Reader::new(&long).unsigned(), Err(Refusal::NotCanonical("integer")));
    }
    for long in [vec![0x80, 0x00], vec![0xff, 0x7f], vec![0xbf, 0x00]] {
        let read = Reader::new(&long).signed();
        let needed = long == [0xbf, 0x00] && read == Ok(63);
        assert!(read == Err(Refusal::NotCanonical("integer")) || needed, "{long:x?} {read:?}");
    }
    assert!(Reader::new(&[0xff; 11]).unsigned().is_err());
    assert!(Reader::new(&[0x80; 11]).signed().is_err());
}
