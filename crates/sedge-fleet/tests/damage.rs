//! A damaged record costs what it held, and that only until a neighbour is heard.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use sedge_fleet::{FindingKind, Fleet, OpenError};
use sedge_statement::{Blake3, DocKind, Role};
use support::{Net, Node, START, artifact, certificate, gate, id, slot};

/// Two members that hold the same, node 1 having written nearly all of it.
fn pair() -> Net {
    let mut net = Net::new([Node::member(1), Node::member(2)]);
    net.connect(1, 2);
    net.settle();
    for n in 0..18 {
        net.write(1, DocKind::Node, &[artifact(n)]);
    }
    net.write(1, DocKind::Node, &[slot("detector", 1)]);
    net.write(1, DocKind::Gate, &[gate(1)]);
    net.write(2, DocKind::Node, &[artifact(99)]);
    net.settle();
    net.assert_agreed();
    net
}

/// Flips bits of a record at about a place in it.
fn damage(node: &mut Node, key: &[u8], at: usize) {
    let value = node.store.get_mut(key).unwrap();
    let at = value.len().saturating_sub(1).min(at);
    value[at] ^= 0xff;
}

/// Whether the record is of a document of node `n`'s.
fn is_of(n: u8, key: &[u8]) -> bool {
    key.windows(32).any(|part| part == id(n).as_bytes())
}

#[test]
fn a_damaged_record_is_left_out_named_removed_and_fetched_again() {
    let keys: Vec<Vec<u8>> = pair().node(2).store.keys().cloned().collect();
    for key in keys {
        for at in [0, 40, 120] {
            let mut net = pair();
            if is_of(2, &key) {
                continue;
            }
            let (whole, digest) = (net.node(2).store.clone(), net.node(2).digest(START));
            net.disconnect(1, 2);
            damage(net.node(2), &key, at);
            net.node(2).restart();
            let view = net.node(2).view();
            let damaged = view.findings.iter().filter(|finding| finding.kind == FindingKind::Damaged);
            assert_eq!(damaged.map(|finding| finding.about).collect::<Vec<_>>(), [id(2)], "{:?}", view.findings);
            let own = view.holders.contains_key(&Blake3::of(&99u64.to_le_bytes()));
            assert!(own || key[0] != b'l', "its own document stays");
            net.connect(1, 2);
            net.run(15);
            // Heads inside what came in one piece are not sent again; all else is there again, and nothing besides.
            assert!(net.node(2).store.keys().eq(whole.keys()), "byte {at}");
            net.node(2).restart();
            assert_eq!(net.node(2).digest(START), digest, "byte {at}");
            assert!(net.node(2).view().findings.is_empty(), "{:?}", net.node(2).view().findings);
        }
    }
}

#[test]
fn links_before_a_damaged_one_still_count() {
    let mut net = pair();
    let of_node: Vec<Vec<u8>> =
        net.node(2).store.keys().filter(|key| key[0] == b'l' && is_of(1, key)).cloned().collect();
    net.disconnect(1, 2);
    damage(net.node(2), &of_node[9], 60);
    net.node(2).restart();
    assert_eq!(net.node(2).view().holders.len(), 10, "nine of the other's files, and one of its own");
}

#[test]
fn a_damaged_record_of_ones_own_document_refuses_to_open() {
    let (genesis, mesh) = support::genesis();
    let mut net = pair();
    let node = net.node(1);
    for key in node.store.keys().filter(|key| key[0] == b'l' && is_of(1, key)) {
        for at in [0, 40, 120] {
            let mut copy = Node::stranger(1);
            copy.store = node.store.clone();
            damage(&mut copy, key, at);
            let error = Fleet::open(&genesis, mesh, id(1), copy.store).map(|_| ()).unwrap_err();
            let OpenError::Record { key: named, .. } = &error else { panic!("{error}") };
            assert_eq!(named, key, "{error}");
        }
    }
}

#[test]
fn a_record_of_an_unknown_form_refuses_to_open() {
    let (genesis, mesh) = support::genesis();
    let mut node = Node::member(1);
    node.publish(certificate(2, &[Role::Device]));
    node.store.insert(b"z".to_vec(), vec![]);
    let error = Fleet::open(&genesis, mesh, id(1), node.store).map(|_| ()).unwrap_err();
    assert!(matches!(&error, OpenError::Record { key, .. } if key == b"z"), "{error}");
}
