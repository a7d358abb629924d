//! What a model says of other files.

use sedge_artifact::OnnxHeader;
use sedge_artifact::onnx::{Limits, OnnxError};

use crate::builder::{external, model, relu_graph};

#[test]
fn extraneous_files_that_a_model_names_are_refused_unless_the_caller_lists_them() {
    for location in ["weights.bin", "model.onnx.data", "libevil.so"] {
        let graph = relu_graph().with(5, &external("w", &[4], &[("location", location)]));
        let refused = OnnxHeader::read(&model(&graph), &Limits::default()).unwrap_err();
        assert!(matches!(refused, OnnxError::ExternalData { .. }), "{location}: {refused}");
    }
}

#[test]
fn path_traversal_by_the_place_of_a_models_weights_is_refused() {
    for location in ["../w", "/etc/passwd", "a/b", "..", ".", "", "c:\\w", "\\\\host\\w", "w\0.bin"] {
        let graph = relu_graph().with(5, &external("w", &[4], &[("location", location)]));
        let mut limits = Limits::default();
        limits.external = sedge_artifact::onnx::ExternalPolicy::List;
        for limits in [Limits::default(), limits] {
            let refused = OnnxHeader::read(&model(&graph), &limits).unwrap_err();
            assert!(matches!(refused, OnnxError::ExternalPath { .. }), "{location:?}: {refused}");
        }
    }
}
