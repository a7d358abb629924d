//! The record on disk.

use sedge_slot::{Journal, JournalError, SlotMachine};
use sedge_statement::SlotState;
use sedge_statement::codec::CodecError;

use crate::fixture::{bring, offer, serving};

#[test]
fn the_bytes_of_a_record_are_those_of_version_one() {
    let mut machine = serving();
    bring(&mut machine, &offer(2), SlotState::Fetching);
    let bytes = machine.journal().to_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    insta::assert_snapshot!(hex, @"01086465746563746f72010101010101010101010101010101010101010101010101010101010101010101656565656565656565656565656565656565656565656565656565656565656506646967697473086f6e6e782d663332010a6d6f64656c2e6f6e6e78e80701010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010100010001d0d23d010202020202020202020202020202020202020202020202020202020202020202666666666666666666666666666666666666666666666666666666666666666606646967697473086f6e6e782d663332010a6d6f64656c2e6f6e6e78e80702020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202000002000200000a001e00c0bcd62901c0e089150003c0843d010000000001010664696769747300010101010101010101010101010101010101010101010101010101010101010101010a");
    assert_eq!(Journal::from_bytes(&bytes), Ok(machine.journal().clone()));
}

#[test]
fn a_damaged_or_newer_record_is_refused() {
    let bytes = serving().journal().to_bytes();
    assert_eq!(Journal::from_bytes(&[]), Err(JournalError::Empty));
    let newer = [&[2], &bytes[1..]].concat();
    assert_eq!(SlotMachine::open(&newer).unwrap_err(), JournalError::UnknownVersion(2));
    for len in 1..bytes.len() {
        assert!(Journal::from_bytes(&bytes[..len]).is_err(), "cut at {len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Journal::from_bytes(&longer), Err(CodecError::NotCanonical.into()));
    let huge = vec![Journal::VERSION; Journal::MAX_BYTES + 2];
    assert!(matches!(Journal::from_bytes(&huge), Err(JournalError::Codec(CodecError::TooLong { .. }))));
}
