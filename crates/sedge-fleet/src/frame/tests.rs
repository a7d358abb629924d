//! The bytes of every frame, fixed: a change here is a change of the protocol.

use sedge_statement::{
    CellPath, ChangeHash, DocKind, MeshId, NodeId, ObjectId, Scope, SecretKey, SignedHead, Timestamp,
};

use super::{Cause, Frame, Hello, Item, MAX_FRAME_BYTES, PROTOCOL, Standing};
use crate::documents::doc_id;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of(byte: &str, n: usize) -> String {
    byte.repeat(n)
}

fn golden(frame: &Frame, bytes: &str) {
    assert_eq!(hex(&frame.to_bytes()), bytes.replace(' ', ""));
    assert_eq!(&Frame::from_bytes(&frame.to_bytes()).unwrap(), frame);
}

fn doc() -> sedge_statement::DocId {
    doc_id(NodeId::from_bytes([0xaa; 32]), DocKind::Gate, 3)
}

#[test]
fn the_bytes_of_every_frame_stay_the_same() {
    let hello = Hello { protocol: PROTOCOL, mesh: MeshId::from_bytes([0x11; 32]), path: vec![vec![1, 2]], heard: true };
    golden(&Frame::Hello(hello), &format!("00 02 {} 01 02 0102 01", of("11", 32)));
    let digest = Frame::Digest { scope: Scope::Mesh, digest: [0x22; 32] };
    golden(&digest, &format!("01 00 {}", of("22", 32)));
    let digest = Frame::Digest { scope: Scope::Cell("a/b".parse().unwrap()), digest: [0x22; 32] };
    golden(&digest, &format!("01 01 03 612f62 {}", of("22", 32)));
    let name = format!("{} 02 00 03", of("aa", 32));
    let standing = Standing { doc: doc(), seq: 300, head: ChangeHash::from_bytes([0x33; 32]) };
    let vector = Frame::Vector { scope: Scope::Mesh, from: None, to: Some(doc()), docs: vec![standing] };
    golden(&vector, &format!("02 00 00 01 {name} 01 {name} ac02 {}", of("33", 32)));
    let id = ObjectId::from_bytes([0x44; 32]);
    let set = Frame::Set { from: Some(id), to: None, ids: vec![id] };
    golden(&set, &format!("03 01 {0} 00 01 {0}", of("44", 32)));
    let items = Frame::Items { cause: Cause::New, items: vec![Item::Object(vec![5]), Item::Fork(vec![6, 7])] };
    golden(&items, "05 00 02 00 01 05 01 02 0607");
    golden(&Frame::Want { doc: doc(), from_seq: 7 }, &format!("06 {name} 07"));
    golden(&Frame::WantItems(vec![id]), &format!("07 01 {}", of("44", 32)));
    golden(&Frame::Wants(vec!["a/b".parse().unwrap(), CellPath::root()]), "08 02 03 612f62 01 2f");
}

#[test]
fn the_bytes_of_links_stay_the_same() {
    let key = SecretKey::from_bytes(&[7; 32]);
    let doc = doc_id(key.node_id(), DocKind::Node, 0);
    let hash = ChangeHash::from_bytes([0x33; 32]);
    let head = SignedHead::sign(&key, MeshId::from_bytes([1; 32]), doc, 2, hash, Timestamp::from_millis(5));
    let frame = Frame::Links { cause: Cause::CatchUp, head, first_seq: 1, links: vec![vec![8], vec![9]] };
    let bytes = hex(&frame.to_bytes());
    let start = format!("0401{}010000 02{}0540", hex(key.node_id().as_bytes()), of("33", 32)).replace(' ', "");
    assert!(bytes.starts_with(&start), "{bytes}");
    assert_eq!(&bytes[start.len() + 128..], "010201080109");
    assert_eq!(Frame::from_bytes(&frame.to_bytes()).unwrap(), frame);
}

#[test]
fn frames_with_trailing_bytes_or_of_unknown_kinds_are_refused() {
    let mut bytes = Frame::WantItems(vec![]).to_bytes();
    bytes.push(0);
    assert!(Frame::from_bytes(&bytes).is_err());
    assert!(Frame::from_bytes(&[9]).is_err());
    assert!(Frame::from_bytes(&[]).is_err());
    assert!(Frame::from_bytes(&vec![0; MAX_FRAME_BYTES + 1]).is_err());
    // A list whose length promises more than there is.
    assert!(Frame::from_bytes(&[7, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
}
