//! Each limit holds at its edge: what fills it is accepted, and one more is refused.

use sedge_artifact::OnnxHeader;
use sedge_artifact::onnx::{Counted, Limits, OnnxError};

use super::builder::good;

type Field = fn(&mut Limits) -> &mut u64;

#[test]
fn every_count_is_accepted_at_its_limit_and_refused_below() {
    let fields: [(Counted, Field); 10] = [
        (Counted::Nodes, |limits| &mut limits.nodes),
        (Counted::ExpandedNodes, |limits| &mut limits.expanded_nodes),
        (Counted::Tensors, |limits| &mut limits.tensors),
        (Counted::Attributes, |limits| &mut limits.attributes),
        (Counted::Values, |limits| &mut limits.values),
        (Counted::Ports, |limits| &mut limits.ports),
        (Counted::Functions, |limits| &mut limits.functions),
        (Counted::OpsetImports, |limits| &mut limits.opset_imports),
        (Counted::Operators, |limits| &mut limits.operators),
        (Counted::MetadataEntries, |limits| &mut limits.metadata_entries),
    ];
    let good = good();
    for (counted, field) in fields {
        let mut limits = Limits::default();
        let needed = (0..64)
            .find(|allowed| {
                *field(&mut limits) = *allowed;
                OnnxHeader::read(&good, &limits).is_ok()
            })
            .unwrap();
        assert!(needed > 0, "the good model has no {counted}");
        *field(&mut limits) = needed - 1;
        match OnnxHeader::read(&good, &limits).unwrap_err() {
            OnnxError::TooMany { what, limit, .. } => {
                assert_eq!((what, limit), (counted, needed - 1));
            }
            other => panic!("{counted}: {other}"),
        }
    }
}

#[test]
fn every_size_is_accepted_at_its_limit_and_refused_below() {
    type Field = fn(&mut Limits) -> &mut usize;
    type Refusal = fn(&OnnxError) -> bool;
    let fields: [(usize, Field, Refusal); 4] = [
        // A branch of an `If` in the main graph.
        (2, |limits| &mut limits.depth, |error| matches!(error, OnnxError::TooDeep { limit: 1, .. })),
        // The longest name is `com.microsoft`.
        (13, |limits| &mut limits.name, |error| matches!(error, OnnxError::TooLong { length: 13, .. })),
        // `w` is a matrix.
        (
            2,
            |limits| &mut limits.dims,
            |error| {
                let what = Counted::Dims;
                matches!(error, OnnxError::TooMany { what: found, .. } if *found == what)
            },
        ),
        // `classes` and `cat,dog`.
        (
            14,
            |limits| &mut limits.metadata_bytes,
            |error| {
                let what = Counted::MetadataBytes;
                matches!(error, OnnxError::TooMany { what: found, .. } if *found == what)
            },
        ),
    ];
    for (needed, field, is_refusal) in fields {
        let mut limits = Limits::default();
        *field(&mut limits) = needed;
        OnnxHeader::read(&good(), &limits).unwrap();
        *field(&mut limits) = needed - 1;
        let error = OnnxHeader::read(&good(), &limits).unwrap_err();
        assert!(is_refusal(&error), "{error}");
    }
}

#[test]
fn the_good_model_has_as_many_nodes_as_the_limit_sees() {
    let header = OnnxHeader::read(&good(), &Limits::default()).unwrap();
    let mut limits = Limits::default();
    limits.nodes = header.nodes;
    OnnxHeader::read(&good(), &limits).unwrap();
    assert_eq!(header.operators.values().sum::<u64>(), header.nodes);
}

#[test]
fn a_file_over_the_limit_is_not_looked_at() {
    let mut limits = Limits::default();
    limits.file = 4;
    let error = OnnxHeader::read(b"GGUF!", &limits).unwrap_err();
    assert_eq!(error, OnnxError::TooLarge { size: 5, limit: 4 });
}
