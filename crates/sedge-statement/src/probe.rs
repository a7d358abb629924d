//! Probes: inputs with the outputs that a good model gives, by which it is tried before it serves.
//!
//! A release's probes are one JSON file of its closed set:
//! `[{"name","inputs":[TENSOR…],"outputs":[TENSOR…],"tolerance":{"absolute_micros","relative_ppm"}}…]`, tensors in the Open
//! Inference Protocol's form. `outputs` may be absent: then every output must be finite and of the declared shape.
//! A language model's probe is `{"name","prompt","max_tokens","text_prefix"}` instead: the prompt is continued with the
//! likeliest tokens, and the text must begin with `text_prefix`; where that is empty, any text will do, but none will not.

use serde_json::{Value, json};

use crate::{Tensor, TensorError};

/// How far an output may be from the expected one: `|got − want| ≤ absolute + relative × |want|`. Integers of fixed
/// point, because a manifest is compared across nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// Millionths.
    pub absolute_micros: u32,
    /// Millionths of the expected value.
    pub relative_ppm: u32,
}

impl Default for Tolerance {
    /// A thousandth, both ways: what f32 kernels of different libraries agree to on shallow models.
    fn default() -> Self {
        Self { absolute_micros: 1000, relative_ppm: 1000 }
    }
}

/// One trial of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its name, for reports.
    pub name: String,
    /// What it asks.
    pub asked: Asked,
}

/// What a probe asks, by the kind of model it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Tensors for tensors.
    Tensors(TensorTrial),
    /// A text's continuation.
    Text(TextTrial),
}

/// Inputs with the outputs to expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorTrial {
    /// What to give.
    pub inputs: Vec<Tensor>,
    /// What to expect; empty where only finite outputs of the declared shape are.
    pub outputs: Vec<Tensor>,
    /// How exactly.
    pub tolerance: Tolerance,
}

/// A text with how its likeliest continuation begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTrial {
    /// What to continue.
    pub prompt: String,
    /// The most tokens to add.
    pub max_tokens: u32,
    /// How the continuation begins; empty for any.
    pub text_prefix: String,
}

/// Why a file is not a file of probes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Not JSON at all.
    #[error("not JSON: {0}")]
    Json(String),
    /// The JSON has another shape than the module describes.
    #[error("probe {at}: field {field:?} is missing or of the wrong type")]
    Field {
        /// Which probe, from zero.
        at: usize,
        /// The field.
        field: &'static str,
    },
    /// A tensor in it is wrong.
    #[error("probe {at}: {source}")]
    Tensor {
        /// Which probe, from zero.
        at: usize,
        /// What is wrong.
        source: TensorError,
    },
    /// A trial by text is out of bounds: a prompt of 1 byte to [`TextTrial::MAX_BYTES`], as long a prefix, and 1 to
    /// [`TextTrial::MAX_TOKENS`] tokens.
    #[error("probe {at}: {field:?} is empty or above what a probe may ask")]
    Bounds {
        /// Which probe, from zero.
        at: usize,
        /// The field.
        field: &'static str,
    },
    /// There must be at least one, and at most [`Probe::MAX_PROBES`].
    #[error("{0} probes, where 1 to {max} may be", max = Probe::MAX_PROBES)]
    Count(usize),
}

/// Where an output was not what a probe expects.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The model has no output of that name.
    #[error("output {0:?} is missing")]
    Missing(String),
    /// The output has another shape or type.
    #[error("output {name:?} is {found}, expected {wanted}")]
    Shape {
        /// The output.
        name: String,
        /// What came.
        found: String,
        /// What was expected.
        wanted: String,
    },
    /// An element is too far off.
    #[error("output {name:?}[{at}] is {found}, expected {wanted} within {allowed}")]
    Value {
        /// The output.
        name: String,
        /// The element, row-major.
        at: usize,
        /// What came.
        found: f64,
        /// What was expected.
        wanted: f64,
        /// How far off it may be.
        allowed: f64,
    },
    /// An element is not a number.
    #[error("output {name:?}[{at}] is not finite")]
    NotFinite {
        /// The output.
        name: String,
        /// The element, row-major.
        at: usize,
    },
    /// The text begins otherwise.
    #[error("the text begins {found:?}, expected {wanted:?}")]
    Text {
        /// What came, cut to what an expected text may have.
        found: String,
        /// What was expected.
        wanted: String,
    },
    /// The model ended before it said anything.
    #[error("the text is empty")]
    NoText,
    /// A probe for text was put to a model of tensors, or the other way round.
    #[error("the probe expects {0}")]
    OtherKind(&'static str),
}

impl TextTrial {
    /// The longest prompt and prefix, bytes: what a mismatch quotes still fits a report's reason.
    pub const MAX_BYTES: usize = 4 << 10;
    /// The most tokens: enough to tell models apart, few enough for a slow machine.
    pub const MAX_TOKENS: u32 = 256;
    /// How much of a text a mismatch quotes, bytes.
    const QUOTED: usize = 80;

    /// Judges how a model continued the prompt.
    ///
    /// # Errors
    /// [`Mismatch::Text`] and [`Mismatch::NoText`].
    pub fn judge(&self, text: &str) -> Result<(), Mismatch> {
        if text.is_empty() {
            return Err(Mismatch::NoText);
        }
        if text.starts_with(&self.text_prefix) {
            return Ok(());
        }
        Err(Mismatch::Text { found: quote(text), wanted: quote(&self.text_prefix) })
    }
}

/// The beginning of a text, cut between two characters.
fn quote(text: &str) -> String {
    if text.len() <= TextTrial::QUOTED {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(TextTrial::QUOTED);
    format!("{}…", &text[..end])
}

impl Probe {
    /// The largest file of probes, bytes.
    pub const MAX_FILE_BYTES: usize = 64 << 20;
    /// The most probes of a release.
    pub const MAX_PROBES: usize = 64;

    /// Reads a file of probes: a JSON array, or one object.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, ProbeError> {
        let json: Value = serde_json::from_slice(bytes).map_err(|e| ProbeError::Json(e.to_string()))?;
        let items = match json {
            Value::Array(items) => items,
            one => vec![one],
        };
        if items.is_empty() || items.len() > Self::MAX_PROBES {
            return Err(ProbeError::Count(items.len()));
        }
        items.iter().enumerate().map(|(at, item)| Self::from_json(at, item)).collect()
    }

    /// The canonical file of several probes.
    pub fn write_all(probes: &[Self]) -> Vec<u8> {
        let items: Vec<Value> = probes.iter().map(Self::to_json).collect();
        Value::Array(items).to_string().into_bytes()
    }

    /// Tensors for tensors, with the default tolerance.
    pub fn of_tensors(name: impl Into<String>, inputs: Vec<Tensor>, outputs: Vec<Tensor>) -> Self {
        let trial = TensorTrial { inputs, outputs, tolerance: Tolerance::default() };
        Self { name: name.into(), asked: Asked::Tensors(trial) }
    }

    /// Judges what a model of tensors answered to the inputs.
    ///
    /// # Errors
    /// The first [`Mismatch`], in the order of the expected outputs.
    pub fn judge(&self, answers: &[Tensor]) -> Result<(), Mismatch> {
        match &self.asked {
            Asked::Tensors(trial) => trial.judge(answers),
            Asked::Text(_) => Err(Mismatch::OtherKind("text")),
        }
    }

    fn from_json(at: usize, json: &Value) -> Result<Self, ProbeError> {
        let name = json.get("name").and_then(Value::as_str).unwrap_or("probe").to_owned();
        let asked = if json.get("prompt").is_some() {
            Asked::Text(TextTrial::from_json(at, json)?)
        } else {
            Asked::Tensors(TensorTrial::from_json(at, json)?)
        };
        Ok(Self { name, asked })
    }

    fn to_json(&self) -> Value {
        match &self.asked {
            Asked::Tensors(trial) => trial.to_json(&self.name),
            Asked::Text(trial) => json!({
                "name": self.name,
                "prompt": trial.prompt,
                "max_tokens": trial.max_tokens,
                "text_prefix": trial.text_prefix,
            }),
        }
    }
}

impl TextTrial {
    fn from_json(at: usize, json: &Value) -> Result<Self, ProbeError> {
        let text = |field: &'static str| {
            let text = json.get(field).and_then(Value::as_str).ok_or(ProbeError::Field { at, field })?;
            if text.len() > Self::MAX_BYTES { Err(ProbeError::Bounds { at, field }) } else { Ok(text.to_owned()) }
        };
        let field = "max_tokens";
        let max_tokens = json.get(field).and_then(Value::as_u64).ok_or(ProbeError::Field { at, field })?;
        let max_tokens = u32::try_from(max_tokens).ok().filter(|n| (1..=Self::MAX_TOKENS).contains(n));
        let trial = Self {
            prompt: text("prompt")?,
            max_tokens: max_tokens.ok_or(ProbeError::Bounds { at, field })?,
            text_prefix: text("text_prefix")?,
        };
        if trial.prompt.is_empty() { Err(ProbeError::Bounds { at, field: "prompt" }) } else { Ok(trial) }
    }
}

impl TensorTrial {
    fn from_json(at: usize, json: &Value) -> Result<Self, ProbeError> {
        let tensors = |field: &'static str| -> Result<Option<Vec<Tensor>>, ProbeError> {
            let Some(value) = json.get(field) else { return Ok(None) };
            let items = value.as_array().ok_or(ProbeError::Field { at, field })?;
            let tensors = items.iter().map(Tensor::from_json).collect::<Result<_, _>>();
            tensors.map(Some).map_err(|source| ProbeError::Tensor { at, source })
        };
        let tolerance = match json.get("tolerance") {
            None => Tolerance::default(),
            Some(value) => {
                let part = |field| {
                    let n = value.get(field).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
                    n.ok_or(ProbeError::Field { at, field })
                };
                Tolerance { absolute_micros: part("absolute_micros")?, relative_ppm: part("relative_ppm")? }
            }
        };
        Ok(Self {
            inputs: tensors("inputs")?.ok_or(ProbeError::Field { at, field: "inputs" })?,
            outputs: tensors("outputs")?.unwrap_or_default(),
            tolerance,
        })
    }

    fn to_json(&self, name: &str) -> Value {
        let tensors = |list: &[Tensor]| list.iter().map(Tensor::to_json).collect::<Vec<_>>();
        let tolerance =
            json!({"absolute_micros": self.tolerance.absolute_micros, "relative_ppm": self.tolerance.relative_ppm});
        let mut json = json!({"name": name, "inputs": tensors(&self.inputs), "tolerance": tolerance});
        if !self.outputs.is_empty() {
            json["outputs"] = Value::from(tensors(&self.outputs));
        }
        json
    }

    /// Judges what a model answered to the inputs.
    ///
    /// # Errors
    /// The first [`Mismatch`], in the order of the expected outputs.
    pub fn judge(&self, answers: &[Tensor]) -> Result<(), Mismatch> {
        for answer in answers {
            if let Some(at) = answer.to_f64().position(|x| !x.is_finite()) {
                return Err(Mismatch::NotFinite { name: answer.name.clone(), at });
            }
        }
        for want in &self.outputs {
            let got = answers.iter().find(|a| a.name == want.name);
            self.judge_one(want, got.ok_or_else(|| Mismatch::Missing(want.name.clone()))?)?;
        }
        Ok(())
    }

    fn judge_one(&self, want: &Tensor, got: &Tensor) -> Result<(), Mismatch> {
        let name = &want.name;
        if want.shape != got.shape || want.datatype != got.datatype {
            let show = |t: &Tensor| format!("{} {:?}", t.datatype, t.shape);
            return Err(Mismatch::Shape { name: name.clone(), found: show(got), wanted: show(want) });
        }
        for (at, (wanted, found)) in want.to_f64().zip(got.to_f64()).enumerate() {
            let allowed = (f64::from(self.tolerance.absolute_micros)
                + f64::from(self.tolerance.relative_ppm) * wanted.abs())
                / 1e6;
            // Written so that a NaN on either side fails.
            let within = (found - wanted).abs() <= allowed;
            if !within {
                return Err(Mismatch::Value { name: name.clone(), at, found, wanted, allowed });
            }
        }
        Ok(())
    }
}
