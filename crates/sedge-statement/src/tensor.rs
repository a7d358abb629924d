//! Tensors as people and probes give them: the Open Inference Protocol's JSON, little-endian bytes within.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::manifest::UnknownWord;

/// An element type, by the Open Inference Protocol's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Datatype {
    /// Booleans, one byte each.
    Bool,
    /// Unsigned 8 bit.
    Uint8,
    /// Unsigned 16 bit.
    Uint16,
    /// Unsigned 32 bit.
    Uint32,
    /// Unsigned 64 bit.
    Uint64,
    /// Signed 8 bit.
    Int8,
    /// Signed 16 bit.
    Int16,
    /// Signed 32 bit.
    Int32,
    /// Signed 64 bit.
    Int64,
    /// IEEE half precision. Carried, not computed with, here.
    Fp16,
    /// IEEE single precision.
    Fp32,
    /// IEEE double precision.
    Fp64,
}

impl Datatype {
    const ALL: [(Self, &'static str, u64); 12] = [
        (Self::Bool, "BOOL", 1),
        (Self::Uint8, "UINT8", 1),
        (Self::Uint16, "UINT16", 2),
        (Self::Uint32, "UINT32", 4),
        (Self::Uint64, "UINT64", 8),
        (Self::Int8, "INT8", 1),
        (Self::Int16, "INT16", 2),
        (Self::Int32, "INT32", 4),
        (Self::Int64, "INT64", 8),
        (Self::Fp16, "FP16", 2),
        (Self::Fp32, "FP32", 4),
        (Self::Fp64, "FP64", 8),
    ];

    fn row(self) -> &'static (Self, &'static str, u64) {
        Self::ALL.iter().find(|(t, ..)| *t == self).expect("the table lists every datatype")
    }

    /// The protocol's word.
    pub fn word(self) -> &'static str {
        self.row().1
    }

    /// The size of one element, bytes.
    pub fn size(self) -> u64 {
        self.row().2
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Datatype {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .iter()
            .find(|(_, word, _)| *word == text)
            .map(|(t, ..)| *t)
            .ok_or(UnknownWord { what: "datatype", known: "BOOL, UINT8 to UINT64, INT8 to INT64, FP16, FP32, FP64" })
    }
}

/// One dimension of a model's declared input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dim {
    /// A fixed length.
    Fixed(u64),
    /// A length chosen at run time; those of the same name are equal.
    Named(String),
    /// A length the model does not say.
    Unknown,
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            Self::Named(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// An input or output as a model declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Its element type, by the protocol's word; a word this version does not compute with may stand here.
    pub datatype: String,
    /// Its shape.
    pub shape: Vec<Dim>,
}

/// A tensor with its elements, little-endian and row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub datatype: Datatype,
    /// Its shape, elements per dimension; empty for a scalar.
    pub shape: Vec<u64>,
    /// `shape` product × element size bytes, little-endian, row-major.
    pub data: Vec<u8>,
}

/// Why JSON or bytes are not a tensor. The message names the tensor and what to correct.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// A field is absent or of the wrong type.
    #[error("tensor {name:?}: field {field:?} is missing or of the wrong type")]
    Field {
        /// The tensor, or empty where its name is what is missing.
        name: String,
        /// The field.
        field: &'static str,
    },
    /// Not a datatype of the protocol.
    #[error("tensor {name:?}: {source}")]
    Datatype {
        /// The tensor.
        name: String,
        /// What is known instead.
        source: UnknownWord,
    },
    /// The number of elements is not the shape's product.
    #[error("tensor {name:?}: {found} elements, where the shape asks for {wanted}")]
    Count {
        /// The tensor.
        name: String,
        /// Elements given.
        found: u64,
        /// Elements asked for.
        wanted: u64,
    },
    /// The shape's product, or its size in bytes, is beyond [`Tensor::MAX_BYTES`].
    #[error("tensor {name:?}: larger than {} bytes", Tensor::MAX_BYTES)]
    TooLarge {
        /// The tensor.
        name: String,
    },
    /// An element does not fit the datatype.
    #[error("tensor {name:?}: element {at} is no {datatype}")]
    Element {
        /// The tensor.
        name: String,
        /// Its position, row-major.
        at: usize,
        /// The datatype.
        datatype: Datatype,
    },
}

impl Tensor {
    /// The largest tensor accepted from JSON or a probe, bytes.
    pub const MAX_BYTES: u64 = 256 << 20;

    /// The number of elements that the shape asks for; none where the product or its bytes pass [`Self::MAX_BYTES`].
    pub fn elements(shape: &[u64], datatype: Datatype) -> Option<u64> {
        let n = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d))?;
        (n.checked_mul(datatype.size())? <= Self::MAX_BYTES).then_some(n)
    }

    /// A tensor from its bytes.
    ///
    /// # Errors
    /// [`TensorError::Count`] or [`TensorError::TooLarge`] where the bytes do not fit the shape.
    pub fn from_bytes(name: &str, datatype: Datatype, shape: Vec<u64>, data: Vec<u8>) -> Result<Self, TensorError> {
        let name = name.to_owned();
        let Some(wanted) = Self::elements(&shape, datatype) else { return Err(TensorError::TooLarge { name }) };
        if wanted * datatype.size() != data.len() as u64 {
            return Err(TensorError::Count { name, found: data.len() as u64 / datatype.size(), wanted });
        }
        Ok(Self { name, datatype, shape, data })
    }

    /// An FP32 tensor.
    ///
    /// # Errors
    /// As [`Self::from_bytes`].
    pub fn from_f32(name: &str, shape: Vec<u64>, data: &[f32]) -> Result<Self, TensorError> {
        Self::from_bytes(name, Datatype::Fp32, shape, data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// Reads the protocol's `{"name","shape","datatype","data"}`; `data` may be nested or flat.
    ///
    /// # Errors
    /// See [`TensorError`].
    pub fn from_json(json: &Value) -> Result<Self, TensorError> {
        let text = |field| json.get(field).and_then(Value::as_str);
        let name = text("name").ok_or(TensorError::Field { name: String::new(), field: "name" })?.to_owned();
        let missing = |field| TensorError::Field { name: name.clone(), field };
        let datatype = text("datatype")
            .ok_or_else(|| missing("datatype"))?
            .parse()
            .map_err(|source| TensorError::Datatype { name: name.clone(), source })?;
        let shape = json.get("shape").and_then(Value::as_array).ok_or_else(|| missing("shape"))?;
        let shape: Vec<u64> = shape.iter().map(Value::as_u64).collect::<Option<_>>().ok_or_else(|| missing("shape"))?;
        let Some(wanted) = Self::elements(&shape, datatype) else { return Err(TensorError::TooLarge { name }) };
        let mut flat = Vec::new();
        flatten(json.get("data").ok_or_else(|| missing("data"))?, &mut flat);
        if flat.len() as u64 != wanted {
            return Err(TensorError::Count { name, found: flat.len() as u64, wanted });
        }
        let mut data = Vec::with_capacity(flat.len());
        for (at, value) in flat.into_iter().enumerate() {
            push_element(datatype, value, &mut data).ok_or_else(|| TensorError::Element {
                name: name.clone(),
                at,
                datatype,
            })?;
        }
        Ok(Self { name, datatype, shape, data })
    }

    /// The protocol's JSON, `data` flat. Floats that JSON lacks (NaN, infinities) become `null`.
    pub fn to_json(&self) -> Value {
        let data: Vec<Value> =
            self.data.chunks_exact(width(self.datatype)).map(|b| element(self.datatype, b)).collect();
        serde_json::json!({"name": self.name, "shape": self.shape, "datatype": self.datatype.word(), "data": data})
    }

    /// The elements as doubles, for comparing within a tolerance; 64-bit integers beyond 2⁵³ lose their last digits.
    pub fn to_f64(&self) -> impl Iterator<Item = f64> + '_ {
        self.data.chunks_exact(width(self.datatype)).map(|b| number(self.datatype, b))
    }
}

fn width(datatype: Datatype) -> usize {
    usize::try_from(datatype.size()).expect("an element is at most 8 bytes")
}

fn flatten<'a>(value: &'a Value, into: &mut Vec<&'a Value>) {
    // serde_json bounds nesting at 128, and so this recursion.
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, into)),
        other => into.push(other),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "FP32 holds what JSON gives as the nearest single")]
fn push_element(datatype: Datatype, value: &Value, out: &mut Vec<u8>) -> Option<()> {
    let signed = || value.as_i64();
    let unsigned = || value.as_u64();
    match datatype {
        Datatype::Bool => out.push(u8::from(value.as_bool().or_else(|| unsigned().map(|n| n != 0))?)),
        Datatype::Uint8 => out.push(u8::try_from(unsigned()?).ok()?),
        Datatype::Uint16 => out.extend(u16::try_from(unsigned()?).ok()?.to_le_bytes()),
        Datatype::Uint32 => out.extend(u32::try_from(unsigned()?).ok()?.to_le_bytes()),
        Datatype::Uint64 => out.extend(unsigned()?.to_le_bytes()),
        Datatype::Int8 => out.extend(i8::try_from(signed()?).ok()?.to_le_bytes()),
        Datatype::Int16 => out.extend(i16::try_from(signed()?).ok()?.to_le_bytes()),
        Datatype::Int32 => out.extend(i32::try_from(signed()?).ok()?.to_le_bytes()),
        Datatype::Int64 => out.extend(signed()?.to_le_bytes()),
        // JSON has no half precision; give FP32 and let the runtime narrow it.
        Datatype::Fp16 => return None,
        Datatype::Fp32 => out.extend((value.as_f64()? as f32).to_le_bytes()),
        Datatype::Fp64 => out.extend(value.as_f64()?.to_le_bytes()),
    }
    Some(())
}

macro_rules! le {
    ($t:ty, $b:expr) => {
        <$t>::from_le_bytes($b.try_into().expect("chunks have the element's size"))
    };
}

fn element(datatype: Datatype, b: &[u8]) -> Value {
    match datatype {
        Datatype::Bool => Value::from(b[0] != 0),
        Datatype::Uint8 => Value::from(b[0]),
        Datatype::Uint16 => Value::from(le!(u16, b)),
        Datatype::Uint32 => Value::from(le!(u32, b)),
        Datatype::Uint64 => Value::from(le!(u64, b)),
        Datatype::Int8 => Value::from(le!(i8, b)),
        Datatype::Int16 => Value::from(le!(i16, b)),
        Datatype::Int32 => Value::from(le!(i32, b)),
        Datatype::Int64 => Value::from(le!(i64, b)),
        Datatype::Fp16 => Value::from(half_to_f64(le!(u16, b))),
        Datatype::Fp32 => Value::from(le!(f32, b)),
        Datatype::Fp64 => Value::from(le!(f64, b)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "documented on to_f64")]
fn number(datatype: Datatype, b: &[u8]) -> f64 {
    match datatype {
        Datatype::Bool | Datatype::Uint8 => f64::from(b[0]),
        Datatype::Uint16 => f64::from(le!(u16, b)),
        Datatype::Uint32 => f64::from(le!(u32, b)),
        Datatype::Uint64 => le!(u64, b) as f64,
        Datatype::Int8 => f64::from(le!(i8, b)),
        Datatype::Int16 => f64::from(le!(i16, b)),
        Datatype::Int32 => f64::from(le!(i32, b)),
        Datatype::Int64 => le!(i64, b) as f64,
        Datatype::Fp16 => half_to_f64(le!(u16, b)),
        Datatype::Fp32 => f64::from(le!(f32, b)),
        Datatype::Fp64 => le!(f64, b),
    }
}

fn half_to_f64(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}
