//! Shapes of tensors, held against the metadata where both are known.

use super::GgufError;
use super::attention::{Attention, is_plain};
use super::header::Tensor;
use crate::place::{Path, Place};

/// Checks what is the same in every architecture, and more in those whose blocks are plain.
pub(super) fn check(
    architecture: &str,
    attention: &Attention,
    vocabulary: u32,
    tensors: &[Tensor],
) -> Result<(), GgufError> {
    let plain = is_plain(architecture);
    let embedding = u64::from(attention.embedding);
    let mut seen = vec![false; attention.layers as usize];
    for (index, tensor) in tensors.iter().enumerate() {
        let at = || place(index, tensor);
        let expected = match tensor.name.as_str() {
            "token_embd.weight" if plain || embeds(tensor) => Some(vec![embedding, vocabulary.into()]),
            "output.weight" if plain => Some(vec![embedding, vocabulary.into()]),
            "output_norm.weight" if plain => Some(vec![embedding]),
            name if plain => match block(name) {
                Some((layer, rest)) => {
                    let Some(seen) = usize::try_from(layer).ok().and_then(|layer| seen.get_mut(layer)) else {
                        return Err(GgufError::NoSuchLayer { at: at(), layers: attention.layers });
                    };
                    *seen = true;
                    in_block(attention, u32::try_from(layer).expect("among the layers"), rest)
                }
                None => None,
            },
            _ => None,
        };
        if let Some(expected) = expected
            && tensor.shape != expected
        {
            return Err(GgufError::Shape { at: at(), found: tensor.shape.clone(), expected });
        }
    }
    match seen.iter().position(|seen| !seen) {
        Some(layer) if plain => {
            let layer = u32::try_from(layer).expect("among the layers");
            Err(GgufError::MissingLayer { layer, layers: attention.layers })
        }
        _ => Ok(()),
    }
}

/// Whether a tensor maps tokens to vectors. Some audio models use the name for something else.
fn embeds(tensor: &Tensor) -> bool {
    tensor.shape.len() == 2
}

/// The shape of a tensor of a plain block, where the metadata tells it.
fn in_block(attention: &Attention, layer: u32, rest: &str) -> Option<Vec<u64>> {
    let embedding = u64::from(attention.embedding);
    let wide = |heads: u32, length: u32| u64::from(heads) * u64::from(length);
    let (heads, kv) = (attention.heads.of(layer), attention.kv_heads.of(layer));
    let (key, value) = (attention.key_length, attention.value_length);
    Some(match rest {
        "attn_norm.weight" | "ffn_norm.weight" => vec![embedding],
        "attn_q.weight" => vec![embedding, wide(heads, key)],
        "attn_k.weight" => vec![embedding, wide(kv, key)],
        "attn_v.weight" => vec![embedding, wide(kv, value)],
        "attn_output.weight" => vec![wide(heads, value), embedding],
        _ => return None,
    })
}

/// The block's number and the rest, of a name such as `blk.7.attn_q.weight`.
fn block(name: &str) -> Option<(u64, &str)> {
    let (number, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| (number.parse().unwrap_or(u64::MAX), rest))
}

fn place(index: usize, tensor: &Tensor) -> Place {
    Path::ROOT.item("tensor", index).named(Some(&tensor.name)).field("shape").at(tensor.entry)
}
