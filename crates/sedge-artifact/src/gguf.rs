//! GGUF: a model's header, read from the beginning of its file without its weights.
//!
//! The reader walks metadata and the table of tensors in place, over as much of the file's beginning as it is given;
//! where that ends too early it says how much it needs ([`GgufError::NeedMore`]). Keys, names and arrays are slices of
//! the input until it is done, so that what it allocates is bounded by the bytes given, whatever they announce. What a
//! runtime would rely on without looking is held together here: tensors lie inside the file and not over one another,
//! their shapes are those that the metadata makes them, heads divide, tokens are in the vocabulary, and the declared
//! quantization is the one that is there.
//!
//! Not read: the weights, the texts of the vocabulary beyond their being UTF-8, chat templates, and keys that only one
//! architecture has. Version 1, big-endian files and models in several files are refused by name.

mod attention;
mod cursor;
mod error;
mod header;
mod limits;
mod metadata;
mod quantization;
mod shapes;
mod tensor_type;
mod tensors;
mod value;
mod vocabulary;

use std::collections::BTreeMap;

pub use error::GgufError;
pub use header::{Certainty, GgufHeader, KvCache, Quantized, Tensor, Weights};
pub use limits::{Counted, Limits};
pub use tensor_type::TensorType;
pub use value::ValueType;

use crate::place::Path;
pub use crate::place::Place;
use crate::sniff::sniff;
use attention::Attention;
use cursor::Cursor;
use metadata::Metadata;
use tensors::Table;
use vocabulary::Vocabulary;

/// Where a file says no alignment.
const DEFAULT_ALIGNMENT: u64 = 32;

/// The most of a text of the author's that is carried along, characters.
const ABOUT_LENGTH: usize = 128;

/// Texts of the author's that are carried along.
const ABOUT: &[&str] = &[
    "author",
    "basename",
    "description",
    "finetune",
    "license",
    "license.link",
    "license.name",
    "organization",
    "quantized_by",
    "size_label",
    "source.url",
    "url",
    "version",
];

impl GgufHeader {
    /// Reads the header of a model from the beginning of its file, and the file's length.
    ///
    /// # Errors
    ///
    /// [`GgufError::NeedMore`] where the header goes on beyond the bytes given; never where those are the whole file or
    /// the limit. Refuses whatever is not one coherent model within `limits`; see [`GgufError`] for what each means.
    pub fn read(prefix: &[u8], file_len: u64, limits: &Limits) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(prefix, file_len, limits.header);
        let (version, tensors, keys) = envelope(&mut cursor, prefix, file_len, limits)?;
        let metadata = Metadata::read(&mut cursor, keys, limits)?;
        refuse_parts(&metadata)?;
        let alignment = alignment(&metadata, limits)?;
        let table = Table::read(&mut cursor, tensors, limits)?;

        let header_bytes = cursor.position() as u64;
        let data_offset = header_bytes.div_ceil(alignment).saturating_mul(alignment);
        let tensors = table.place(data_offset, alignment, file_len)?;
        if tensors.is_empty() {
            return Err(GgufError::NoTensors);
        }

        let architecture = architecture(&metadata)?;
        let attention = Attention::read(architecture, &metadata, limits)?;
        let vocabulary = Vocabulary::read(architecture, &metadata, &tensors, limits)?;
        shapes::check(architecture, &attention, vocabulary.tokens, &tensors)?;
        let kv = attention.cache(architecture, &metadata)?;
        let quantization = quantization::judge(&metadata, &tensors)?;
        let types = by_type(&tensors);
        Ok(Self {
            version,
            alignment,
            header_bytes,
            data_offset,
            keys,
            architecture: architecture.to_owned(),
            name: shown(metadata.text("general.name")?.unwrap_or_default()),
            about: about(&metadata),
            parameters: types.values().fold(0, |sum, weights| sum.saturating_add(weights.elements)),
            weight_bytes: types.values().fold(0, |sum, weights| sum.saturating_add(weights.bytes)),
            types,
            tensors,
            quantization,
            layers: attention.layers,
            embedding: attention.embedding,
            heads: attention.heads.max(),
            kv_heads: attention.kv_heads.max(),
            key_length: attention.key_length,
            value_length: attention.value_length,
            context: attention.context,
            vocabulary: vocabulary.tokens,
            tokenizer: vocabulary.tokenizer,
            merges: vocabulary.merges,
            rope_scaling: rope_scaling(architecture, &metadata)?,
            kv,
        })
    }

    /// Every word that [`Quantized::word`] can give.
    pub fn quantizations() -> impl Iterator<Item = &'static str> {
        quantization::words().chain([Quantized::Mixed.word()])
    }
}

/// Magic, version and counts.
fn envelope(
    cursor: &mut Cursor<'_>,
    prefix: &[u8],
    file_len: u64,
    limits: &Limits,
) -> Result<(u32, u64, u64), GgufError> {
    if file_len == 0 {
        return Err(GgufError::Empty);
    }
    let begun = file_len.min(4);
    if (prefix.len() as u64) < begun {
        return Err(GgufError::NeedMore { bytes: begun });
    }
    let at = Path::ROOT;
    match cursor.four(&at.field("magic")) {
        Ok(magic) if &magic == b"GGUF" => {}
        Ok(magic) if &magic == b"FUGG" => return Err(GgufError::BigEndian),
        Err(truncated) if b"GGUF".starts_with(prefix) => return Err(truncated),
        _ => return Err(GgufError::Foreign { looks_like: sniff(prefix) }),
    }
    let version = match cursor.u32(&at.field("version"))? {
        1 => return Err(GgufError::VersionOne),
        found @ 2..=3 => found,
        found if matches!(found.swap_bytes(), 1..=3) => return Err(GgufError::BigEndian),
        found => return Err(GgufError::Version { found }),
    };
    let mut count = |field, what, limit| {
        let place = at.field(field).at(cursor.position());
        match cursor.u64(&at.field(field))? {
            found if found > limit => Err(GgufError::TooMany { at: place, what, found, limit }),
            found => Ok(found),
        }
    };
    let tensors = count("tensor_count", Counted::Tensors, limits.tensors)?;
    let keys = count("metadata_count", Counted::Keys, limits.keys)?;
    Ok((version, tensors, keys))
}

fn refuse_parts(metadata: &Metadata<'_>) -> Result<(), GgufError> {
    let key = "split.count";
    match metadata.count(key)? {
        Some(count @ 2..) => Err(GgufError::Split { at: metadata.place(key), count: count.into() }),
        _ => Ok(()),
    }
}

fn alignment(metadata: &Metadata<'_>, limits: &Limits) -> Result<u64, GgufError> {
    let key = "general.alignment";
    // The format's type for it: a reader that looks for this one alone would place the weights elsewhere.
    if let Some(other) = metadata.get(key).map(|value| value.kind()).filter(|kind| *kind != ValueType::U32) {
        return Err(GgufError::WrongType { at: metadata.place(key), expected: "a 32-bit count", found: other });
    }
    let Some(found) = metadata.count(key)?.map(u64::from) else { return Ok(DEFAULT_ALIGNMENT) };
    if found.is_power_of_two() && limits.alignments.contains(&found) {
        return Ok(found);
    }
    let (least, most) = (*limits.alignments.start(), *limits.alignments.end());
    Err(GgufError::Alignment { at: metadata.place(key), found, least, most })
}

fn architecture<'a>(metadata: &Metadata<'a>) -> Result<&'a str, GgufError> {
    let key = "general.architecture";
    let Some(name) = metadata.text(key)? else { return Err(GgufError::MissingKey { key: key.to_owned() }) };
    if !is_word(name) {
        return Err(GgufError::BadName { at: metadata.place(key), what: "name of an architecture" });
    }
    Ok(name)
}

fn rope_scaling(architecture: &str, metadata: &Metadata<'_>) -> Result<String, GgufError> {
    let kind = metadata.text(&format!("{architecture}.rope.scaling.type"))?.unwrap_or_default();
    Ok(if kind == "none" { String::new() } else { shown(kind) })
}

/// Whether a text is one of those words that programs choose by.
fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(is_part)
}

/// Texts are carried along; what is not text is of no use to anybody here.
fn about(metadata: &Metadata<'_>) -> BTreeMap<String, String> {
    let texts = ABOUT.iter().filter_map(|name| {
        let text = metadata.text(&format!("general.{name}")).ok().flatten()?;
        (!text.is_empty()).then(|| ((*name).to_owned(), shown(text)))
    });
    texts.collect()
}

/// A text for people: of bounded length, and without what would move a terminal's cursor.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ABOUT_LENGTH).collect()
}

fn by_type(tensors: &[Tensor]) -> BTreeMap<TensorType, Weights> {
    tensors.iter().fold(BTreeMap::new(), |mut types, tensor| {
        let weights: &mut Weights = types.entry(tensor.kind).or_default();
        weights.tensors += 1;
        weights.elements = weights.elements.saturating_add(tensor.elements);
        weights.bytes = weights.bytes.saturating_add(tensor.padded_bytes);
        types
    })
}
