//! Whatever Automerge writes for one author passes; whatever is done to it afterwards is refused without harm.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use proptest::prelude::*;
use sedge_statement::ChangeHash;

use crate::schema::{Content, Node};

use super::{Expected, Refusal, Shape, check, document, place};

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
    for (edits, time) in commits.iter().zip([3, 3, 5, 1].iter().cycle()) {
        let mut transaction = doc.transaction();
        edits.iter().for_each(|edit| apply(&mut transaction, edit));
        let options = CommitOptions::default().with_time(1_800_000_000 + time);
        let options = if edits.len() % 3 == 0 { options.with_message("why") } else { options };
        if let (Some(_), _) = transaction.commit_with(options) {
            changes.push(doc.get_last_local_change().unwrap().raw_bytes().to_vec());
        }
    }
    changes
}

fn check_all(changes: &[Vec<u8>]) -> Result<Shape, Refusal> {
    let mut shape = Shape::default();
    let mut previous: Option<ChangeHash> = None;
    for (seq, raw) in (1u64..).zip(changes) {
        let hash = place(raw, &ACTOR)?.hash;
        check(raw, Expected { actor: &ACTOR, seq, previous }, &mut shape)?;
        previous = Some(hash);
    }
    Ok(shape)
}

fn written_whole(changes: &[Vec<u8>]) -> Vec<u8> {
    let head = place(changes.last().unwrap(), &ACTOR).unwrap().hash;
    document(changes.iter().map(Vec::as_slice), &ACTOR, head).unwrap()
}

/// All that a map says, and what its entries answer when they are taken for maps.
fn said<D: Content>(doc: &D, map: &D::Id) -> Vec<String> {
    let mut said = Vec::new();
    for (name, node) in doc.entries(map) {
        let found = doc.get(map, &name).unwrap().unwrap();
        assert_eq!(written_out(doc, &found), written_out(doc, &node));
        said.push(format!("{name}: {}", written_out(doc, &node)));
    }
    assert_eq!(doc.get(map, "no such key").map(|found| found.is_none()), Ok(true));
    said
}

fn written_out<D: Content>(doc: &D, node: &Node<'_, D::Id>) -> String {
    match node {
        Node::Map(map) => format!("{{{}}}", said(doc, map).join(",")),
        Node::List(list) => {
            assert!(doc.get(list, "field").is_err());
            let elements: Vec<_> = doc.elements(list).map(|node| written_out(doc, &node)).collect();
            assert_eq!(doc.length(list), elements.len());
            format!("[{}]", elements.join(","))
        }
        Node::Unsigned(n) => n.to_string(),
        Node::Text(text) => format!("{text:?}"),
        Node::Bytes(bytes) => format!("{bytes:x?}"),
        Node::Null => "null".to_owned(),
        Node::Other => "other".to_owned(),
    }
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
    fn what_the_check_keeps_reads_as_automerge_reads(commits in commits()) {
        let changes = written(&commits);
        let mut doc = Automerge::new();
        doc.apply_changes(changes.iter().map(|raw| automerge::Change::from_bytes(raw.clone()).unwrap()).collect::<Vec<_>>()).unwrap();
        let shape = check_all(&changes).unwrap();
        prop_assert_eq!(said(&shape, &shape.root()), said(&doc, &doc.root()));
    }

    #[test]
    fn a_document_is_written_as_automerge_saves_it(commits in commits()) {
        let changes = written(&commits);
        if changes.is_empty() {
            return Ok(());
        }
        let mut doc = Automerge::new();
        doc.apply_changes(changes.iter().map(|raw| automerge::Change::from_bytes(raw.clone()).unwrap()).collect::<Vec<_>>()).unwrap();
        let document = written_whole(&changes);
        prop_assert_eq!(&document, &doc.save_nocompress());
        prop_assert_eq!(Automerge::load(&document).unwrap().get_heads(), doc.get_heads());
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
            prop_assert_eq!(written_whole(&changes), doc.save_nocompress());
        }
    }

    /// Runs as anybody may cut them: what is accepted is what the encoder makes of the values, and nothing besides.
    #[test]
    fn a_column_has_one_encoding(cuts in proptest::collection::vec((-3i64..4, 0..4u8, proptest::collection::vec(0..2u8, 3)), 0..6)) {
        use super::encode::{booleans, deltas, nullable_strings, nullable_unsigned, sleb, uleb};
        let (mut numbers, mut texts, mut flags) = (vec![], vec![], vec![]);
        let (mut values, mut names, mut bits) = (vec![], vec![], vec![]);
        for (head, nulls, literal) in &cuts {
            sleb(&mut numbers, *head);
            sleb(&mut texts, *head);
            let said: Vec<Option<u8>> = match head {
                0 => {
                    uleb(&mut numbers, u64::from(*nulls));
                    uleb(&mut texts, u64::from(*nulls));
                    vec![None; usize::from(*nulls)]
                }
                1.. => vec![Some(literal[0]); usize::try_from(*head).unwrap()],
                _ => literal[..usize::try_from(-*head).unwrap()].iter().copied().map(Some).collect(),
            };
            for value in said.iter().flatten().take(if *head > 0 { 1 } else { 3 }) {
                numbers.push(*value);
                texts.extend([1, b'a' + value]);
            }
            values.extend(said.iter().map(|value| value.map(u64::from)));
            names.extend(said.iter().map(|value| value.map(|value| char::from(b'a' + value).to_string())));
            flags.push(*nulls);
            bits.extend(vec![flags.len() % 2 == 0; usize::from(*nulls)]);
        }
        let read = super::decode::unsigned(&numbers, 64, "numbers");
        prop_assert_eq!(read.is_ok(), numbers == nullable_unsigned(values.clone()), "{:?}", numbers);
        prop_assert!(read.is_err() || read == Ok(values.clone()));
        let mut sum = 0;
        let sums: Vec<Option<i64>> = values.iter().map(|value| value.map(|v| { sum += i64::try_from(v).unwrap(); sum })).collect();
        let read = super::decode::deltas(&numbers, 64, "numbers");
        prop_assert_eq!(read.is_ok(), numbers == deltas(sums.clone()), "{:?}", numbers);
        prop_assert!(read.is_err() || read == Ok(sums));
        let read = super::decode::keys(&texts, 64);
        let said: Vec<Option<&str>> = names.iter().map(Option::as_deref).collect();
        prop_assert_eq!(read.is_ok(), texts == nullable_strings(said.clone()), "{:?}", texts);
        prop_assert!(read.is_err() || read == Ok(said));
        let read = super::decode::booleans(&flags, 64, "flags");
        prop_assert_eq!(read.is_ok(), flags == booleans(bits.clone()), "{:?}", flags);
        prop_assert!(read.is_err() || read == Ok(bits));
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
