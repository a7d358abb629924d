//! Bytes from nowhere, and good bytes gone bad: every answer is a header or a refusal.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sedge_artifact::onnx::Limits;
use sedge_artifact::{OnnxHeader, Sniffed, sniff};

use super::builder::{Message, good};
use super::defects::all;

fn sources() -> Vec<Vec<u8>> {
    let defects = all().into_iter().map(|defect| defect.bytes);
    std::iter::once(good()).chain(defects).collect()
}

/// Reads, and checks that a refusal can be said and a header adds up.
fn read(bytes: &[u8]) -> Result<(), TestCaseError> {
    match OnnxHeader::read(bytes, &Limits::default()) {
        Ok(header) => {
            let by_type: u64 = header.weights.values().map(|weights| weights.bytes).sum();
            prop_assert!(by_type <= header.weight_bytes);
            prop_assert!(header.weight_bytes <= bytes.len() as u64 * 8);
            prop_assert!(!header.outputs.is_empty());
        }
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..512)) {
        let _ = sniff(&bytes);
        read(&bytes)?;
    }

    #[test]
    fn any_bytes_after_a_plausible_beginning_are_answered(bytes in vec(any::<u8>(), 0..512)) {
        let begun = Message::new().int(1, 8).raw(&bytes);
        prop_assume!(sniff(&begun.0) == Sniffed::Onnx);
        read(&begun.0)?;
    }

    #[test]
    fn any_graph_of_any_bytes_is_answered(bytes in vec(any::<u8>(), 0..512)) {
        read(&super::builder::model(&Message(bytes)))?;
    }

    #[test]
    fn a_model_with_changed_bytes_is_answered(
        source in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<Index>()),
    ) {
        let mut bytes = source.get(&sources()).clone();
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

    #[test]
    fn two_models_spliced_are_answered(
        (first, second) in (any::<Index>(), any::<Index>()),
        (cut, resume) in (any::<Index>(), any::<Index>()),
    ) {
        let sources = sources();
        let (first, second) = (first.get(&sources), second.get(&sources));
        let mut bytes = first[..cut.index(first.len() + 1)].to_vec();
        bytes.extend_from_slice(&second[resume.index(second.len() + 1)..]);
        read(&bytes)?;
    }
}
