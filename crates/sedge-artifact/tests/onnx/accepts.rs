//! What is valid is accepted, and measured exactly.

use sedge_artifact::OnnxHeader;
use sedge_artifact::onnx::{DataType, Dim, ExternalPolicy, Limits, OnnxError, ValueType};

use super::builder::*;

fn read(bytes: &[u8]) -> OnnxHeader {
    OnnxHeader::read(bytes, &Limits::default()).unwrap()
}

#[test]
fn an_initializer_that_is_also_an_input_is_no_input() {
    let graph = relu_graph().with(11, &port("w", FLOAT, &[2])).with(5, &floats("w", &[2]));
    let names: Vec<String> = read(&model(&graph)).inputs.into_iter().map(|port| port.name).collect();
    assert_eq!(names, ["x"]);
}

#[test]
fn every_numeric_type_is_measured_alike_as_raw_and_as_typed_data() {
    const ELEMENTS: u64 = 5;
    for code in (1..=28).filter(|code| *code != STRING) {
        let datatype = DataType::from_code(code).unwrap();
        let expected = (ELEMENTS * datatype.bits().unwrap()).div_ceil(8);
        let raw = bare("w", code, &[ELEMENTS]).bytes(9, vec![0; usize::try_from(expected).unwrap()]);
        let typed = bare("w", code, &[ELEMENTS]);
        let typed = match code {
            1 => typed.bytes(4, [0; 20]),
            14 => typed.bytes(4, [0; 40]),
            11 => typed.bytes(10, [0; 40]),
            15 => typed.bytes(10, [0; 80]),
            7 => typed.bytes(7, [0; 5]),
            12 | 13 => typed.bytes(11, [0; 5]),
            21..=23 => typed.bytes(5, [0; 3]),
            25 | 26 => typed.bytes(5, [0; 2]),
            _ => typed.bytes(5, [0; 5]),
        };
        for tensor in [raw, typed] {
            let header = read(&model(&relu_graph().with(5, &tensor)));
            assert_eq!(header.weight_bytes, expected, "{datatype}");
            assert_eq!(header.parameters, ELEMENTS);
            let weights = header.weights[&datatype];
            assert_eq!((weights.tensors, weights.bytes), (1, expected));
        }
    }
}

#[test]
fn strings_weigh_what_they_hold() {
    let tensor = bare("w", STRING, &[2]).bytes(6, "cat").bytes(6, "");
    let header = read(&model(&relu_graph().with(5, &tensor)));
    assert_eq!((header.parameters, header.weight_bytes), (2, 3));
}

#[test]
fn repeated_numbers_may_be_packed_or_not() {
    let packed = Message::new().bytes(1, [2, 3]).int(2, FLOAT).bytes(8, "w").bytes(4, [0; 20]).fixed32(4, 0);
    assert_eq!(read(&model(&relu_graph().with(5, &packed))).parameters, 6);
}

#[test]
fn a_tensor_without_elements_needs_no_data() {
    for tensor in [bare("w", FLOAT, &[0, 7]), bare("w", FLOAT, &[0, 7]).bytes(9, []), bare("w", STRING, &[0])] {
        let header = read(&model(&relu_graph().with(5, &tensor)));
        assert_eq!((header.parameters, header.weight_bytes), (0, 0));
    }
}

#[test]
fn a_scalar_has_one_element() {
    let header = read(&model(&relu_graph().with(5, &floats("w", &[]))));
    assert_eq!((header.parameters, header.weight_bytes), (1, 4));
}

#[test]
fn constants_weigh_and_parameters_of_operators_do_not() {
    let list = Message::new().bytes(1, "value_floats").bytes(7, [0; 12]);
    let pads = Message::new().bytes(1, "pads").bytes(8, [1, 1, 1, 1]);
    let graph = relu_graph()
        .with(1, &node("c", "Constant", &[], &["k"]).with(5, &list))
        .with(1, &node("d", "MaxPool", &["x"], &["m"]).with(5, &pads));
    let header = read(&model(&graph));
    assert_eq!((header.parameters, header.weight_bytes), (0, 12));
}

#[test]
fn the_trees_of_a_forest_are_its_weights() {
    let values = Message::new().bytes(1, "nodes_values").bytes(7, [0; 400]);
    let forest = call("ai.onnx.ml", "TreeEnsembleRegressor", "x", "t").with(5, &values);
    let bytes = envelope().with(8, &opset("ai.onnx.ml", 3)).with(7, &relu_graph().with(1, &forest)).0;
    assert_eq!(read(&bytes).weight_bytes, 400);
}

#[test]
fn fields_may_come_in_any_order() {
    let node = Message::new().bytes(4, "Relu").bytes(3, "act").bytes(2, "y").bytes(1, "x");
    let graph = Message::new()
        .with(12, &port("y", FLOAT, &[2]))
        .with(11, &port("x", FLOAT, &[2]))
        .bytes(2, "main")
        .with(1, &node);
    let backwards = Message::new().with(7, &graph).with(8, &opset("", 17)).int(1, 8).0;
    assert_eq!(read(&backwards), read(&model(&relu_graph())));
}

#[test]
fn fields_from_a_later_version_are_passed_over() {
    let graph = relu_graph().bytes(4000, "novelty").fixed32(4001, 9);
    assert_eq!(read(&model(&graph)), read(&model(&relu_graph())));
}

#[test]
fn the_default_domain_has_two_names() {
    let long = Message::new().int(1, 8).with(8, &opset("ai.onnx", 17)).with(7, &relu_graph());
    assert_eq!(read(&long.0), read(&model(&relu_graph())));
    assert_eq!(read(&long.0).opset(), Some(17));
}

#[test]
fn shapes_may_be_fixed_named_open_or_absent() {
    let dims =
        [Message::new().int(1, 0), Message::new().bytes(2, "batch"), Message::new().bytes(2, ""), Message::new()];
    let open = Message::new().bytes(1, "open").with(2, &Message::new().with(1, &Message::new().int(1, FLOAT)));
    let list = Message::new().bytes(1, "list").with(2, &Message::new().bytes(4, ""));
    let graph = relu_graph().with(11, &port_of("z", STRING, &dims)).with(11, &open).with(11, &list);
    let inputs = read(&model(&graph)).inputs;
    let shape = inputs[1].tensor().unwrap().shape.as_deref();
    let batch = Dim::Symbolic("batch".to_owned());
    assert_eq!(shape, Some([Dim::Fixed(0), batch, Dim::Unknown, Dim::Unknown].as_slice()));
    assert_eq!(inputs[1].tensor().unwrap().datatype, DataType::String);
    assert_eq!(inputs[2].tensor().unwrap().shape, None);
    assert_eq!(inputs[3].value, ValueType::Sequence);
}

#[test]
fn external_files_are_listed_when_they_are_allowed() {
    let part = |name, start, length| {
        let entries = [("location", "w.bin"), ("offset", start), ("length", length)];
        external(name, &[4], &entries)
    };
    let mut limits = Limits::default();
    limits.external = ExternalPolicy::List;
    let graph = relu_graph()
        .with(5, &part("late", "4096", "16"))
        .with(5, &part("early", "0", "16"))
        .with(5, &external("whole", &[2], &[("location", "b.bin")]));
    let header = OnnxHeader::read(&model(&graph), &limits).unwrap();
    let files: Vec<(&str, u64)> =
        header.external_files.iter().map(|file| (file.name.as_str(), file.at_least)).collect();
    assert_eq!(files, [("b.bin", 8), ("w.bin", 4112)]);
    assert_eq!(header.weight_bytes, 40);

    for (start, length) in [("0", "15"), ("-1", "16"), ("18446744073709551615", "16")] {
        let graph = relu_graph().with(5, &part("bad", start, length));
        let error = OnnxHeader::read(&model(&graph), &limits).unwrap_err();
        let refused = matches!(
            error,
            OnnxError::RawLength { .. } | OnnxError::ExternalEntry { .. } | OnnxError::SizeOverflow { .. }
        );
        assert!(refused, "{error}");
    }
    let graph = relu_graph().with(5, &external("w", &[4], &[("location", "/w.bin")]));
    let error = OnnxHeader::read(&model(&graph), &limits).unwrap_err();
    assert!(matches!(error, OnnxError::ExternalPath { .. }), "{error}");
}

#[test]
fn a_long_chain_of_functions_is_no_recursion() {
    const LENGTH: usize = 2000;
    let imports = [opset("", 17), opset("own", 1)];
    let chain: Vec<Message> = (0..LENGTH)
        .map(|index| {
            let callee =
                if index == 0 { call("", "Relu", "a", "b") } else { call("own", &format!("F{}", index - 1), "a", "b") };
            function("own", &format!("F{index}"), &imports, &[callee])
        })
        .collect();
    let bytes = envelope().with(8, &opset("own", 1)).with_all(25, &chain).with(7, &relu_graph()).0;
    assert_eq!(read(&bytes).functions, LENGTH as u64);
}
