//! A GGUF file in the vocabulary's words. Gigabytes of weights pass by in pieces; only the header is held.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use sedge_artifact::gguf::{Certainty, Limits};
use sedge_artifact::{GgufError, GgufHeader};
use sedge_statement::{
    Blake3, ByteSize, GgufFacts, KvShape, Loader, MemoryNeed, ModelFacts, ModelFormat, Quantization, Sha256,
};
use sha2::Digest;

use super::{Inspection, suggest, unreadable};
use crate::api::ApiError;

/// How much is read at first, bytes: the whole header of a small model, and of none too much.
const FIRST: u64 = 1 << 20;

/// How much is hashed at a time, bytes.
const PIECE: usize = 1 << 20;

pub(super) fn inspect(path: &Path, mut file: File, length: u64, beginning: Vec<u8>) -> Result<Inspection, ApiError> {
    let header = read_header(path, &mut file, length, beginning)?;
    let facts = facts(&header);
    let (sha256, blake3) = hash(&mut file, length).map_err(|e| unreadable(path, &e))?;
    let (id, version) = suggest(path);
    Ok(Inspection {
        format: ModelFormat::Gguf,
        quantization: header.quantization.word().parse().unwrap_or(Quantization::Mixed),
        size_bytes: length,
        sha256,
        blake3,
        id,
        version,
        metadata: header.about.clone(),
        memory: memory(&facts),
        notes: notes(&header),
        facts: ModelFacts::Gguf(facts),
    })
}

/// Reads more of the file for as long as the reader asks for more, at least twice as much each time.
fn read_header(path: &Path, file: &mut File, length: u64, mut prefix: Vec<u8>) -> Result<GgufHeader, ApiError> {
    let limits = Limits::default();
    let mut wanted = FIRST;
    loop {
        let more = wanted.saturating_sub(prefix.len() as u64);
        Read::by_ref(file).take(more).read_to_end(&mut prefix).map_err(|e| unreadable(path, &e))?;
        match GgufHeader::read(&prefix, length, &limits) {
            Ok(header) => return Ok(header),
            Err(GgufError::NeedMore { bytes }) if (prefix.len() as u64) < wanted => {
                let held = prefix.len();
                return Err(ApiError::failed(
                    format!("{}: the file became shorter than {bytes} bytes: {held} are left", path.display()),
                    "Inspect it again once nothing writes to it.",
                ));
            }
            Err(GgufError::NeedMore { bytes }) => wanted = bytes.max(wanted.saturating_mul(2)).min(limits.header),
            Err(error) => {
                return Err(ApiError::refused(
                    format!("{}: {error}", path.display()),
                    "Fetch or convert the model again as one little-endian GGUF file, and check that it arrived whole.",
                ));
            }
        }
    }
}

/// Both digests in one pass.
fn hash(file: &mut File, length: u64) -> std::io::Result<(Sha256, Blake3)> {
    file.seek(SeekFrom::Start(0))?;
    let (mut sha256, mut blake3) = (sha2::Sha256::new(), blake3::Hasher::new());
    let mut piece = vec![0; PIECE];
    let mut rest = file.take(length);
    loop {
        match rest.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => {
                sha256.update(&piece[..n]);
                blake3.update(&piece[..n]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((Sha256::from_bytes(sha256.finalize().into()), Blake3::from_bytes(*blake3.finalize().as_bytes())))
}

fn facts(header: &GgufHeader) -> GgufFacts {
    let types = header.types.iter().map(|(kind, weights)| (kind.word().to_owned(), ByteSize(weights.bytes)));
    GgufFacts {
        version: header.version,
        architecture: header.architecture.clone(),
        name: header.name.clone(),
        parameters: header.parameters,
        weight_bytes: ByteSize(header.weight_bytes),
        types: BTreeMap::from_iter(types),
        layers: header.layers,
        embedding: header.embedding,
        heads: header.heads,
        kv_heads: header.kv_heads,
        context: header.context,
        vocabulary: header.vocabulary,
        tokenizer: header.tokenizer.clone(),
        kv: KvShape {
            per_token: header.kv.per_token,
            windowed_per_token: header.kv.windowed_per_token,
            window: header.kv.window,
        },
    }
}

fn memory(facts: &GgufFacts) -> Vec<MemoryNeed> {
    facts.contexts().into_iter().map(|context| facts.memory(context, Loader::Candle)).collect()
}

/// Factors of its own for the turning of positions, which candle's loaders do not read.
const ROPE_FREQUENCIES: &str = "rope_freqs.weight";

fn notes(header: &GgufHeader) -> Vec<String> {
    let mut notes = Vec::new();
    if header.kv.certainty == Certainty::UpperBound {
        notes.push(format!(
            "which layers of {} keep how much is not known here: the memory is an upper bound, as if each kept all",
            header.architecture
        ));
    }
    if header.tensors.iter().any(|tensor| tensor.name == ROPE_FREQUENCIES) {
        notes.push(format!(
            "{ROPE_FREQUENCIES} is not used: positions are turned as in the model before it was made to take long texts"
        ));
    }
    if !header.rope_scaling.is_empty() {
        notes.push(format!(
            "the scaling of positions by {:?} is not used: longer texts are continued worse than by other programs",
            header.rope_scaling
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    const F32: u32 = 0;
    const Q4_K: u32 = 12;
    const Q6_K: u32 = 14;

    fn string(to: &mut Vec<u8>, text: &str) {
        to.extend((text.len() as u64).to_le_bytes());
        to.extend(text.as_bytes());
    }

    /// The header of Llama 3.1 8B in `Q4_K_M`, shape by shape, and the length of its file.
    fn llama_31_8b() -> (Vec<u8>, u64) {
        let (layers, embedding, wide, kv, vocabulary) = (32_u64, 4096, 14336, 1024, 128_256);
        let mut tensors = vec![
            ("rope_freqs.weight".to_owned(), vec![64], F32),
            ("token_embd.weight".to_owned(), vec![embedding, vocabulary], Q4_K),
            ("output_norm.weight".to_owned(), vec![embedding], F32),
            ("output.weight".to_owned(), vec![embedding, vocabulary], Q6_K),
        ];
        for layer in 0..layers {
            // The recipe gives values and the way down more bits in the first and last eighth, and every third between.
            let eighth = layers / 8;
            let more = layer < eighth || layer >= 7 * eighth || (layer - eighth) % 3 == 2;
            let favoured = if more { Q6_K } else { Q4_K };
            let mut add = |rest: &str, shape: &[u64], kind| {
                tensors.push((format!("blk.{layer}.{rest}.weight"), shape.to_vec(), kind));
            };
            add("attn_norm", &[embedding], F32);
            add("ffn_norm", &[embedding], F32);
            add("attn_q", &[embedding, embedding], Q4_K);
            add("attn_k", &[embedding, kv], Q4_K);
            add("attn_v", &[embedding, kv], favoured);
            add("attn_output", &[embedding, embedding], Q4_K);
            add("ffn_gate", &[embedding, wide], Q4_K);
            add("ffn_up", &[embedding, wide], Q4_K);
            add("ffn_down", &[wide, embedding], favoured);
        }
        let numbers = [
            ("general.file_type", 15),
            ("llama.block_count", 32),
            ("llama.context_length", 131_072),
            ("llama.embedding_length", 4096),
            ("llama.attention.head_count", 32),
            ("llama.attention.head_count_kv", 8),
            ("llama.vocab_size", 128_256),
        ];
        let mut to = b"GGUF\x03\0\0\0".to_vec();
        to.extend((tensors.len() as u64).to_le_bytes());
        to.extend((numbers.len() as u64 + 1).to_le_bytes());
        string(&mut to, "general.architecture");
        to.extend(8_u32.to_le_bytes());
        string(&mut to, "llama");
        for (key, number) in numbers {
            string(&mut to, key);
            to.extend(4_u32.to_le_bytes());
            to.extend(u32::to_le_bytes(number));
        }
        let mut next = 0_u64;
        for (name, shape, kind) in &tensors {
            string(&mut to, name);
            to.extend(u32::try_from(shape.len()).unwrap().to_le_bytes());
            shape.iter().for_each(|dim| to.extend(dim.to_le_bytes()));
            to.extend(kind.to_le_bytes());
            to.extend(next.to_le_bytes());
            let elements: u64 = shape.iter().product();
            let bytes = match *kind {
                Q4_K => elements / 256 * 144,
                Q6_K => elements / 256 * 210,
                _ => elements * 4,
            };
            next += bytes.next_multiple_of(32);
        }
        let length = (to.len() as u64).next_multiple_of(32) + next;
        (to, length)
    }

    #[test]
    fn the_memory_of_llama_31_8b_at_8_k_is_the_worked_figure() {
        let (prefix, length) = llama_31_8b();
        let header = GgufHeader::read(&prefix, length, &Limits::default()).unwrap();
        assert_eq!(header.parameters, 8_030_261_312);
        assert_eq!(header.quantization.word(), "Q4_K_M");
        assert!(notes(&header)[0].starts_with(ROPE_FREQUENCIES), "{:?}", notes(&header));
        let facts = facts(&header);
        let need = facts.memory(8192, Loader::LlamaCpp);
        // In hundredths of a GiB: 4.58 + 1.00 + 0.55.
        let hundredths = |size: ByteSize| (size.get() * 100 + (1 << 29)) >> 30;
        assert_eq!([need.weights, need.kv, need.compute, need.overhead].map(hundredths), [458, 100, 55, 0]);
        let candle = facts.memory(8192, Loader::Candle);
        assert_eq!((hundredths(candle.kv), hundredths(candle.overhead)), (200, 196));
    }

    #[test]
    fn every_word_of_the_reader_is_one_of_the_vocabulary() {
        for word in GgufHeader::quantizations() {
            assert_eq!(word.parse::<Quantization>().unwrap().word(), word);
        }
    }

    #[test]
    fn a_file_of_gigabytes_is_inspected_from_its_beginning() {
        let (prefix, length) = llama_31_8b();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("llama-3.1.gguf");
        std::fs::write(&path, &prefix).unwrap();
        let mut file = File::options().read(true).write(true).open(&path).unwrap();
        // A hole: no byte of the weights is there, and none is read for the header.
        file.set_len(length).unwrap();
        let header = read_header(&path, &mut file, length, Vec::new()).unwrap();
        assert_eq!(header.layers, 32);
        file.set_len(1000).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let error = read_header(&path, &mut file, length, Vec::new()).unwrap_err();
        assert!(error.to_string().contains("became shorter"), "{error}");
    }

    #[test]
    fn both_digests_of_a_streamed_file_are_those_of_its_bytes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../sedge-artifact/tests/gguf/pypi/llama-q4_k_m.gguf");
        let bytes = std::fs::read(path).unwrap();
        let inspection = super::super::inspect(Path::new(path)).unwrap();
        assert_eq!((inspection.sha256, inspection.blake3), (Sha256::of(&bytes), Blake3::of(&bytes)));
        assert_eq!((inspection.format, inspection.quantization), (ModelFormat::Gguf, Quantization::Q4KM));
        assert_eq!(inspection.memory.len(), 1, "it was trained for 512 tokens");
    }
}
