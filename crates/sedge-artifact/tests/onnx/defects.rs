//! Every fixture: its file name is its defect. The refusals they meet are the snapshot `defects`.

use super::builder::*;

/// A file with one thing wrong.
pub(crate) struct Defect {
    pub(crate) file: &'static str,
    pub(crate) bytes: Vec<u8>,
}

fn defect(file: &'static str, bytes: impl Into<Vec<u8>>) -> Defect {
    let bytes = bytes.into();
    Defect { file, bytes }
}

/// All of them.
pub(crate) fn all() -> Vec<Defect> {
    [foreign(), wire(), envelopes(), tensors(), graphs(), programs()].into_iter().flatten().collect()
}

fn foreign() -> Vec<Defect> {
    let mut safetensors = 16_u64.to_le_bytes().to_vec();
    safetensors.extend_from_slice(b"{\"__metadata__\":");
    vec![
        defect("empty.onnx", []),
        defect("not-a-model.png", *b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        defect("not-a-model.gguf", *b"GGUF\x03\0\0\0\0\0\0\0"),
        defect("not-a-model.pt", *b"PK\x03\x04\0\0\x08\x08\0\0archive/data.pkl"),
        defect("not-a-model.safetensors", safetensors),
        defect("not-a-model.h5", *b"\x89HDF\r\n\x1a\n\0\0\0\0"),
        defect("not-a-model.tflite", *b"\x1c\0\0\0TFL3\0\0\0\0"),
        defect("git-lfs-pointer.onnx", *b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 12\n"),
        defect("html-page.onnx", *b"<!DOCTYPE html>\n<title>404 Not Found</title>\n"),
        defect("plain-text.onnx", *b"TODAY: pick up the model\n"),
        defect("noise.onnx", [0xfe, 0xed, 0xfa, 0xce, 0, 1, 2, 3]),
    ]
}

fn wire() -> Vec<Defect> {
    let good = good();
    vec![
        defect("truncated.onnx", &good[..good.len() / 2]),
        defect("truncated-in-a-tag.onnx", *b"\x08\x08\xd2"),
        defect("group-wire-type.onnx", envelope().raw(b"\x7b\x7c").0),
        defect("field-number-zero.onnx", envelope().raw(b"\x02\x00").0),
        defect("overlong-varint.onnx", Message::new().raw(&[0x08]).raw(&[0xff; 11]).0),
        defect(
            "length-beyond-its-message.onnx",
            model(&relu_graph().with(5, &bare("w", FLOAT, &[1]).lie(9, 1 << 40, &[0; 4]))),
        ),
        defect("graph-as-integer.onnx", envelope().int(7, 1).0),
        defect("graph-twice.onnx", envelope().with(7, &relu_graph()).with(7, &relu_graph()).0),
        defect("name-not-utf8.onnx", model(&relu_graph().with(1, &Message::new().bytes(2, [0xff, 0xfe])))),
        defect("name-too-long.onnx", model(&relu_graph().with(5, &floats(&"w".repeat(4097), &[1])))),
    ]
}

fn envelopes() -> Vec<Defect> {
    let relu = relu_graph();
    let versioned = |ir| Message::new().int(1, ir).with(8, &opset("", 17)).with(7, &relu).0;
    let imports = |all: &[Message]| Message::new().int(1, 8).with_all(8, all).with(7, &relu).0;
    vec![
        defect("no-ir-version.onnx", Message::new().with(8, &opset("", 17)).with(7, &relu).0),
        defect("ir-version-from-the-future.onnx", versioned(99)),
        defect("ir-version-before-operator-sets.onnx", versioned(2)),
        defect("no-operator-sets.onnx", imports(&[])),
        defect("opset-from-the-future.onnx", imports(&[opset("", 999)])),
        defect("opset-negative.onnx", imports(&[opset("", u64::MAX)])),
        defect("opset-twice.onnx", imports(&[opset("", 17), opset("ai.onnx", 12)])),
        defect("domain-unknown.onnx", imports(&[opset("", 17), opset("com.example.evil", 1)])),
        defect("domain-of-training.onnx", imports(&[opset("", 17), opset("ai.onnx.preview.training", 1)])),
        defect("training-graphs.onnx", envelope().with(20, &Message::new()).with(7, &relu).0),
        defect("metadata-key-twice.onnx", envelope().with(14, &pair("a", "1")).with(14, &pair("a", "2")).0),
        defect("no-graph.onnx", envelope().bytes(2, "pytorch").0),
    ]
}

fn tensors() -> Vec<Defect> {
    let with = |tensor: &Message| model(&relu_graph().with(5, tensor));
    let sparsely = |tensor: &Message| model(&relu_graph().with(15, tensor));
    let of_uint64 =
        Message::new().with(1, &floats("w1", &[2])).with(2, &bare("", UINT64, &[2]).bytes(9, [0; 16])).int(3, 9);
    let located = |location: &str| with(&external("w1", &[4], &[("location", location)]));
    vec![
        defect("raw-data-too-short.onnx", with(&bare("w1", FLOAT, &[2, 3]).bytes(9, [0; 20]))),
        defect("raw-data-too-long.onnx", with(&bare("w1", FLOAT, &[2, 3]).bytes(9, [0; 28]))),
        defect("float-data-too-short.onnx", with(&bare("w1", FLOAT, &[2, 3]).bytes(4, [0; 20]))),
        defect("float-data-not-whole.onnx", with(&bare("w1", FLOAT, &[2]).bytes(4, [0; 7]))),
        defect("int64-data-too-long.onnx", with(&bare("w1", INT64, &[2]).bytes(7, [1, 2, 3]))),
        defect("data-missing.onnx", with(&bare("w1", FLOAT, &[4]))),
        defect("data-in-two-forms.onnx", with(&floats("w1", &[1]).fixed32(4, 0))),
        defect("data-of-another-type.onnx", with(&bare("w1", FLOAT, &[1]).bytes(7, [1]))),
        defect("strings-as-raw-data.onnx", with(&bare("w1", STRING, &[1]).bytes(9, b"hello"))),
        defect("element-type-unknown.onnx", with(&bare("w1", 77, &[1]).bytes(9, [0; 4]))),
        defect("element-type-missing.onnx", with(&Message::new().int(1, 1).bytes(8, "w1").bytes(9, [0; 4]))),
        defect("dimension-negative.onnx", with(&bare("w1", FLOAT, &[2, u64::MAX]))),
        defect("dimensions-overflow.onnx", with(&bare("w1", FLOAT, &[1 << 40, 1 << 40]))),
        defect("dimensions-overflow-behind-zero.onnx", with(&bare("w1", FLOAT, &[0, 1 << 40, 1 << 40]))),
        defect("size-in-bytes-overflows.onnx", with(&bare("w1", FLOAT, &[1 << 62]).bytes(9, [0; 4]))),
        defect("dimensions-too-many.onnx", with(&bare("w1", FLOAT, &[1; 33]).bytes(9, [0; 4]))),
        defect("tensor-in-segments.onnx", with(&floats("w1", &[1]).with(3, &Message::new()))),
        defect("external-data.onnx", located("model.onnx.data")),
        defect("external-data-with-path.onnx", located("../../etc/passwd")),
        defect("external-data-with-backslashes.onnx", located("..\\weights.bin")),
        defect(
            "external-data-with-unknown-key.onnx",
            with(&external("w1", &[4], &[("location", "w.bin"), ("__class__", "x")])),
        ),
        defect(
            "external-data-located-twice.onnx",
            with(&external("w1", &[4], &[("location", "w.bin"), ("location", "../w.bin")])),
        ),
        defect("external-data-nowhere.onnx", with(&external("w1", &[4], &[("length", "16")]))),
        defect("external-data-beside-raw-data.onnx", with(&floats("w1", &[1]).int(14, 1))),
        defect("data-in-two-typed-fields.onnx", with(&bare("w1", FLOAT, &[1]).fixed32(4, 0).bytes(5, [0]))),
        defect(
            "external-data-offset-twice.onnx",
            with(&external("w1", &[4], &[("location", "w.bin"), ("offset", "0"), ("offset", "9")])),
        ),
        defect(
            "external-data-checksum-twice.onnx",
            with(&external("w1", &[4], &[("location", "w.bin"), ("checksum", "0"), ("checksum", "9")])),
        ),
        defect(
            "external-data-not-declared-as-such.onnx",
            with(&floats("w1", &[1]).with(13, &pair("location", "w.bin"))),
        ),
        defect(
            "external-data-of-strings.onnx",
            with(&bare("w1", STRING, &[1]).with(13, &pair("location", "w.bin")).int(14, 1)),
        ),
        defect("sparse-indices-of-another-rank.onnx", sparsely(&sparse("w1", 2, &[2, 3], &[9, 9]))),
        defect("sparse-indices-of-another-type.onnx", sparsely(&of_uint64)),
        defect("sparse-without-indices.onnx", sparsely(&Message::new().with(1, &floats("w1", &[2])).int(3, 9))),
        defect("sparse-indices-of-another-count.onnx", sparsely(&sparse("w1", 3, &[2, 2], &[9, 9]))),
    ]
}

fn graphs() -> Vec<Defect> {
    let relu = relu_graph;
    let deep = |number| {
        (0..16).fold(relu(), |inner, _| {
            relu().with(1, &node("again", "Loop", &[], &["l"]).with(5, &attribute("body", number, &inner)))
        })
    };
    let short = bare("inner", FLOAT, &[8]).bytes(9, [0; 4]);
    let branch = relu().with(5, &short);
    let inside = relu().with(1, &node("choose", "If", &["c"], &["d"]).with(5, &attribute("then_branch", 6, &branch)));
    let dim = |value| port_of("z", FLOAT, &[Message::new().int(1, value)]);
    vec![
        defect("no-outputs.onnx", model(&Message::new().with(11, &port("x", FLOAT, &[1])))),
        defect("initializer-twice.onnx", model(&relu().with(5, &floats("w1", &[1])).with(5, &floats("w1", &[1])))),
        defect("initializer-without-name.onnx", model(&relu().with(5, &floats("", &[1])))),
        defect("node-output-twice.onnx", model(&relu().with(1, &node("more", "Abs", &["x"], &["y"])))),
        defect("node-output-is-an-input.onnx", model(&relu().with(1, &node("more", "Abs", &["y"], &["x"])))),
        defect(
            "node-output-is-an-initializer.onnx",
            model(&relu().with(5, &floats("w1", &[1])).with(1, &node("more", "Abs", &["y"], &["w1"]))),
        ),
        defect("node-without-operator.onnx", model(&relu().with(1, &Message::new().bytes(3, "what")))),
        defect("input-twice.onnx", model(&relu().with(11, &port("x", FLOAT, &[2])))),
        defect("input-without-name.onnx", model(&relu().with(11, &port("", FLOAT, &[2])))),
        defect("input-without-type.onnx", model(&relu().with(11, &Message::new().bytes(1, "z")))),
        defect("input-dimension-negative.onnx", model(&relu().with(11, &dim(u64::MAX)))),
        defect("output-that-nothing-produces.onnx", model(&relu().with(12, &port("z", FLOAT, &[2])))),
        defect("subgraphs-too-deep.onnx", model(&deep(6))),
        defect("subgraphs-in-lists-too-deep.onnx", model(&deep(11))),
        defect("subgraph-raw-data-too-short.onnx", model(&inside)),
        defect("compiled-context.onnx", model(&relu().with(1, &node("ep", "EPContext", &[], &["e"])))),
    ]
}

fn programs() -> Vec<Defect> {
    let program = |imports: &[Message], nodes: &[Message], functions: &[Message]| {
        envelope().with_all(8, imports).with_all(25, functions).with(7, &relu_graph().with_all(1, nodes)).0
    };
    let (onnx, own) = (opset("", 17), opset("own", 1));
    let both = [onnx.clone(), own.clone()];
    let relu = [call("", "Relu", "a", "b")];
    let once = function("own", "Once", std::slice::from_ref(&onnx), &relu);
    let calls = |name, callee| function("own", name, &both, &[call("own", callee, "a", "b")]);
    let doubling: Vec<Message> = (0..40)
        .map(|level: u32| {
            let callee = format!("F{}", level + 1);
            let nodes = [call("own", &callee, "a", "c"), call("own", &callee, "c", "b")];
            function("own", &format!("F{level}"), &both, &nodes)
        })
        .chain([function("own", "F40", std::slice::from_ref(&onnx), &relu)])
        .collect();
    let imports = std::slice::from_ref(&own);
    let one = std::slice::from_ref(&once);
    vec![
        defect("domain-not-imported.onnx", program(&[], &[call("com.microsoft", "Gelu", "y", "z")], &[])),
        defect("domain-unknown-in-a-node.onnx", program(&[], &[call("evil", "Run", "y", "z")], &[])),
        defect("function-undefined.onnx", program(imports, &[call("own", "Thrice", "y", "z")], one)),
        defect("function-twice.onnx", program(imports, &[], &[once.clone(), once.clone()])),
        defect("function-calls-itself.onnx", program(imports, &[], &[calls("Self", "Self")])),
        defect(
            "functions-in-a-circle.onnx",
            program(imports, &[], &[calls("Lead", "A"), calls("A", "B"), calls("B", "A")]),
        ),
        defect("functions-doubling-forty-times.onnx", program(imports, &[call("own", "F0", "y", "z")], &doubling)),
        defect(
            "function-produces-its-input.onnx",
            program(imports, &[], &[function("own", "F", std::slice::from_ref(&onnx), &[call("", "Relu", "a", "a")])]),
        ),
        defect("function-without-operator-sets.onnx", program(imports, &[], &[function("own", "Bare", &[], &relu)])),
    ]
}
