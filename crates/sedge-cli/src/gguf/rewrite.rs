//! Models made from a model: the same answers under another digest, or with more bytes.

use super::layout::{ENTRY_COUNT_AT, Layout, LayoutError, STRING, TENSOR_COUNT_AT, block};

/// The model with one more entry of metadata: other bytes, the same answers.
pub(crate) fn with_metadata(model: &[u8], key: &str, value: &str) -> Result<Vec<u8>, LayoutError> {
    let layout = Layout::read(model)?;
    let mut out = model[..layout.entries_end].to_vec();
    set(&mut out, ENTRY_COUNT_AT, layout.entries + 1);
    put_text(&mut out, key);
    out.extend_from_slice(&STRING.to_le_bytes());
    put_text(&mut out, value);
    out.extend_from_slice(&model[layout.entries_end..layout.header_end]);
    pad(&mut out, layout.alignment);
    out.extend_from_slice(&model[layout.data_at..]);
    Ok(out)
}

/// The model with one more tensor, which no layer uses, of at least so many incompressible bytes: a file of any size that
/// answers as before. It is of the type that most of the weights have, so that the file still is what it says it is; its
/// bytes follow from its name alone, so that the digest is the same on every machine.
pub(crate) fn with_ballast(model: &[u8], name: &str, bytes: usize) -> Result<Vec<u8>, LayoutError> {
    let layout = Layout::read(model)?;
    let most = layout.bytes_by_type.iter().max_by_key(|(_, bytes)| **bytes);
    let kind = *most.ok_or(LayoutError::NoKnownTensor)?.0;
    let (elements, size) = block(kind).expect("only types with a known block are counted");
    let blocks = (bytes as u64).div_ceil(size);
    let mut out = model[..layout.header_end].to_vec();
    set(&mut out, TENSOR_COUNT_AT, layout.tensors + 1);
    let offset = (model.len() - layout.data_at).next_multiple_of(layout.alignment);
    put_text(&mut out, name);
    out.extend_from_slice(&1u32.to_le_bytes());
    out.extend_from_slice(&(blocks * elements).to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&(offset as u64).to_le_bytes());
    pad(&mut out, layout.alignment);
    let data_at = out.len();
    out.extend_from_slice(&model[layout.data_at..]);
    let ballast_at = data_at + offset;
    let end = ballast_at + usize::try_from(blocks * size).expect("about as many as were asked for");
    out.resize(end.next_multiple_of(layout.alignment), 0);
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut out[ballast_at..end]);
    Ok(out)
}

fn set(out: &mut [u8], at: usize, count: u64) {
    out[at..at + 8].copy_from_slice(&count.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn pad(out: &mut Vec<u8>, alignment: usize) {
    out.resize(out.len().next_multiple_of(alignment), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TALES: &[u8] = include_bytes!("../../../../models/tales/tales-1.0.0.gguf");

    fn inspect(model: &[u8]) -> sedge_agent::Inspection {
        use std::io::Write;
        let mut file = tempfile::Builder::new().suffix(".gguf").tempfile().unwrap();
        file.write_all(model).unwrap();
        sedge_agent::inspect(file.path()).unwrap()
    }

    #[test]
    fn metadata_changes_the_digest_and_nothing_that_is_computed() {
        let before = inspect(TALES);
        let after = inspect(&with_metadata(TALES, "sedge.build", "2").unwrap());
        assert_ne!(before.sha256, after.sha256);
        assert_eq!(before.facts, after.facts);
    }

    #[test]
    fn ballast_makes_a_model_as_large_as_wished_that_is_still_what_it_says_it_is() {
        const BYTES: usize = 3 << 20;
        let large = with_ballast(TALES, "ballast", BYTES).unwrap();
        assert!(large.len() > BYTES + TALES.len());
        let (before, after) = (inspect(TALES), inspect(&large));
        assert_eq!(before.quantization, after.quantization);
        assert!(after.facts.weight_bytes().get() >= before.facts.weight_bytes().get() + BYTES as u64);
        assert_eq!(large, with_ballast(TALES, "ballast", BYTES).unwrap());
    }

    #[test]
    fn what_is_no_model_is_refused() {
        assert_eq!(with_metadata(b"GGUF", "k", "v"), Err(LayoutError::Ends(4)));
        assert_eq!(with_metadata(b"not a model", "k", "v"), Err(LayoutError::NotGguf));
        for cut in [30, 200, TALES.len() / 100] {
            assert!(with_ballast(&TALES[..cut], "x", 8).is_err(), "cut at {cut}");
        }
    }
}
