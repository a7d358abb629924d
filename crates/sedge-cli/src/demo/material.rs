//! The models of a demo: the built-in digits, or versions made from a model of the user's.

mod foreign;
mod other_slot;
mod rewrite;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sedge_statement::{Asked, Datatype, ModelFormat, Probe, Tensor, TensorTrial, TextTrial, Tolerance};
use serde_json::{Value, json};

use super::said::Said;
pub(super) use other_slot::OtherSlot;
use rewrite::{large, variation, write_version};

/// How many tokens a probe that must fail asks for: one would do.
const OTHER_TEXT_TOKENS: u32 = 4;

/// A model to publish.
#[derive(Debug, Clone)]
pub(super) struct Publication {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) file: PathBuf,
    pub(super) probes: Vec<PathBuf>,
    /// Further files of the model, as a tokenizer.
    pub(super) more: Vec<PathBuf>,
}

/// Something to ask.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    /// The inputs, as `--input` takes them.
    pub(super) input: PathBuf,
    /// What the first version must answer; none where that is not known.
    pub(super) expected: Option<Probe>,
}

/// Where a release whose probe fails comes from.
#[derive(Debug)]
enum Wrong {
    /// It is at hand.
    Given(Publication),
    /// Made from what the model answers, moved off by one.
    FromAnswer(Publication),
}

/// Everything that is published and asked.
#[derive(Debug)]
pub(super) struct Material {
    /// The format of its models.
    pub(super) format: ModelFormat,
    /// The slot, and the model's id.
    pub(super) slot: String,
    /// The first version.
    pub(super) first: Publication,
    /// What the mesh deploys while one node is away.
    pub(super) second: Publication,
    /// What that node deploys meanwhile.
    pub(super) field: Publication,
    /// What is staged and tampered with.
    pub(super) staged: Publication,
    /// More than 64 MiB.
    pub(super) large: Publication,
    /// What to ask the first version.
    pub(super) cases: Vec<Case>,
    wrong: Wrong,
    dir: PathBuf,
}

/// A file that this program carries.
struct Carried(&'static str, &'static [u8]);

macro_rules! carried {
    ($path:literal) => {
        Carried($path, include_bytes!(concat!("../../../../models/digits/", $path)))
    };
}

const FIRST: Carried = carried!("digits-1.0.0.onnx");
const SECOND: Carried = carried!("digits-2.0.0.onnx");
const WRONG_PROBE: Carried = carried!("digits-3.0.0-bad-probe/digits-3.0.0.bad-probe.json");
const INPUTS: [Carried; 3] =
    [carried!("inputs/three.json"), carried!("inputs/seven.json"), carried!("inputs/five-hard.json")];
const FIRST_PROBES: [Carried; 3] = [
    carried!("probes/digits-1.0.0.probe-a.json"),
    carried!("probes/digits-1.0.0.probe-b.json"),
    carried!("probes/digits-1.0.0.probe-c.json"),
];
const SECOND_PROBES: [Carried; 3] = [
    carried!("probes/digits-2.0.0.probe-a.json"),
    carried!("probes/digits-2.0.0.probe-b.json"),
    carried!("probes/digits-2.0.0.probe-c.json"),
];

impl Material {
    /// The built-in digits, written out under `dir`.
    pub(super) fn digits(dir: &Path) -> Result<Self> {
        let dir = dir.join("models");
        let unpack = |file: &Carried| {
            let name = Path::new(file.0).file_name().expect("carried files have names");
            write(&dir, &name.to_string_lossy(), file.1)
        };
        let all = |files: &[Carried]| files.iter().map(unpack).collect::<Result<Vec<_>>>();
        let (first_probes, second_probes) = (all(&FIRST_PROBES)?, all(&SECOND_PROBES)?);
        let digits = |version: &str, file: PathBuf, probes: &[PathBuf]| Publication {
            id: "digits".to_owned(),
            version: version.to_owned(),
            file,
            probes: probes.to_vec(),
            more: Vec::new(),
        };
        let variation = |version: &str| -> Result<Publication> {
            let file = write_version(&dir, "digits", version, &variation(SECOND.1, version)?)?;
            Ok(digits(version, file, &second_probes))
        };
        let cases = INPUTS.iter().zip(&FIRST_PROBES).map(|(input, probe)| {
            let name = Path::new(input.0).file_stem().expect("carried files have names").to_string_lossy().into_owned();
            Ok(Case { name, input: unpack(input)?, expected: Probe::read_all(probe.1)?.into_iter().next() })
        });
        let second = unpack(&SECOND)?;
        let first = digits("1.0.0", unpack(&FIRST)?, &first_probes);
        Ok(Self {
            format: ModelFormat::Onnx,
            slot: "digits".to_owned(),
            second: digits("2.0.0", second.clone(), &second_probes),
            field: variation("2.0.0-field")?,
            staged: variation("2.1.0")?,
            large: large(&dir, &first, FIRST.1)?,
            first,
            cases: cases.collect::<Result<_>>()?,
            wrong: Wrong::Given(digits("3.0.0", second, &[unpack(&WRONG_PROBE)?])),
            dir,
        })
    }

    /// A release with a probe that its model cannot pass; `answer` is what the model that serves answers to the first
    /// case.
    pub(super) fn wrong(&self, answer: &Said) -> Result<Publication> {
        match &self.wrong {
            Wrong::Given(publication) => Ok(publication.clone()),
            Wrong::FromAnswer(publication) => {
                let case = self.cases.first().context("a model without inputs")?;
                let asked = match answer {
                    Said::Tensors(tensors) => Asked::Tensors(TensorTrial {
                        inputs: inputs_of(&case.input)?,
                        outputs: vec![moved_off(tensors)?],
                        tolerance: Tolerance::default(),
                    }),
                    Said::Text(text) => Asked::Text(TextTrial {
                        prompt: fs::read_to_string(&case.input)?,
                        max_tokens: OTHER_TEXT_TOKENS,
                        text_prefix: other_than(text),
                    }),
                };
                let probe = Probe { name: "off-by-one".to_owned(), asked };
                let path = write(&self.dir, "off-by-one.json", &Probe::write_all(&[probe]))?;
                Ok(Publication { probes: vec![path], ..publication.clone() })
            }
        }
    }
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = dir.join(name);
    fs::create_dir_all(dir).and_then(|()| fs::write(&path, bytes)).with_context(|| path.display().to_string())?;
    Ok(path)
}

fn inputs_of(path: &Path) -> Result<Vec<Tensor>> {
    crate::tensors::read_inputs(path, None).map_err(|failure| anyhow::anyhow!(failure.what))
}

fn write_inputs(dir: &Path, name: &str, inputs: &[Tensor]) -> Result<PathBuf> {
    let tensors: Vec<Value> = inputs.iter().map(Tensor::to_json).collect();
    write(dir, name, json!({ "inputs": tensors }).to_string().as_bytes())
}

/// A beginning that the text does not have.
fn other_than(text: &str) -> String {
    if text.starts_with('~') { "-".to_owned() } else { "~".to_owned() }
}

/// The first output that probes can name, each element further off than any default tolerance bears.
fn moved_off(answer: &[Tensor]) -> Result<Tensor> {
    let found = answer.iter().find(|t| t.datatype != Datatype::Fp16 && !t.data.is_empty());
    let tensor = found.context("the model answers with nothing that a probe could expect otherwise")?;
    let mut json = tensor.to_json();
    let data = json["data"].as_array_mut().context("tensors have data")?;
    for element in data {
        *element = match &*element {
            Value::Bool(b) => Value::from(!b),
            Value::Number(n) if n.is_f64() => Value::from(n.as_f64().map_or(0.0, |x| x + 1.0 + x.abs() / 2.0)),
            Value::Number(n) if n.as_i64() == Some(0) => Value::from(1),
            // Towards zero, so that it stays in its range.
            Value::Number(n) => n.as_i64().map_or(Value::from(0), |n| Value::from(n - n.signum())),
            other => other.clone(),
        };
    }
    Ok(Tensor::from_json(&json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_moved_off_is_passed_by_no_tolerance_that_is_default() {
        let integers: Vec<u8> = [0i64, 5, -5].iter().flat_map(|n| n.to_le_bytes()).collect();
        let answers = [
            Tensor::from_f32("y", vec![3], &[0.0, -2.0, 1000.0]).unwrap(),
            Tensor::from_bytes("n", Datatype::Int64, vec![3], integers).unwrap(),
            Tensor::from_bytes("b", Datatype::Bool, vec![2], vec![0, 1]).unwrap(),
        ];
        for answer in answers {
            let probe = Probe::of_tensors("", Vec::new(), vec![moved_off(std::slice::from_ref(&answer)).unwrap()]);
            assert!(probe.judge(std::slice::from_ref(&answer)).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn the_built_in_models_are_all_different_and_one_is_large() {
        let dir = tempfile::tempdir().unwrap();
        let material = Material::digits(dir.path()).unwrap();
        let mut bytes: Vec<_> = [&material.first, &material.second, &material.field, &material.staged]
            .map(|p| fs::read(&p.file).unwrap())
            .to_vec();
        bytes.sort();
        bytes.dedup();
        assert_eq!(bytes.len(), 4);
        assert!(fs::metadata(&material.large.file).unwrap().len() > 64 << 20);
        assert!(material.cases.iter().all(|case| case.expected.is_some()));
    }
}
