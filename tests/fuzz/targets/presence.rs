//! What neighbours say of being there: any bytes as a datagram.
#![no_main]

#[path = "../../../crates/sedge-mesh/src/presence.rs"]
mod presence;

use libfuzzer_sys::fuzz_target;
use presence::{Age, Brief, MAX_HEARD, MAX_LINKED, MAX_MESSAGE, MAX_SCOPES, Presence};
use sedge_statement::{NodeId, Scope};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Presence::decode(bytes) {
        assert!(bytes.len() <= MAX_MESSAGE);
        assert!(message.holds.len() <= MAX_SCOPES && message.linked.len() <= MAX_LINKED);
        assert!(message.heard.len() <= MAX_HEARD);
        assert_eq!(message.encode(MAX_MESSAGE).as_deref(), Some(bytes), "a message has two encodings");
        for room in [0, 100, 500] {
            let shorter = message.encode(room);
            assert!(shorter.is_none_or(|shorter| shorter.len() <= room && Presence::decode(&shorter).is_ok()));
        }
        for (_, age) in message.heard {
            assert!(Age::of(age.passed()) > age || age.passed() == Age::of(std::time::Duration::MAX).passed());
        }
    }
    // What the target does not parse but includes.
    let _ = (Brief::node(NodeId::from_bytes([0; 32])), Brief::scope(&Scope::Mesh), Brief::digest(&[0; 32]));
});
