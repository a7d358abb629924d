//! The reader of GGUF headers: any bytes, as a whole file and as the beginning of one.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use sedge_artifact::gguf::Limits;
use sedge_artifact::{GgufError, GgufHeader};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let limits = Limits::default();
    let length = bytes.len() as u64;
    let whole = GgufHeader::read(bytes, length, &limits);
    if let Ok(header) = &whole {
        holds(header, length);
    }
    if let Err(error) = &whole {
        assert!(!error.to_string().is_empty());
        assert!(!matches!(error, GgufError::NeedMore { .. }), "more than the whole file is asked for");
    }
    // A beginning asks for more of what there is, or answers as the whole does.
    let half = &bytes[..bytes.len() / 2];
    match GgufHeader::read(half, length, &limits) {
        Err(GgufError::NeedMore { bytes }) => assert!(bytes > half.len() as u64 && bytes <= length),
        // What another format looks like may show later in the file.
        Err(GgufError::Foreign { .. }) => assert!(matches!(whole, Err(GgufError::Foreign { .. }))),
        answer => assert_eq!(answer, whole),
    }
    // The beginning of a file whose weights are elsewhere.
    let vast = 1 << 40;
    if let Ok(header) = GgufHeader::read(bytes, vast, &limits) {
        holds(&header, vast);
    }
    match whole {
        Err(GgufError::Empty | GgufError::Foreign { .. }) => Corpus::Reject,
        _ => Corpus::Keep,
    }
});

/// What a runtime will rely on without looking.
fn holds(header: &GgufHeader, length: u64) {
    let mut taken: Vec<(u64, u64)> = Vec::new();
    for tensor in &header.tensors {
        assert!(tensor.offset >= header.data_offset && tensor.offset.is_multiple_of(header.alignment));
        assert!(tensor.bytes > 0 && tensor.offset + tensor.bytes <= length);
        assert_eq!(tensor.shape.iter().product::<u64>(), tensor.elements);
        taken.push((tensor.offset, tensor.offset + tensor.bytes));
    }
    taken.sort_unstable();
    assert!(taken.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    assert!(header.layers > 0 && header.heads > 0 && header.kv_heads > 0 && header.context > 0);
    assert!(GgufHeader::quantizations().any(|word| word == header.quantization.word()));
}
