//! The reader of ONNX headers: any bytes, both policies of external data.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use sedge_artifact::onnx::{ExternalPolicy, Limits};
use sedge_artifact::{OnnxError, OnnxHeader, sniff};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    sniff(bytes);
    let refusing = Limits::default();
    let mut listing = Limits::default();
    listing.external = ExternalPolicy::List;
    let refused = OnnxHeader::read(bytes, &refusing);
    let listed = OnnxHeader::read(bytes, &listing);
    if let Ok(header) = &refused {
        assert!(header.external_files.is_empty());
        assert_eq!(Ok(header), listed.as_ref(), "the policy changed what a model without external data says");
    }
    if let Ok(header) = &listed {
        assert!(header.nodes <= listing.nodes && header.functions <= listing.functions);
        assert!(header.external_files.len() as u64 <= listing.external_files);
    }
    if let Err(error) = &listed {
        assert!(!error.to_string().is_empty());
    }
    match listed {
        Err(OnnxError::Empty | OnnxError::Foreign { .. }) => Corpus::Reject,
        _ => Corpus::Keep,
    }
});
