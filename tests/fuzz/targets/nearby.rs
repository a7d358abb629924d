//! What strangers say on the local network: any bytes as a message of multicast DNS.
#![no_main]

#[path = "../../../crates/sedge-mesh/src/mdns/packet.rs"]
mod packet;

use libfuzzer_sys::fuzz_target;
use packet::{Heard, MAX_ADDRESSES, MAX_PACKET, Service};
use sedge_statement::{MeshId, NodeId};

fuzz_target!(|bytes: &[u8]| {
    let service = Service::of(MeshId::from_bytes([0xab; 32]));
    if let Some(Heard::Answer(nodes)) = service.read(bytes) {
        assert!(!nodes.is_empty());
        for (node, at) in nodes {
            assert!((1..=MAX_ADDRESSES).contains(&at.len()));
            // What was understood can be said in this node's own words.
            let said = service.answer(node, &at[..1]);
            assert!(said.len() <= MAX_PACKET);
            assert_eq!(service.read(&said), Some(Heard::Answer(vec![(node, vec![at[0]])])));
        }
    }
    // An answer of a node's own, damaged anywhere.
    if let [at_high, at_low, value, ..] = bytes {
        let at = ["10.0.0.2:4433", "[fd00::2]:4433"].map(|addr| addr.parse().expect("an address"));
        let mut said = service.answer(NodeId::from_bytes([7; 32]), &at);
        let at = usize::from(u16::from_be_bytes([*at_high, *at_low])) % said.len();
        said[at] = *value;
        let _ = service.read(&said);
        let _ = service.read(&service.question());
    }
});
