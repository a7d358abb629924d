//! Each limit holds at its edge: what fills it is accepted, and one more is refused.

use sedge_artifact::GgufHeader;
use sedge_artifact::gguf::{GgufError, Limits};

use super::builder::{F32, Val, counts, entry, llama, texts};

fn read(file: &super::builder::File, limits: &Limits) -> Result<GgufHeader, GgufError> {
    let (header, length) = file.header();
    GgufHeader::read(&header, length, limits)
}

#[test]
fn every_limit_is_accepted_at_its_edge_and_refused_below() {
    type Field = fn(&mut Limits, u64);
    let file = llama();
    let header = file.header().0.len() as u64;
    let fields: [(u64, Field); 9] = [
        (header, |limits, n| limits.header = n),
        (17, |limits, n| limits.keys = n),
        (17, |limits, n| limits.tensors = n),
        // `llama.attention.layer_norm_rms_epsilon`
        (38, |limits, n| limits.key = n),
        // `blk.0.attn_output.weight`
        (24, |limits, n| limits.name = n),
        // `token-15`
        (8, |limits, n| limits.string = n),
        // The tokens.
        (16, |limits, n| limits.array = n),
        // These and the merges.
        (18, |limits, n| limits.elements = n),
        (2, |limits, n| limits.layers = u32::try_from(n).unwrap()),
    ];
    for (index, (needed, set)) in fields.into_iter().enumerate() {
        let mut limits = Limits::default();
        set(&mut limits, needed);
        read(&file, &limits).unwrap_or_else(|error| panic!("limit {index}: {error}"));
        set(&mut limits, needed - 1);
        let error = read(&file, &limits).unwrap_err();
        assert!(
            matches!(error, GgufError::HeaderTooLarge { .. } | GgufError::TooMany { .. } | GgufError::TooLong { .. }),
            "limit {index}: {error}"
        );
    }
}

#[test]
fn four_dimensions_and_both_ends_of_the_alignments_are_accepted() {
    for alignment in [8_u32, 1 << 16] {
        let mut file = llama().key("general.alignment", Val::U32(alignment));
        file.alignment = alignment.into();
        file = file.tensor(entry("blk.0.four.weight", &[2, 2, 2, 2], F32));
        let header = read(&file, &Limits::default()).unwrap();
        assert_eq!(header.alignment, u64::from(alignment));
        assert!(header.tensors.iter().all(|tensor| tensor.padded_bytes.is_multiple_of(header.alignment)));
    }
}

#[test]
fn special_tokens_are_bounded_beside_the_ordinary_ones() {
    let kinds: Vec<u32> = (0..16).map(|at| if at < 3 { 4 } else { 1 }).collect();
    let file = llama().without("tokenizer.ggml.token_type").key("tokenizer.ggml.token_type", counts(&kinds));
    let mut limits = Limits::default();
    limits.special = 3;
    read(&file, &limits).unwrap();
    limits.special = 2;
    let error = read(&file, &limits).unwrap_err();
    assert!(matches!(error, GgufError::TooMany { found: 3, limit: 2, .. }), "{error}");
}

#[test]
fn a_limit_on_the_header_holds_even_where_the_whole_file_is_given() {
    let mut limits = Limits::default();
    limits.header = 300;
    let bytes = llama().bytes();
    let error = GgufHeader::read(&bytes, bytes.len() as u64, &limits).unwrap_err();
    assert!(matches!(error, GgufError::HeaderTooLarge { limit: 300, .. }), "{error}");
    let error = GgufHeader::read(&bytes[..100], bytes.len() as u64, &limits).unwrap_err();
    assert!(matches!(error, GgufError::NeedMore { bytes: 101..=300 }), "{error}");
}

#[test]
fn a_header_at_every_limit_at_once_is_read() {
    const TOKENS: u32 = 2 << 20;
    let mut file = llama()
        .set("tokenizer.ggml.tokens", texts((0..TOKENS).map(|n| n.to_string())))
        .set("llama.vocab_size", Val::U32(TOKENS))
        .with("token_embd.weight", |entry| entry.dims[1] = TOKENS.into())
        .with("output.weight", |entry| entry.dims[1] = TOKENS.into());
    for index in file.keys.len()..4096 {
        file = file.key(format!("some.key.{index}"), Val::U32(0));
    }
    for index in file.tensors.len()..1 << 16 {
        file = file.tensor(entry(&format!("blk.0.some.{index}"), &[32], F32));
    }
    let header = read(&file, &Limits::default()).unwrap();
    assert_eq!((header.keys, header.tensors.len(), header.vocabulary), (4096, 1 << 16, TOKENS));
}
