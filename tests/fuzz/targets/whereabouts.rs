//! What neighbours say of where members are: any bytes as a message.
#![no_main]

#[path = "../../../crates/sedge-mesh/src/whereabouts.rs"]
mod whereabouts;

use libfuzzer_sys::fuzz_target;
use whereabouts::{MAX_ADDRESSES, MAX_MESSAGE, MAX_NODES, Whereabouts, age_in_seconds};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Whereabouts::decode(bytes) {
        assert!(bytes.len() <= MAX_MESSAGE + 1);
        assert!(message.0.len() <= MAX_NODES && message.0.iter().all(|sighted| sighted.at.len() <= MAX_ADDRESSES));
        assert_eq!(message.encode(), bytes, "a message has two encodings");
    }
    assert_eq!(age_in_seconds(std::time::Duration::MAX), u32::MAX);
});
