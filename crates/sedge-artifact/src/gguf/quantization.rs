//! What a file declares of its quantization, held against what its tensors are.
//!
//! Quantizers leave some tensors at another type than the one they are asked for: norms and biases stay in floats,
//! embeddings and the output go by rules of their own, rows that blocks of 256 do not fill fall back to blocks of 32,
//! and recipes mix neighbouring widths. So the matrices of the blocks are judged, by the type that holds most of their
//! elements, and each declaration admits the types that it is met with.

use std::collections::BTreeMap;

use super::header::{Quantized, Tensor};
use super::metadata::Metadata;
use super::{GgufError, TensorType};

const FILE_TYPE: &str = "general.file_type";

/// Set by tools that guess the type rather than know it.
const GUESSED: u32 = 1024;

/// A value of `general.file_type`: its word, and the types that may hold most of the weights.
struct FileType {
    number: u32,
    word: &'static str,
    admits: &'static [TensorType],
}

const fn file_type(number: u32, word: &'static str, admits: &'static [TensorType]) -> FileType {
    FileType { number, word, admits }
}

use TensorType::*;

const TWO_BITS: &[TensorType] = &[Iq2Xxs, Iq2Xs, Iq2S, Q2K, Iq4Nl];
const THREE_BITS: &[TensorType] = &[Iq3Xxs, Iq3S, Q3K, Iq4Nl];

const FILE_TYPES: &[FileType] = &[
    file_type(0, "F32", &[F32]),
    file_type(1, "F16", &[F16]),
    file_type(2, "Q4_0", &[Q4_0]),
    file_type(3, "Q4_1", &[Q4_1]),
    file_type(7, "Q8_0", &[Q8_0]),
    file_type(8, "Q5_0", &[Q5_0]),
    file_type(9, "Q5_1", &[Q5_1]),
    file_type(10, "Q2_K", &[Q2K, Q3K, Iq2Xxs, Iq2Xs, Iq2S, Iq3Xxs, Q4_0, Iq4Nl]),
    file_type(11, "Q3_K_S", &[Q3K, Iq3Xxs, Iq3S, Q4_0, Iq4Nl]),
    file_type(12, "Q3_K_M", &[Q3K, Iq3Xxs, Iq3S, Q4_0, Iq4Nl]),
    file_type(13, "Q3_K_L", &[Q3K, Iq3Xxs, Iq3S, Q4_0, Iq4Nl]),
    file_type(14, "Q4_K_S", &[Q4K, Iq4Xs, Q5_0]),
    file_type(15, "Q4_K_M", &[Q4K, Iq4Xs, Q5_0]),
    file_type(16, "Q5_K_S", &[Q5K, Q5_1]),
    file_type(17, "Q5_K_M", &[Q5K, Q5_1]),
    file_type(18, "Q6_K", &[Q6K, Q8_0]),
    file_type(19, "IQ2_XXS", TWO_BITS),
    file_type(20, "IQ2_XS", TWO_BITS),
    file_type(21, "Q2_K_S", &[Q2K, Q4_0, Iq4Nl]),
    file_type(22, "IQ3_XS", THREE_BITS),
    file_type(23, "IQ3_XXS", THREE_BITS),
    file_type(24, "IQ1_S", &[Iq1S, Iq1M, Iq2Xxs, Iq4Nl]),
    file_type(25, "IQ4_NL", &[Iq4Nl]),
    file_type(26, "IQ3_S", THREE_BITS),
    file_type(27, "IQ3_M", THREE_BITS),
    file_type(28, "IQ2_S", TWO_BITS),
    file_type(29, "IQ2_M", TWO_BITS),
    file_type(30, "IQ4_XS", &[Iq4Xs, Iq4Nl]),
    file_type(31, "IQ1_M", &[Iq1M, Iq1S, Iq2Xxs, Iq4Nl]),
    file_type(32, "BF16", &[Bf16]),
    file_type(36, "TQ1_0", &[Tq1_0, Q4_0]),
    file_type(37, "TQ2_0", &[Tq2_0, Q4_0]),
    file_type(38, "MXFP4", &[Mxfp4]),
    file_type(39, "NVFP4", &[Nvfp4]),
    file_type(40, "Q1_0", &[Q1_0]),
];

/// Every word there can be, but for `mixed`.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    FILE_TYPES.iter().map(|file_type| file_type.word)
}

/// The quantization, unless what is declared is not what is there.
pub(super) fn judge(metadata: &Metadata<'_>, tensors: &[Tensor]) -> Result<Quantized, GgufError> {
    let declared = metadata.count(FILE_TYPE)?;
    let declared =
        declared.and_then(|number| FILE_TYPES.iter().find(|file_type| file_type.number == number & !GUESSED));
    let judged = judged(tensors, declared);
    // Ties go to the type with the smaller number, so that every reading says the same.
    let most = judged.iter().max_by_key(|(kind, elements)| (**elements, std::cmp::Reverse(**kind)));
    let (Some((most, share)), Some(declared)) = (most, declared) else {
        return Ok(match most {
            Some((most, share)) => seen(*most, *share, &judged),
            None => declared.map_or(Quantized::Mixed, |declared| Quantized::Declared(declared.word)),
        });
    };
    if declared.admits.contains(most) {
        return Ok(Quantized::Declared(declared.word));
    }
    let guessed = metadata.count(FILE_TYPE)?.is_some_and(|number| number & GUESSED != 0);
    if guessed {
        return Ok(seen(*most, *share, &judged));
    }
    Err(GgufError::Quantization { at: metadata.place(FILE_TYPE), declared: declared.word, found: *most })
}

/// Elements by type, of the matrices that a quantizer treats as it is told.
fn judged(tensors: &[Tensor], declared: Option<&FileType>) -> BTreeMap<TensorType, u64> {
    let outside =
        |name: &str| name.contains("token_embd") || name.starts_with("output") || name.contains("position_embd");
    // Experts that were trained in MXFP4 stay so, whatever the rest is made to be.
    let kept =
        |tensor: &Tensor| tensor.kind == Mxfp4 && tensor.shape.len() == 3 && declared.is_some_and(|d| d.number != 38);
    let matrices = || tensors.iter().filter(|tensor| tensor.shape.len() > 1 && !kept(tensor));
    let sum = |tensors: &mut dyn Iterator<Item = &Tensor>| {
        tensors.fold(BTreeMap::new(), |mut sums, tensor| {
            let sum: &mut u64 = sums.entry(tensor.kind).or_default();
            *sum = sum.saturating_add(tensor.elements);
            sums
        })
    };
    let inside = sum(&mut matrices().filter(|tensor| !outside(&tensor.name)));
    if inside.is_empty() { sum(&mut matrices()) } else { inside }
}

/// The word for what is seen, where nothing that is known here is declared.
fn seen(most: TensorType, share: u64, judged: &BTreeMap<TensorType, u64>) -> Quantized {
    let total: u128 = judged.values().map(|elements| u128::from(*elements)).sum();
    if u128::from(share) * 2 < total {
        return Quantized::Mixed;
    }
    let has = |kind| judged.contains_key(&kind);
    let word = match most {
        Q3K if has(Q5K) => "Q3_K_L",
        Q3K if has(Q4K) => "Q3_K_M",
        Q3K => "Q3_K_S",
        Q4K if has(Q6K) => "Q4_K_M",
        Q4K => "Q4_K_S",
        Q5K if has(Q6K) => "Q5_K_M",
        Q5K => "Q5_K_S",
        other => match words().find(|word| *word == other.word()) {
            Some(word) => word,
            None => return Quantized::Mixed,
        },
    };
    Quantized::Seen(word)
}
