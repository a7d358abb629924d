//! What a file's metadata must agree upon with its tensors before a loader allocates by it.

use candle_core::quantized::gguf_file::{Content, Value};

use super::MAX_CONTEXT;
use super::weights::Family;

/// The sizes of a model, held against its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Which loader.
    pub(super) family: Family,
    /// Tokens served.
    pub(super) context: u32,
    /// Rows of the embeddings.
    pub(super) vocabulary: usize,
}

/// Why a file is not handed to a loader: it would allocate, divide or index by such a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ShapeError {
    #[error("its metadata lack {0}")]
    Missing(String),
    #[error("its architecture {0:?} is not one that is run")]
    Architecture(String),
    #[error("{key} is {value}, and cannot be, beside its tensors")]
    Number { key: String, value: u64 },
    #[error("{0} is of another type than it has in files of this kind")]
    Type(String),
    #[error("the tensor {0} is missing")]
    NoTensor(String),
    #[error("the tensor {name} is {found:?}, where its metadata say {wanted:?}")]
    Tensor { name: String, found: Vec<usize>, wanted: Vec<usize> },
}

impl Shape {
    /// Reads and checks the sizes.
    pub(super) fn check(content: &Content) -> Result<Self, ShapeError> {
        let architecture = content.metadata.get("general.architecture").and_then(|value| value.to_string().ok());
        let architecture = architecture.map(String::as_str).unwrap_or_default();
        let family = Family::of(architecture).ok_or_else(|| ShapeError::Architecture(architecture.to_owned()))?;
        let sizes = Sizes { content, prefix: family.prefix() };
        sizes.check(family)
    }
}

struct Sizes<'a> {
    content: &'a Content,
    prefix: &'static str,
}

impl Sizes<'_> {
    fn check(&self, family: Family) -> Result<Shape, ShapeError> {
        let embeddings = self.tensor("token_embd.weight")?;
        let &[vocabulary, embedding] = embeddings else { return Err(self.other("token_embd.weight", vec![0, 0])) };
        self.number("embedding_length", embedding, embedding)?;
        let tensors = self.content.tensor_infos.len();
        let layers = self.number("block_count", 1, tensors)?;
        let heads = self.number("attention.head_count", 1, embedding)?;
        let key = "attention.head_count_kv";
        let kv_heads = self.number(key, 1, heads)?;
        if heads % kv_heads != 0 {
            return Err(ShapeError::Number { key: self.key(key), value: kv_heads as u64 });
        }
        let head = match family {
            Family::Qwen3 => self.number("attention.key_length", 2, embedding)?,
            _ if embedding % heads == 0 => embedding / heads,
            _ => return Err(ShapeError::Number { key: self.key("attention.head_count"), value: heads as u64 }),
        };
        if matches!(family, Family::Llama | Family::Phi3) {
            self.number("rope.dimension_count", 2, head)?;
        }
        if family == Family::Llama && self.optional("expert_count").is_some_and(|n| n > tensors as u64) {
            return Err(ShapeError::Number { key: self.key("expert_count"), value: u64::MAX });
        }
        // Loaders take another number for it without a word.
        let base = self.key("rope.freq_base");
        if self.content.metadata.get(&base).is_some_and(|value| !matches!(value, Value::F32(_))) {
            return Err(ShapeError::Type(base));
        }
        for layer in 0..layers {
            let (name, rows) = match family {
                Family::Phi3 => (format!("blk.{layer}.attn_qkv.weight"), (heads + 2 * kv_heads) * head),
                _ => (format!("blk.{layer}.attn_k.weight"), kv_heads * head),
            };
            if self.tensor(&name)? != [rows, embedding] {
                return Err(self.other(&name, vec![rows, embedding]));
            }
        }
        let trained = match family {
            // The only loader that does not ask for it.
            Family::Llama => self.optional("context_length").unwrap_or(u64::from(MAX_CONTEXT)),
            _ => self.number("context_length", 1, usize::MAX)? as u64,
        };
        let context = u32::try_from(trained).unwrap_or(u32::MAX).min(MAX_CONTEXT);
        if context < 2 {
            return Err(ShapeError::Number { key: self.key("context_length"), value: trained });
        }
        Ok(Shape { family, context, vocabulary })
    }

    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn optional(&self, key: &str) -> Option<u64> {
        self.content.metadata.get(&self.key(key))?.to_u64().ok()
    }

    /// A number of the metadata between two that the tensors allow.
    fn number(&self, key: &str, least: usize, most: usize) -> Result<usize, ShapeError> {
        let value = self.optional(key).ok_or_else(|| ShapeError::Missing(self.key(key)))?;
        let fits = usize::try_from(value).ok().filter(|n| (least..=most).contains(n));
        fits.ok_or_else(|| ShapeError::Number { key: self.key(key), value })
    }

    fn tensor(&self, name: &str) -> Result<&[usize], ShapeError> {
        let info = self.content.tensor_infos.get(name).ok_or_else(|| ShapeError::NoTensor(name.to_owned()))?;
        Ok(info.shape.dims())
    }

    fn other(&self, name: &str, wanted: Vec<usize>) -> ShapeError {
        let found = self.tensor(name).map(<[usize]>::to_vec).unwrap_or_default();
        ShapeError::Tensor { name: name.to_owned(), found, wanted }
    }
}
