//! Protobuf messages by hand: what no well-behaved library would write can be written here.

/// A message under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An integer field.
    pub(crate) fn int(self, number: u64, value: u64) -> Self {
        self.varint(number << 3).varint(value)
    }

    /// A string or byte field.
    pub(crate) fn bytes(self, number: u64, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        let mut message = self.varint(number << 3 | 2).varint(value.len() as u64);
        message.0.extend_from_slice(value);
        message
    }

    /// A message field.
    pub(crate) fn with(self, number: u64, value: &Message) -> Self {
        self.bytes(number, &value.0)
    }

    /// Several message fields of the same number.
    pub(crate) fn with_all(self, number: u64, values: &[Message]) -> Self {
        values.iter().fold(self, |message, value| message.with(number, value))
    }

    /// A 32-bit field.
    pub(crate) fn fixed32(self, number: u64, value: u32) -> Self {
        let mut message = self.varint(number << 3 | 5);
        message.0.extend_from_slice(&value.to_le_bytes());
        message
    }

    /// A string field whose length is a lie.
    pub(crate) fn lie(self, number: u64, length: u64, value: &[u8]) -> Self {
        let mut message = self.varint(number << 3 | 2).varint(length);
        message.0.extend_from_slice(value);
        message
    }

    /// Bytes as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A bare varint.
    pub(crate) fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
        self
    }
}

pub(crate) const FLOAT: u64 = 1;
pub(crate) const INT64: u64 = 7;
pub(crate) const STRING: u64 = 8;
pub(crate) const BOOL: u64 = 9;
pub(crate) const UINT64: u64 = 13;

/// A model of IR version 8 and operator set 17, without a graph.
pub(crate) fn envelope() -> Message {
    Message::new().int(1, 8).with(8, &opset("", 17))
}

/// A model of IR version 8 and operator set 17 with this graph.
pub(crate) fn model(graph: &Message) -> Vec<u8> {
    envelope().with(7, graph).0
}

pub(crate) fn opset(domain: &str, version: u64) -> Message {
    Message::new().bytes(1, domain).int(2, version)
}

pub(crate) fn pair(key: &str, value: &str) -> Message {
    Message::new().bytes(1, key).bytes(2, value)
}

/// A graph `y = Relu(x)` over two floats, to which a defect can be added.
pub(crate) fn relu_graph() -> Message {
    Message::new()
        .with(1, &node("act", "Relu", &["x"], &["y"]))
        .bytes(2, "main")
        .with(11, &port("x", FLOAT, &[2]))
        .with(12, &port("y", FLOAT, &[2]))
}

pub(crate) fn node(name: &str, op_type: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    let message = inputs.iter().fold(Message::new(), |message, input| message.bytes(1, input));
    outputs.iter().fold(message, |message, output| message.bytes(2, output)).bytes(3, name).bytes(4, op_type)
}

/// An attribute with one field set.
pub(crate) fn attribute(name: &str, number: u64, value: &Message) -> Message {
    Message::new().bytes(1, name).with(number, value)
}

/// A declared tensor with fixed dimensions.
pub(crate) fn port(name: &str, code: u64, dims: &[u64]) -> Message {
    let dims: Vec<Message> = dims.iter().map(|dim| Message::new().int(1, *dim)).collect();
    port_of(name, code, &dims)
}

/// A declared tensor with dimensions given as messages.
pub(crate) fn port_of(name: &str, code: u64, dims: &[Message]) -> Message {
    let shape = Message::new().with_all(1, dims);
    let tensor = Message::new().int(1, code).with(2, &shape);
    Message::new().bytes(1, name).with(2, &Message::new().with(1, &tensor))
}

/// A tensor without data.
pub(crate) fn bare(name: &str, code: u64, dims: &[u64]) -> Message {
    dims.iter().fold(Message::new(), |message, dim| message.int(1, *dim)).int(2, code).bytes(8, name)
}

/// A tensor of floats, all zero, as raw data.
pub(crate) fn floats(name: &str, dims: &[u64]) -> Message {
    let elements: u64 = dims.iter().product();
    let size = usize::try_from(elements * 4).unwrap();
    bare(name, FLOAT, dims).bytes(9, vec![0; size])
}

/// A tensor whose data is in another file.
pub(crate) fn external(name: &str, dims: &[u64], entries: &[(&str, &str)]) -> Message {
    let entries: Vec<Message> = entries.iter().map(|(k, v)| pair(k, v)).collect();
    bare(name, FLOAT, dims).with_all(13, &entries).int(14, 1)
}

/// A sparse tensor of floats.
pub(crate) fn sparse(name: &str, stored: u64, indices: &[u64], dims: &[u64]) -> Message {
    let count: u64 = indices.iter().product();
    let size = usize::try_from(count * 8).unwrap();
    let indices = bare("", INT64, indices).bytes(9, vec![0; size]);
    let message = Message::new().with(1, &floats(name, &[stored])).with(2, &indices);
    dims.iter().fold(message, |message, dim| message.int(3, *dim))
}

/// A function of one operator set.
pub(crate) fn function(domain: &str, name: &str, imports: &[Message], nodes: &[Message]) -> Message {
    Message::new().bytes(1, name).bytes(4, "a").bytes(5, "b").with_all(7, nodes).with_all(9, imports).bytes(10, domain)
}

/// A node of a domain.
pub(crate) fn call(domain: &str, op_type: &str, input: &str, output: &str) -> Message {
    node("", op_type, &[input], &[output]).bytes(7, domain)
}

/// A small detector with something of everything that is read. Its operator sets come last, so that no proper part of
/// it from the beginning is a model.
pub(crate) fn good() -> Vec<u8> {
    let branch = |name: &str| {
        Message::new()
            .bytes(2, name)
            .with(1, &node("", "Mul", &["h", "scale"], &["scaled"]))
            .with(5, &floats("scale", &[1]))
            .with(12, &Message::new().bytes(1, "scaled"))
    };
    let choose = node("choose", "If", &["flag"], &["z"])
        .with(5, &attribute("then_branch", 6, &branch("yes")))
        .with(5, &attribute("else_branch", 6, &branch("no")));
    let constant = bare("", INT64, &[2]).bytes(7, [1, 2]);
    let graph = Message::new()
        .with(1, &node("fc", "MatMul", &["image", "w"], &["g"]))
        .with(1, &call("shop", "Twice", "g", "h"))
        .with(1, &choose)
        .with(1, &node("shape", "Constant", &[], &["to"]).with(5, &attribute("value", 5, &constant)))
        .with(1, &node("out", "Reshape", &["z", "to"], &["boxes"]))
        .with(1, &call("com.microsoft", "Gelu", "boxes", "scores"))
        .bytes(2, "detector")
        .with(5, &floats("w", &[3, 4]))
        .with(15, &sparse("rare", 2, &[2, 2], &[100, 100]))
        .bytes(10, "finds things")
        .with(11, &port_of("image", FLOAT, &[Message::new().bytes(2, "batch"), Message::new().int(1, 3)]))
        .with(11, &port("flag", BOOL, &[]))
        .with(11, &port("w", FLOAT, &[3, 4]))
        .with(12, &port("boxes", FLOAT, &[1, 2]))
        .with(12, &port_of("scores", FLOAT, &[Message::new()]))
        .with(13, &port("h", FLOAT, &[1, 4]));
    let twice = function("shop", "Twice", &[opset("", 17)], &[node("", "Add", &["a", "a"], &["b"])]);
    Message::new()
        .int(1, 9)
        .bytes(2, "by-hand")
        .bytes(3, "1.0")
        .bytes(4, "org.example")
        .int(5, 7)
        .with(14, &pair("classes", "cat,dog"))
        .with(7, &graph)
        .with(25, &twice)
        .with(8, &opset("shop", 1))
        .with(8, &opset("com.microsoft", 1))
        .with(8, &opset("", 17))
        .0
}
