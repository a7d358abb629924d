//! Models whose shapes tract cannot carry through open: made here, loaded, asked in several shapes.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;

use common::*;
use prost::Message;
use sedge_runtime::{Backend, Loaded, ModelSource, RunError, Tract};
use sedge_statement::{Dim, Tensor, TensorSpec};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::type_proto::{self, Value};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
};

fn port(spec: &TensorSpec) -> ValueInfoProto {
    let dim = |dim: &Dim| Dimension {
        value: match dim {
            Dim::Fixed(length) => Some(dimension::Value::DimValue(i64::try_from(*length).unwrap())),
            Dim::Named(name) => Some(dimension::Value::DimParam(name.clone())),
            Dim::Unknown => None,
        },
        ..Dimension::default()
    };
    let shape = Some(TensorShapeProto { dim: spec.shape.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    let r#type = Some(TypeProto { value: Some(Value::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: spec.name.clone(), r#type, ..ValueInfoProto::default() }
}

fn model(folder: &tempfile::TempDir, graph: GraphProto, inputs: &[TensorSpec], outputs: &[TensorSpec]) -> ModelSource {
    let graph = GraphProto {
        name: "made here".to_owned(),
        input: inputs.iter().map(port).collect(),
        output: outputs.iter().map(port).collect(),
        ..graph
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 17 }];
    let model = ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..ModelProto::default() };
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    source(&path, inputs.to_vec(), outputs.to_vec(), 4)
}

fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: format!("{op} of {output}"),
        op_type: op.to_owned(),
        input: input.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// `x` of any two lengths becomes `y` of 3 × 4: only where there are twelve elements, which no symbol can promise.
fn reshape(folder: &tempfile::TempDir, columns: Dim) -> ModelSource {
    let twelve = TensorProto {
        name: "twelve".to_owned(),
        dims: vec![2],
        data_type: DataType::Int64 as i32,
        raw_data: [3i64, 4].iter().flat_map(|n| n.to_le_bytes()).collect(),
        ..TensorProto::default()
    };
    let graph = GraphProto {
        node: vec![node("Reshape", &["x", "twelve"], "y")],
        initializer: vec![twelve],
        ..GraphProto::default()
    };
    let input = spec("x", "FP32", vec![named("rows"), columns]);
    model(folder, graph, &[input], &[spec("y", "FP32", vec![Dim::Fixed(3), Dim::Fixed(4)])])
}

fn count(shape: [u64; 2]) -> Tensor {
    let elements = u16::try_from(shape[0] * shape[1]).unwrap();
    Tensor::from_f32("x", shape.to_vec(), &(0..elements).map(f32::from).collect::<Vec<_>>()).unwrap()
}

#[test]
fn a_model_without_an_open_plan_is_asked_in_more_shapes_than_plans_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    for columns in [Dim::Unknown, named("columns")] {
        let model = Loaded::open(&Tract, &reshape(&folder, columns)).unwrap();
        for shape in [[1, 12], [2, 6], [3, 4], [4, 3], [6, 2], [12, 1], [1, 12], [1, 12], [6, 2]] {
            let answer = model.infer(&[count(shape)]).unwrap();
            assert_eq!((answer.len(), answer[0].name.as_str(), answer[0].shape.as_slice()), (1, "y", &[3, 4][..]));
            assert_eq!(answer[0].data, count([3, 4]).data, "{shape:?}");
        }
    }
}

#[test]
fn a_shape_that_the_model_cannot_take_is_the_models_own_failure() {
    let folder = tempfile::tempdir().unwrap();
    let model = Loaded::open(&Tract, &reshape(&folder, Dim::Unknown)).unwrap();
    let error = model.infer(&[count([1, 5])]).unwrap_err();
    assert!(matches!(error, RunError::Failed(_)), "{error}");
    assert!(model.infer(&[count([1, 12])]).is_ok());
}

#[test]
fn an_operator_that_tract_lacks_is_named_when_the_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let graph = GraphProto { node: vec![node("NoSuchOperator", &["x"], "y")], ..GraphProto::default() };
    let ends = |name| [spec(name, "FP32", vec![Dim::Fixed(2)])];
    let error = Loaded::open(&Tract, &model(&folder, graph, &ends("x"), &ends("y"))).unwrap_err().to_string();
    assert!(error.contains("NoSuchOperator"), "{error}");
}

#[test]
fn outputs_keep_their_declared_names_and_order_when_one_feeds_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = vec![node("Neg", &["x"], "minus"), node("Relu", &["minus"], "rest"), node("Neg", &["rest"], "last")];
    let ends = |names: &[&str]| -> Vec<_> {
        names.iter().map(|name| spec(name, "FP32", vec![Dim::Fixed(1), named("n")])).collect()
    };
    let graph = GraphProto { node: nodes, ..GraphProto::default() };
    let source = model(&folder, graph, &ends(&["x"]), &ends(&["last", "minus", "rest"]));
    let answer = Loaded::open(&Tract, &source).unwrap().infer(&[count([1, 3])]).unwrap();
    let found: Vec<_> = answer.iter().map(|t| (t.name.as_str(), t.to_f64().collect::<Vec<_>>())).collect();
    assert_eq!(found[0], ("last", vec![0.0, 0.0, 0.0]));
    assert_eq!(found[1], ("minus", vec![0.0, -1.0, -2.0]));
    assert_eq!(found[2], ("rest", vec![0.0, 0.0, 0.0]));
    assert!(Tract.memory(&source.variant).get() > 0);
}
