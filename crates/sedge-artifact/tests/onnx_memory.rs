//! What the reader allocates is bounded by the bytes it is given, not by what they announce.
//!
//! Alone in its own process, and one test after the other, because every allocation made there is watched.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use sedge_artifact::OnnxHeader;
use sedge_artifact::onnx::Limits;

#[global_allocator]
static ALLOCATIONS: PeakAlloc = PeakAlloc;

/// Held by the test that is being watched.
static WATCH: Mutex<()> = Mutex::new(());

/// Room for one refusal with its path, whatever the size of the file.
const FIXED: usize = 16 << 10;

/// A name of one byte costs a slice of 16 bytes in a set, or a string of 24 in a port with its type, and collections
/// keep room to grow. No message is shorter than two bytes, so this factor leaves a little air and no more.
const FACTOR: usize = 128;

/// Integers that a length, a count or a dimension may be replaced by.
const LIES: [&[u8]; 4] = [
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x20],
    &[0x7f],
];

/// The most that was allocated at once while reading, beyond what was there before.
fn peak_of_reading(bytes: &[u8]) -> usize {
    let limits = Limits::default();
    let before = ALLOCATIONS.current_usage();
    ALLOCATIONS.reset_peak_usage();
    let answer = OnnxHeader::read(bytes, &limits);
    let peak = ALLOCATIONS.peak_usage();
    drop(answer);
    peak.saturating_sub(before)
}

#[test]
fn reading_allocates_in_proportion_to_the_file_whatever_it_announces() {
    let _watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/onnx");
    let models: Vec<Vec<u8>> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .filter(|bytes| !bytes.is_empty())
        .collect();
    assert!(models.len() > 15, "the fixtures are there");
    let within = |bytes: &[u8]| {
        let (peak, allowed) = (peak_of_reading(bytes), FIXED + FACTOR * bytes.len());
        prop_assert!(peak <= allowed, "{peak} bytes for {}", bytes.len());
        Ok(())
    };
    for model in &models {
        within(model).unwrap();
    }
    let lies = vec((any::<Index>(), any::<Index>()), 1..4);
    TestRunner::new(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })
        .run(&(any::<Index>(), lies), |(model, lies)| {
            let mut bytes = model.get(&models).clone();
            for (place, lie) in lies {
                let place = place.index(bytes.len());
                bytes.splice(place..=place, lie.get(&LIES).iter().copied());
            }
            within(&bytes)
        })
        .unwrap();
}

#[test]
fn weights_are_never_copied() {
    let _watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
    const WEIGHTS: usize = 32 << 20;
    let varint = |mut value: usize| {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    };
    let block = |tag: u8, contents: &[u8]| [&[tag], &varint(contents.len())[..], contents].concat();
    let tensor =
        [[&[0x08], &varint(WEIGHTS)[..]].concat(), vec![0x10, 0x02], block(0x42, b"w"), block(0x4a, &vec![0; WEIGHTS])]
            .concat();
    let output = [block(0x0a, b"w"), block(0x12, &block(0x0a, &[0x08, 0x02]))].concat();
    let graph = [block(0x2a, &tensor), block(0x62, &output)].concat();
    let model = [vec![0x08, 0x08], block(0x3a, &graph), block(0x42, &[0x10, 17])].concat();
    drop((tensor, graph));

    let header = OnnxHeader::read(&model, &Limits::default()).unwrap();
    assert_eq!(header.weight_bytes, WEIGHTS as u64);
    let peak = peak_of_reading(&model);
    assert!(peak < FIXED, "{peak} bytes");
}
