//! GGUF files by hand: what no well-behaved library would write can be written here.

/// A value of metadata, with the number of its type.
#[derive(Debug, Clone)]
pub(crate) enum Val {
    U8(u8),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(u8),
    Text(Vec<u8>),
    U64(u64),
    /// The number of the elements' type, how many there are said to be, and their bytes.
    Array(u32, u64, Vec<u8>),
    /// A number of a type, and bytes.
    Raw(u32, Vec<u8>),
}

pub(crate) fn text(text: &str) -> Val {
    Val::Text(text.as_bytes().to_vec())
}

/// An array of texts.
pub(crate) fn texts<T: AsRef<[u8]>>(all: impl IntoIterator<Item = T>) -> Val {
    let (mut count, mut bytes) = (0, Vec::new());
    for text in all {
        count += 1;
        string(&mut bytes, text.as_ref());
    }
    Val::Array(8, count, bytes)
}

/// An array of 32-bit counts.
pub(crate) fn counts(all: &[u32]) -> Val {
    Val::Array(4, all.len() as u64, all.iter().flat_map(|n| n.to_le_bytes()).collect())
}

/// An array of 32-bit floats.
pub(crate) fn floats(count: u32) -> Val {
    Val::Array(6, count.into(), vec![0; count as usize * 4])
}

fn string(to: &mut Vec<u8>, text: &[u8]) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text);
}

impl Val {
    fn write(&self, to: &mut Vec<u8>) {
        let mut typed = |number: u32, bytes: &[u8]| {
            to.extend(number.to_le_bytes());
            to.extend(bytes);
        };
        match self {
            Self::U8(n) => typed(0, &[*n]),
            Self::U32(n) => typed(4, &n.to_le_bytes()),
            Self::I32(n) => typed(5, &n.to_le_bytes()),
            Self::F32(n) => typed(6, &n.to_le_bytes()),
            Self::Bool(n) => typed(7, &[*n]),
            Self::U64(n) => typed(10, &n.to_le_bytes()),
            Self::Raw(number, bytes) => typed(*number, bytes),
            Self::Text(bytes) => {
                typed(8, &[]);
                string(to, bytes);
            }
            Self::Array(kind, count, bytes) => {
                typed(9, &kind.to_le_bytes());
                to.extend(count.to_le_bytes());
                to.extend(bytes);
            }
        }
    }
}

/// An entry of the table of tensors.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) dims: Vec<u64>,
    pub(crate) kind: u32,
    /// Where the weights begin; after the tensor before where nothing is said.
    pub(crate) offset: Option<u64>,
}

pub(crate) const F32: u32 = 0;
pub(crate) const F16: u32 = 1;
pub(crate) const Q4_0: u32 = 2;
pub(crate) const Q8_0: u32 = 8;
pub(crate) const Q4_K: u32 = 12;
pub(crate) const Q6_K: u32 = 14;

pub(crate) fn entry(name: &str, dims: &[u64], kind: u32) -> Entry {
    Entry { name: name.as_bytes().to_vec(), dims: dims.to_vec(), kind, offset: None }
}

/// Bytes of a tensor's weights, for the types that the tests use.
fn bytes(entry: &Entry) -> u64 {
    let elements = entry.dims.iter().fold(1_u64, |all, dim| all.saturating_mul(*dim));
    match entry.kind {
        F32 => elements.saturating_mul(4),
        F16 => elements.saturating_mul(2),
        Q4_0 => elements / 32 * 18,
        Q8_0 => elements / 32 * 34,
        Q4_K => elements / 256 * 144,
        Q6_K => elements / 256 * 210,
        _ => elements,
    }
}

/// A file under construction.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) version: u32,
    pub(crate) keys: Vec<(Vec<u8>, Val)>,
    pub(crate) tensors: Vec<Entry>,
    pub(crate) alignment: u64,
    pub(crate) tensor_count: Option<u64>,
    pub(crate) key_count: Option<u64>,
}

impl File {
    pub(crate) fn new() -> Self {
        Self { version: 3, keys: Vec::new(), tensors: Vec::new(), alignment: 32, tensor_count: None, key_count: None }
    }

    /// One more key, even where it is there.
    pub(crate) fn key(mut self, key: impl AsRef<[u8]>, value: Val) -> Self {
        self.keys.push((key.as_ref().to_vec(), value));
        self
    }

    /// The same key with another value.
    pub(crate) fn set(mut self, key: &str, value: Val) -> Self {
        match self.keys.iter_mut().find(|(name, _)| name == key.as_bytes()) {
            Some((_, old)) => *old = value,
            None => self.keys.push((key.as_bytes().to_vec(), value)),
        }
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        self.keys.retain(|(name, _)| name != key.as_bytes());
        self
    }

    pub(crate) fn tensor(mut self, entry: Entry) -> Self {
        self.tensors.push(entry);
        self
    }

    /// The same tensor, changed.
    pub(crate) fn with(mut self, name: &str, change: impl FnOnce(&mut Entry)) -> Self {
        change(self.tensors.iter_mut().find(|entry| entry.name == name.as_bytes()).unwrap());
        self
    }

    /// The header alone, and the length that its file would have.
    pub(crate) fn header(&self) -> (Vec<u8>, u64) {
        let mut to = b"GGUF".to_vec();
        to.extend(self.version.to_le_bytes());
        to.extend(self.tensor_count.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        to.extend(self.key_count.unwrap_or(self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            string(&mut to, key);
            value.write(&mut to);
        }
        let mut next = 0_u64;
        for entry in &self.tensors {
            string(&mut to, &entry.name);
            to.extend(u32::try_from(entry.dims.len()).unwrap().to_le_bytes());
            entry.dims.iter().for_each(|dim| to.extend(dim.to_le_bytes()));
            to.extend(entry.kind.to_le_bytes());
            let offset = entry.offset.unwrap_or(next);
            to.extend(offset.to_le_bytes());
            let end = offset.saturating_add(bytes(entry));
            next = next.max(end.checked_next_multiple_of(self.alignment).unwrap_or(end));
        }
        let data = (to.len() as u64).next_multiple_of(self.alignment);
        (to, data.saturating_add(next))
    }

    /// The whole file, its weights zero. Weights that a lie makes large are left out.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (mut bytes, length) = self.header();
        let enough = bytes.len() + (16 << 10);
        bytes.resize(usize::try_from(length).unwrap_or(usize::MAX).min(enough).max(bytes.len()), 0);
        bytes
    }
}

/// A llama of two blocks: embedding 32, 4 heads in 2 groups, 16 tokens, everything `Q4_0` but the norms.
pub(crate) fn llama() -> File {
    let tokens: Vec<String> = (0..16).map(|n| format!("token-{n}")).collect();
    let mut file = File::new()
        .key("general.architecture", text("llama"))
        .key("general.name", text("small"))
        .key("general.license", text("CC0-1.0"))
        .key("general.file_type", Val::U32(2))
        .key("llama.block_count", Val::U32(2))
        .key("llama.context_length", Val::U32(128))
        .key("llama.embedding_length", Val::U32(32))
        .key("llama.attention.head_count", Val::U32(4))
        .key("llama.attention.head_count_kv", Val::U32(2))
        .key("llama.attention.layer_norm_rms_epsilon", Val::F32(1e-5))
        .key("llama.vocab_size", Val::U32(16))
        .key("tokenizer.ggml.model", text("gpt2"))
        .key("tokenizer.ggml.tokens", texts(&tokens))
        .key("tokenizer.ggml.merges", texts(["t o", "to k"]))
        .key("tokenizer.ggml.bos_token_id", Val::U32(1))
        .key("tokenizer.ggml.eos_token_id", Val::U32(2))
        .key("tokenizer.ggml.add_bos_token", Val::Bool(1))
        .tensor(entry("token_embd.weight", &[32, 16], Q4_0));
    for layer in 0..2 {
        let name = |rest: &str| format!("blk.{layer}.{rest}.weight");
        file = file
            .tensor(entry(&name("attn_norm"), &[32], F32))
            .tensor(entry(&name("attn_q"), &[32, 32], Q4_0))
            .tensor(entry(&name("attn_k"), &[32, 16], Q4_0))
            .tensor(entry(&name("attn_v"), &[32, 16], Q4_0))
            .tensor(entry(&name("attn_output"), &[32, 32], Q4_0))
            .tensor(entry(&name("ffn_norm"), &[32], F32))
            .tensor(entry(&name("ffn_up"), &[32, 32], Q4_0));
    }
    file.tensor(entry("output_norm.weight", &[32], F32)).tensor(entry("output.weight", &[32, 16], Q4_0))
}
