//! What must not pass: edited, foreign and non-canonical statements, and names that are paths.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use sedge_statement::codec::CodecError;
use sedge_statement::*;

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

fn genesis(threshold: u8, roots: &[u8]) -> Genesis {
    Genesis {
        name: "m".parse().unwrap(),
        roots: roots.iter().map(|n| key(*n).node_id()).collect::<BTreeSet<_>>(),
        threshold,
        nonce: [0; 16],
        created_at: Timestamp::from_millis(1),
    }
}

#[test]
fn an_object_with_any_bit_flipped_is_refused() {
    let (object, mesh) = genesis(1, &[1]).sign(&key(1));
    let bytes = object.to_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            assert!(Genesis::open(&bad, mesh).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn an_object_of_another_mesh_is_refused() {
    let (object, mesh) = genesis(1, &[1]).sign(&key(1));
    let other = MeshId::from_bytes([1; 32]);
    assert!(matches!(Genesis::open(&object.to_bytes(), other), Err(GenesisError::OtherMesh(m)) if m == mesh));
    assert!(matches!(Object::open(&object.to_bytes(), other), Err(ObjectError::OtherMesh(_))));
}

#[test]
fn a_genesis_by_a_stranger_or_without_a_majority_is_refused() {
    let (object, mesh) = genesis(1, &[2]).sign(&key(1));
    assert_eq!(Genesis::open(&object.to_bytes(), mesh), Err(GenesisError::NotARoot));
    let (object, mesh) = genesis(1, &[1, 2]).sign(&key(1));
    assert_eq!(Genesis::open(&object.to_bytes(), mesh), Err(GenesisError::BadThreshold));
    let (object, mesh) = genesis(3, &[1, 2]).sign(&key(1));
    assert_eq!(Genesis::open(&object.to_bytes(), mesh), Err(GenesisError::BadThreshold));
}

#[test]
fn trailing_bytes_and_padded_varints_are_refused() {
    let good = codec::encode(&5u64);
    assert_eq!(codec::decode::<u64>(&good, 16), Ok(5));
    assert_eq!(codec::decode::<u64>(&[5, 0], 16), Err(CodecError::NotCanonical));
    assert_eq!(codec::decode::<u64>(&[0x85, 0x00], 16), Err(CodecError::NotCanonical));
    assert_eq!(codec::decode::<u64>(&[0x85], 16), Err(CodecError::Malformed));
    assert_eq!(codec::decode::<u64>(&good, 0), Err(CodecError::TooLong { len: 1, limit: 0 }));
}

#[test]
fn path_traversal_by_model_id_file_name_or_cell_is_refused() {
    for text in ["", ".", "..", "../x", "a/b", "/etc/passwd", "a\\b", "A", "a b", "a\0b", "é", "-a", ".a", "a..b"] {
        assert!(text.parse::<ModelId>().is_err(), "{text:?}");
    }
    for text in ["", ".", "..", "../x", "a/b", "/x", "a\\b", "a\nb", ".hidden", "a..b", &"a".repeat(128)] {
        assert!(text.parse::<FileName>().is_err(), "{text:?}");
    }
    for text in ["a//b", "/a", "a/", "a/../b", "A", &["a"; 9].join("/")] {
        assert!(text.parse::<CellPath>().is_err(), "{text:?}");
    }
}

#[test]
fn a_selector_that_says_nothing_means_nobody() {
    assert_eq!("".parse::<Selector>(), Err(SelectorError::Empty));
    assert_eq!(" , ".parse::<Selector>(), Err(SelectorError::Empty));
    assert!(matches!("everything".parse::<Selector>(), Err(SelectorError::NoValue(_))));
    assert!(matches!("name=a".parse::<Selector>(), Err(SelectorError::UnknownKey(_))));
    assert!(serde_json::from_str::<Selector>("[]").is_err());
}

#[test]
fn a_ticket_with_a_changed_character_is_damaged_not_redeemed() {
    let ticket = Ticket {
        mesh: MeshId::from_bytes([8; 32]),
        mesh_name: "acme".parse().unwrap(),
        issuer: key(1).node_id(),
        addresses: vec![],
        secret: TicketSecret::from_bytes([4; 16]),
        expires: Timestamp::from_millis(1),
        relays: Vec::new(),
    };
    let text = ticket.to_string();
    for at in 5..text.len() {
        let mut bad = text.clone().into_bytes();
        bad[at] = if bad[at] == b'a' { b'b' } else { b'a' };
        assert!(String::from_utf8(bad).unwrap().parse::<Ticket>().is_err(), "character {at}");
    }
    assert_eq!("hello".parse::<Ticket>(), Err(TicketError::NotATicket));
}

#[test]
fn a_tensor_whose_data_does_not_fit_its_shape_is_refused_by_name() {
    let json = |text: &str| Tensor::from_json(&serde_json::from_str(text).unwrap());
    let wrong = json(r#"{"name":"x","shape":[2],"datatype":"FP32","data":[1]}"#);
    assert_eq!(wrong, Err(TensorError::Count { name: "x".into(), found: 1, wanted: 2 }));
    let huge = json(r#"{"name":"x","shape":[4294967296,4294967296],"datatype":"FP32","data":[]}"#);
    assert_eq!(huge, Err(TensorError::TooLarge { name: "x".into() }));
    let wide = json(r#"{"name":"x","shape":[1],"datatype":"UINT8","data":[256]}"#);
    assert!(matches!(wide, Err(TensorError::Element { at: 0, .. })));
    let nested = json(r#"{"name":"x","shape":[2,2],"datatype":"INT64","data":[[1,2],[3,4]]}"#).unwrap();
    assert_eq!(nested.to_f64().collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn a_probe_with_a_nan_in_the_answer_never_passes() {
    let tensor = |x: f32| Tensor::from_f32("y", vec![1], &[x]).unwrap();
    let mut probe =
        Probe { name: "p".into(), inputs: vec![], outputs: vec![tensor(1.0)], tolerance: Tolerance::default() };
    assert_eq!(probe.judge(&[tensor(1.001)]), Ok(()));
    assert!(matches!(probe.judge(&[tensor(1.1)]), Err(Mismatch::Value { .. })));
    assert!(matches!(probe.judge(&[tensor(f32::NAN)]), Err(Mismatch::NotFinite { .. })));
    assert_eq!(probe.judge(&[]), Err(Mismatch::Missing("y".into())));
    probe.outputs.clear();
    assert!(matches!(probe.judge(&[tensor(f32::INFINITY)]), Err(Mismatch::NotFinite { .. })));
}

proptest! {
    #[test]
    fn random_bytes_never_panic_any_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mesh = MeshId::from_bytes([0; 32]);
        let _ = Object::open(&bytes, mesh);
        let _ = Genesis::open(&bytes, mesh);
        let _ = Release::from_bytes(&bytes);
        let _ = Deployment::from_bytes(&bytes);
        let _ = Probe::read_all(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<Ticket>();
    }

    #[test]
    fn whatever_parses_as_a_selector_prints_and_parses_back(
        cell in "[a-z]{1,5}(/[a-z0-9]{1,5}){0,3}(/\\*\\*)?", label in "[a-z]{1,6}", value in "[a-z0-9]{1,6}"
    ) {
        let text = format!("cell={cell},label.{label}={value}");
        let selector: Selector = text.parse().unwrap();
        prop_assert_eq!(selector.to_string(), text);
    }
}
