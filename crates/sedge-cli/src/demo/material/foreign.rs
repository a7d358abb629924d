//! Versions made from a model of the user's: the same answers under other digests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sedge_agent::Inspection;
use sedge_statement::{Datatype, Dim, ModelFacts, OnnxFacts, Probe, Tensor, TensorSpec};
use serde_json::json;

use super::{Case, Material, Publication, Wrong, large, variation, write, write_inputs, write_version};
use crate::demo::mesh::Mesh;
use crate::tensors::case_tensors;

/// The id under which the model is published.
const ID: &str = "demo";
/// The case that ONNX's own tests keep beside a model.
const GIVEN: &str = "test_data_set_0";
/// The tokenizer of a language model whose file carries none.
const TOKENIZER: &str = "tokenizer.json";
/// The most elements of an input that is made up.
const MOST_ELEMENTS: u64 = 1 << 24;

impl Material {
    /// Versions of `file`, with the case beside it, or one made up from its header.
    pub(in crate::demo) async fn foreign(mesh: &Mesh, file: &Path) -> Result<Self> {
        let inspection: Inspection = mesh.ask(0, &["model", "inspect", &file.to_string_lossy()]).await?;
        let dir = mesh.dir().join("models");
        let bytes = fs::read(file).with_context(|| file.display().to_string())?;
        let tokenizer = file.parent().map(|parent| parent.join(TOKENIZER)).filter(|path| path.is_file());
        let more: Vec<PathBuf> = match inspection.facts {
            ModelFacts::Gguf(_) => tokenizer.into_iter().collect(),
            ModelFacts::Onnx(_) => Vec::new(),
        };
        let publication = |version: &str, file: PathBuf| Publication {
            id: ID.to_owned(),
            version: version.to_owned(),
            file,
            probes: Vec::new(),
            more: more.clone(),
        };
        let variation = |version: &str| -> Result<Publication> {
            Ok(publication(version, write_version(&dir, ID, version, &variation(&bytes, version)?)?))
        };
        let given = file.parent().map(|parent| parent.join(GIVEN)).filter(|dir| dir.is_dir());
        let case = match (&inspection.facts, given) {
            (ModelFacts::Onnx(facts), Some(given)) => given_case(&dir, &given, facts)?,
            (ModelFacts::Onnx(facts), None) => made_up_case(&dir, facts)?,
            (ModelFacts::Gguf(_), _) => text_case(&dir)?,
        };
        let first = publication("1.0.0", file.to_owned());
        Ok(Self {
            format: inspection.format,
            slot: ID.to_owned(),
            second: variation("2.0.0")?,
            field: variation("2.0.0-field")?,
            staged: variation("2.1.0")?,
            large: large(&dir, &first, &bytes)?,
            first,
            cases: vec![case],
            wrong: Wrong::FromAnswer(variation("3.0.0")?),
            dir,
        })
    }
}

/// A text to go on from: every language model knows how to.
fn text_case(dir: &Path) -> Result<Case> {
    let input = write(dir, "prompt.txt", b"Once upon a time")?;
    Ok(Case { name: "a text's continuation".to_owned(), input, expected: None })
}

/// The files carry no names, or other ones, where the case was written by another exporter: their order counts.
fn given_case(dir: &Path, given: &Path, facts: &OnnxFacts) -> Result<Case> {
    let read = |kind: &str, specs: &[TensorSpec]| -> Result<Vec<Tensor>> {
        let tensors = case_tensors(given, kind).map_err(|failure| anyhow::anyhow!(failure.what))?;
        let named = |(tensor, spec): (Tensor, &TensorSpec)| Tensor { name: spec.name.clone(), ..tensor };
        Ok(tensors.into_iter().zip(specs).map(named).collect())
    };
    let inputs = read("input", &facts.inputs)?;
    let outputs = read("output", &facts.outputs)?;
    let input = write_inputs(dir, "given.json", &inputs)?;
    let expected = Probe::of_tensors(GIVEN, inputs, outputs);
    Ok(Case { name: GIVEN.to_owned(), input, expected: Some(expected) })
}

fn made_up_case(dir: &Path, facts: &OnnxFacts) -> Result<Case> {
    let inputs = facts.inputs.iter().map(made_up).collect::<Result<Vec<_>>>()?;
    Ok(Case { name: "made-up".to_owned(), input: write_inputs(dir, "made-up.json", &inputs)?, expected: None })
}

/// A tensor of the declared shape, lengths that the model leaves open being one. Values repeat in a short cycle of small
/// ones: different enough to tell models apart, and valid as an index or a token too.
fn made_up(spec: &TensorSpec) -> Result<Tensor> {
    let name = &spec.name;
    let shape: Vec<u64> = spec.shape.iter().map(|dim| if let Dim::Fixed(n) = dim { *n } else { 1 }).collect();
    let datatype: Datatype = spec.datatype.parse().with_context(|| format!("input {name:?}"))?;
    let elements = Tensor::elements(&shape, datatype).filter(|n| *n <= MOST_ELEMENTS);
    let Some(elements) = elements else { bail!("input {name:?} is too large to make up") };
    let value = |n: u64| match datatype {
        Datatype::Bool => json!(n.is_multiple_of(2)),
        Datatype::Fp32 | Datatype::Fp64 => json!(f64::from(u32::try_from(n * 37 % 101).unwrap_or(0)) / 101.0),
        _ => json!(n % 2),
    };
    let data: Vec<_> = (0..elements).map(value).collect();
    let json = json!({"name": name, "shape": shape, "datatype": spec.datatype, "data": data});
    Tensor::from_json(&json)
        .with_context(|| format!("input {name:?} cannot be made up; keep a {GIVEN} beside the model"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_made_up_in_the_declared_shape() {
        let spec =
            |datatype: &str, shape: Vec<Dim>| TensorSpec { name: "x".to_owned(), datatype: datatype.to_owned(), shape };
        let image = made_up(&spec("FP32", vec![Dim::Named("N".to_owned()), Dim::Fixed(3), Dim::Unknown])).unwrap();
        assert_eq!((image.shape, image.data.len()), (vec![1, 3, 1], 12));
        assert_eq!(
            made_up(&spec("INT64", vec![Dim::Fixed(4)])).unwrap().to_f64().collect::<Vec<_>>(),
            [0.0, 1.0, 0.0, 1.0]
        );
        assert!(made_up(&spec("FP16", vec![Dim::Fixed(1)])).is_err());
        assert!(made_up(&spec("STRING", vec![])).is_err());
        assert!(made_up(&spec("UINT8", vec![Dim::Fixed(1 << 25)])).is_err());
    }
}
