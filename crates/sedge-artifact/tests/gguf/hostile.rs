//! Bytes from nowhere, and good bytes gone bad: every answer is a header or a refusal.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sedge_artifact::gguf::Limits;
use sedge_artifact::{GgufError, GgufHeader};

use super::builder::llama;
use super::defects::all;

/// The good model and every fixture, made once.
static SOURCES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let defects = all().into_iter().map(|defect| defect.bytes);
    std::iter::once(llama().bytes()).chain(defects).collect()
});

/// Reads, and checks that a refusal can be said and a header holds.
fn read(bytes: &[u8]) -> Result<(), TestCaseError> {
    let length = bytes.len() as u64;
    match GgufHeader::read(bytes, length, &Limits::default()) {
        Ok(header) => {
            let mut taken = Vec::new();
            for tensor in &header.tensors {
                prop_assert!(tensor.offset >= header.data_offset && tensor.offset.is_multiple_of(header.alignment));
                prop_assert!(tensor.bytes > 0 && tensor.offset + tensor.bytes <= length);
                taken.push((tensor.offset, tensor.offset + tensor.bytes));
            }
            taken.sort_unstable();
            prop_assert!(taken.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            prop_assert_eq!(header.types.values().map(|weights| weights.bytes).sum::<u64>(), header.weight_bytes);
            prop_assert!(header.layers > 0 && header.heads > 0 && header.kv_heads > 0 && header.context > 0);
        }
        Err(GgufError::NeedMore { .. }) => prop_assert!(false, "more than the whole file is asked for"),
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    // A beginning of it says the same, or asks for more of what there is.
    let half = &bytes[..bytes.len() / 2];
    if let Err(GgufError::NeedMore { bytes }) = GgufHeader::read(half, length, &Limits::default()) {
        prop_assert!(bytes > half.len() as u64 && bytes <= length);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..512)) {
        read(&bytes)?;
    }

    #[test]
    fn any_bytes_after_a_plausible_beginning_are_answered(bytes in vec(any::<u8>(), 0..512)) {
        let mut begun = b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
        begun.extend(bytes);
        read(&begun)?;
    }

    #[test]
    fn a_model_with_changed_bytes_is_answered(
        source in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<Index>()),
    ) {
        let mut bytes = source.get(&SOURCES).clone();
        prop_assume!(!bytes.is_empty());
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read(&bytes)?;
    }

    /// Most single changes to the header of the good model, which random places rarely all meet.
    #[test]
    fn a_good_header_with_one_number_changed_is_answered(
        place in any::<Index>(),
        number in prop_oneof![any::<u64>(), 0..300_u64, Just(u64::MAX), Just(1 << 63), Just(1 << 32)],
    ) {
        let mut bytes = llama().bytes();
        let place = place.index(llama().header().0.len() - 8);
        bytes[place..place + 8].copy_from_slice(&number.to_le_bytes());
        read(&bytes)?;
    }

    #[test]
    fn two_models_spliced_are_answered(
        (first, second) in (any::<Index>(), any::<Index>()),
        (cut, resume) in (any::<Index>(), any::<Index>()),
    ) {
        let (first, second) = (first.get(&SOURCES), second.get(&SOURCES));
        let mut bytes = first[..cut.index(first.len() + 1)].to_vec();
        bytes.extend_from_slice(&second[resume.index(second.len() + 1)..]);
        read(&bytes)?;
    }
}
