//! Models and answers that others made: the cases of the `onnx` package on PyPI.
//!
//! Where they are is said by `SEDGE_ONNX_DATA`, the package's folder `onnx/backend/test/data`:
//! `export SEDGE_ONNX_DATA=$(bash .ci/onnx-data)` fetches it. Without it the tests have nothing to do and say so; under
//! `SEDGE_CI` that is a failure.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use common::{source, spec};
use prost::Message;
use sedge_runtime::{Loaded, Tract};
use sedge_statement::{Datatype, Dim, Tensor, TensorSpec, TensorTrial, Tolerance};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Length;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto};

/// The package's own relative tolerance, and more absolute room than its own 1e-7: the large networks sum in another order here.
const TOLERANCE: Tolerance = Tolerance { absolute_micros: 100, relative_ppm: 1000 };

fn cases() -> Option<PathBuf> {
    let folder = std::env::var_os("SEDGE_ONNX_DATA").map(PathBuf::from);
    if folder.is_none() {
        let how = "run `export SEDGE_ONNX_DATA=$(bash .ci/onnx-data)` first";
        assert!(std::env::var_os("SEDGE_CI").is_none(), "{how}");
        eprintln!("skipped: {how}");
    }
    folder
}

fn word(data_type: i32) -> String {
    match DataType::try_from(data_type).unwrap() {
        DataType::Float => "FP32".to_owned(),
        DataType::Double => "FP64".to_owned(),
        DataType::Float16 => "FP16".to_owned(),
        other => other.as_str_name().to_owned(),
    }
}

fn describe(port: &ValueInfoProto) -> TensorSpec {
    let Value::TensorType(tensor) = port.r#type.as_ref().unwrap().value.as_ref().unwrap();
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let shape = dims.map(|dim| match &dim.value {
        Some(Length::DimValue(length)) => Dim::Fixed(u64::try_from(*length).unwrap()),
        Some(Length::DimParam(name)) => Dim::Named(name.clone()),
        None => Dim::Unknown,
    });
    spec(&port.name, &word(tensor.elem_type), shape.collect())
}

fn ports(graph: &GraphProto) -> (Vec<TensorSpec>, Vec<TensorSpec>) {
    let given = |port: &&ValueInfoProto| graph.initializer.iter().all(|weights| weights.name != port.name);
    (graph.input.iter().filter(given).map(describe).collect(), graph.output.iter().map(describe).collect())
}

fn tensor(path: &Path, name: &str) -> Tensor {
    let proto = TensorProto::decode(std::fs::read(path).unwrap().as_slice()).unwrap();
    let datatype: Datatype = word(proto.data_type).parse().unwrap();
    let shape = proto.dims.iter().map(|n| u64::try_from(*n).unwrap()).collect();
    let data = match datatype {
        _ if !proto.raw_data.is_empty() => proto.raw_data,
        Datatype::Fp32 => proto.float_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Datatype::Int64 => proto.int64_data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        other => panic!("a case with {other} outside raw_data"),
    };
    Tensor::from_bytes(name, datatype, shape, data).unwrap()
}

fn graph(path: &Path) -> GraphProto {
    ModelProto::decode(std::fs::read(path).unwrap().as_slice()).unwrap().graph.unwrap()
}

/// Loads the model of a case and tries every data set beside it.
fn run_case(folder: &Path) -> Result<(), String> {
    let path = folder.join("model.onnx");
    let (inputs, outputs) = ports(&graph(&path));
    let model = Loaded::open(&Tract, &source(&path, inputs.clone(), outputs.clone(), 1)).map_err(|e| e.to_string())?;
    for set in 0.. {
        let set = folder.join(format!("test_data_set_{set}"));
        if !set.is_dir() {
            break;
        }
        let read = |kind: &str, specs: &[TensorSpec]| -> Vec<Tensor> {
            let each = specs.iter().enumerate();
            each.map(|(at, spec)| tensor(&set.join(format!("{kind}_{at}.pb")), &spec.name)).collect()
        };
        let (given, wanted) = (read("input", &inputs), read("output", &outputs));
        judge(&model, given, wanted)?;
    }
    Ok(())
}

fn judge(model: &Loaded, inputs: Vec<Tensor>, mut outputs: Vec<Tensor>) -> Result<(), String> {
    let mut answer = model.infer(&inputs).map_err(|e| e.to_string())?;
    outputs.iter_mut().zip(&mut answer).for_each(|(wanted, found)| forgive_nan(wanted, found));
    TensorTrial { inputs, outputs, tolerance: TOLERANCE }.judge(&answer).map_err(|e| e.to_string())
}

/// A few cases expect what is not a number, which no probe may: such elements become zeros where both sides have them.
fn forgive_nan(wanted: &mut Tensor, found: &mut Tensor) {
    if wanted.datatype != Datatype::Fp32 || found.datatype != Datatype::Fp32 {
        return;
    }
    for (wanted, found) in wanted.data.chunks_exact_mut(4).zip(found.data.chunks_exact_mut(4)) {
        if [&*wanted, &*found].iter().all(|bytes| f32::from_le_bytes((*bytes).try_into().unwrap()).is_nan()) {
            wanted.fill(0);
            found.fill(0);
        }
    }
}

/// Runs every case of a folder and tells which fail.
fn run_folder(name: &str) -> Option<(usize, Vec<String>)> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(cases()?.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let outcome = |folder: &PathBuf| Some(format!("{}: {}", folder.file_name()?.display(), run_case(folder).err()?));
    let failures: Vec<String> = folders.iter().filter_map(outcome).collect();
    println!("{name}: {} of {} answer as expected", folders.len() - failures.len(), folders.len());
    failures.iter().for_each(|failure| println!("  {failure}"));
    Some((folders.len(), failures))
}

#[test]
fn models_converted_from_pytorch_answer_as_expected() {
    let Some((cases, failures)) = run_folder("pytorch-converted") else { return };
    assert!(cases >= 82 && failures.len() <= 3, "{} of {cases} fail", failures.len());
}

#[test]
fn operators_exported_by_pytorch_answer_as_expected() {
    let Some((cases, failures)) = run_folder("pytorch-operator") else { return };
    assert!(cases >= 35 && failures.is_empty(), "{} of {cases} fail", failures.len());
}

/// Models of real shapes whose weights are constants made at load. Their one input counts up from zero, over its size.
#[test]
fn well_known_networks_answer_as_expected() {
    let Some(folder) = cases() else { return };
    let mut failures = Vec::new();
    for name in ["resnet50", "squeezenet", "shufflenet", "densenet121", "inception_v1", "inception_v2", "zfnet512"] {
        let path = folder.join(format!("light/light_{name}.onnx"));
        let (inputs, outputs) = ports(&graph(&path));
        let begun = Instant::now();
        let loaded = Loaded::open(&Tract, &source(&path, inputs.clone(), outputs.clone(), 1));
        let load = begun.elapsed();
        let outcome = loaded.map_err(|e| e.to_string()).and_then(|model| {
            let wanted = tensor(&path.with_file_name(format!("light_{name}_output_0.pb")), &outputs[0].name);
            let given = counting(&inputs[0]);
            let begun = Instant::now();
            judge(&model, vec![given.clone()], vec![wanted.clone()])?;
            let first = begun.elapsed();
            let begun = Instant::now();
            judge(&model, vec![given], vec![wanted])?;
            println!("{name}: loaded in {load:?}, first answer {first:?}, second {:?}", begun.elapsed());
            Ok(())
        });
        failures.extend(outcome.err().map(|why| format!("{name}: {why}")));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

fn counting(spec: &TensorSpec) -> Tensor {
    let length = |dim: &Dim| match dim {
        Dim::Fixed(length) => *length,
        _ => 1,
    };
    let shape: Vec<u64> = spec.shape.iter().map(length).collect();
    let count = u32::try_from(shape.iter().product::<u64>()).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "the package computes in doubles and narrows")]
    let data: Vec<f32> = (0..count).map(|at| (f64::from(at) / f64::from(count)) as f32).collect();
    Tensor::from_f32(&spec.name, shape, &data).unwrap()
}
