//! What is valid is accepted, and measured exactly.

use sedge_artifact::GgufHeader;
use sedge_artifact::gguf::{Certainty, GgufError, KvCache, Limits, Quantized, TensorType};

use super::builder::*;

fn read(file: &File) -> Result<GgufHeader, GgufError> {
    let bytes = file.bytes();
    GgufHeader::read(&bytes, bytes.len() as u64, &Limits::default())
}

/// A model of blocks alone, of an architecture whose shapes are not held against the metadata.
fn foreign(architecture: &str, layers: u32, keys: &[(&str, Val)]) -> File {
    let key = |rest: &str| format!("{architecture}.{rest}");
    let mut file = File::new()
        .key("general.architecture", text(architecture))
        .key(key("block_count"), Val::U32(layers))
        .key(key("context_length"), Val::U32(4096))
        .key(key("embedding_length"), Val::U32(64))
        .key(key("attention.head_count"), Val::U32(4));
    for (rest, value) in keys {
        file = file.set(&key(rest), value.clone());
    }
    file.tensor(entry("token_embd.weight", &[64, 8], F16)).tensor(entry("blk.0.ffn_up.weight", &[64, 64], F16))
}

fn cache(file: &File) -> (u64, u64, u32, Certainty) {
    let KvCache { per_token, windowed_per_token, window, certainty, .. } = read(file).unwrap().kv;
    (per_token, windowed_per_token, window, certainty)
}

#[test]
fn keys_and_values_are_counted_over_all_layers_with_their_groups() {
    // Two layers, two heads of eight for keys and for values.
    assert_eq!(cache(&llama()), (2 * 2 * (8 + 8), 0, 0, Certainty::Exact));
    let alone = llama().without("llama.attention.head_count_kv");
    assert!(matches!(read(&alone), Err(GgufError::Shape { .. })), "without groups every head has its own");
}

#[test]
fn layers_may_differ_in_their_heads() {
    let file = llama()
        .set("llama.attention.head_count", counts(&[4, 2]))
        .set("llama.attention.head_count_kv", counts(&[2, 1]))
        .key("llama.attention.key_length", Val::U32(8))
        .key("llama.attention.value_length", Val::U32(8))
        .with("blk.1.attn_q.weight", |entry| entry.dims = vec![32, 16])
        .with("blk.1.attn_k.weight", |entry| entry.dims = vec![32, 8])
        .with("blk.1.attn_v.weight", |entry| entry.dims = vec![32, 8])
        .with("blk.1.attn_output.weight", |entry| {
            entry.dims = vec![16, 32];
            entry.kind = F16;
        });
    let header = read(&file).unwrap();
    assert_eq!((header.heads, header.kv_heads), (4, 2));
    assert_eq!(header.kv.per_token, (2 + 1) * 16);
}

#[test]
fn sliding_windows_count_by_the_pattern_that_the_file_or_the_architecture_has() {
    let window = ("attention.sliding_window", Val::U32(512));
    // Twelve layers of four heads of sixteen: 4 × 32 elements each.
    let each = 4 * 32;
    let gpt_oss = foreign("gpt-oss", 12, std::slice::from_ref(&window));
    assert_eq!(cache(&gpt_oss), (6 * each, 6 * each, 512, Certainty::Exact));
    let gemma3n = foreign("gemma3n", 12, std::slice::from_ref(&window));
    assert_eq!(cache(&gemma3n), (2 * each, 10 * each, 512, Certainty::Exact));
    let said = [window.clone(), ("attention.sliding_window_pattern", Val::U32(3))];
    assert_eq!(cache(&foreign("novel", 12, &said)), (4 * each, 8 * each, 512, Certainty::Exact));
    let listed = [window.clone(), ("attention.sliding_window_pattern", Val::Array(7, 12, vec![1; 12]))];
    assert_eq!(cache(&foreign("novel", 12, &listed)), (0, 12 * each, 512, Certainty::Exact));
    let unknown = foreign("novel", 12, std::slice::from_ref(&window));
    assert_eq!(cache(&unknown), (12 * each, 0, 0, Certainty::UpperBound));
}

#[test]
fn an_architecture_that_is_not_known_is_measured_from_above() {
    let hybrid = foreign("hybrid", 4, &[("attention.head_count_kv", counts(&[0, 0, 2, 0]))]);
    assert_eq!(cache(&hybrid), (4 * 2 * 32, 0, 0, Certainty::UpperBound));
    let lengths = [("attention.key_length", Val::U32(192)), ("attention.value_length", Val::U32(128))];
    assert_eq!(cache(&foreign("deepseek2", 2, &lengths)).0, 2 * 4 * (192 + 128));
}

#[test]
fn a_head_of_its_own_length_need_not_divide_the_embedding() {
    let odd = [
        ("attention.head_count", Val::U32(6)),
        ("attention.key_length", Val::U32(128)),
        ("attention.value_length", Val::U32(128)),
    ];
    assert_eq!(read(&foreign("glm4moe", 1, &odd)).unwrap().key_length, 128);
}

#[test]
fn weights_are_counted_with_the_padding_of_every_tensor() {
    let header = read(&llama()).unwrap();
    // Every tensor of the model is a multiple of 32 bytes but the vectors of 32 floats, which are too.
    assert_eq!(header.weight_bytes, header.tensors.iter().map(|tensor| tensor.bytes).sum::<u64>());
    let odd = read(&llama().tensor(entry("blk.0.odd.weight", &[3], F32))).unwrap();
    assert_eq!(odd.weight_bytes, header.weight_bytes + 32, "twelve bytes take thirty-two");
    assert_eq!(odd.types[&TensorType::F32].tensors, 6);
}

#[test]
fn a_quantization_that_is_not_declared_is_seen() {
    let undeclared = llama().without("general.file_type");
    assert_eq!(read(&undeclared).unwrap().quantization, Quantized::Seen("Q4_0"));
    let unknown = llama().set("general.file_type", Val::U32(99));
    assert_eq!(read(&unknown).unwrap().quantization, Quantized::Seen("Q4_0"));
    let guessed = llama().set("general.file_type", Val::U32(1024 | 7));
    assert_eq!(read(&guessed).unwrap().quantization, Quantized::Seen("Q4_0"));
    assert_eq!(read(&llama()).unwrap().quantization, Quantized::Declared("Q4_0"));
}

#[test]
fn a_mixture_of_neighbours_is_no_lie() {
    let wide = |kinds: [u32; 4], declared| {
        let mut file = foreign("novel", 1, &[]).key("general.file_type", Val::U32(declared));
        file.tensors.clear();
        for (index, kind) in kinds.into_iter().enumerate() {
            file = file.tensor(entry(&format!("blk.0.m{index}.weight"), &[256, 4], kind));
        }
        read(&file.tensor(entry("token_embd.weight", &[64, 80], Q8_0)))
    };
    assert_eq!(wide([Q4_K, Q4_K, Q4_K, Q6_K], 15).unwrap().quantization, Quantized::Declared("Q4_K_M"));
    assert_eq!(wide([Q4_K, Q4_K, Q4_K, Q6_K], 99).unwrap().quantization, Quantized::Seen("Q4_K_M"));
    assert_eq!(wide([Q4_K, Q4_K, Q4_K, Q4_K], 99).unwrap().quantization, Quantized::Seen("Q4_K_S"));
    let lie = wide([Q6_K, Q6_K, Q6_K, Q4_K], 15).unwrap_err();
    assert_eq!(lie.to_string().split_once(" declares ").unwrap().1, "Q4_K_M, and most weights are Q6_K");
    assert_eq!(wide([Q6_K, Q4_K, Q8_0, F16], 99).unwrap().quantization, Quantized::Mixed);
}

#[test]
fn every_word_of_a_type_reads_back_as_the_type() {
    for kind in TensorType::ALL {
        assert_eq!(TensorType::from_number(kind.number()), Some(*kind));
        assert!(kind.block() > 0 && kind.block_bytes() > 0);
    }
    let words: Vec<&str> = GgufHeader::quantizations().collect();
    assert!(words.contains(&"Q4_K_M") && words.contains(&"mixed"), "{words:?}");
}

#[test]
fn a_text_for_people_comes_without_what_moves_a_cursor() {
    let file = llama().set("general.name", text("\x1b[2Jevil\r\nname")).set("general.license", text(&"x".repeat(500)));
    let header = read(&file).unwrap();
    assert_eq!((header.name.as_str(), header.about["license"].len()), ("[2Jevilname", 128));
}

#[test]
fn a_file_of_one_part_is_whole() {
    assert!(read(&llama().key("split.count", Val::U32(1))).is_ok());
}

#[test]
fn a_refusal_says_what_and_where() {
    let error = read(&llama().set("llama.attention.head_count", Val::U32(6))).unwrap_err();
    let GgufError::DoesNotDivide { at, found: 6, whole: 32, .. } = &error else { panic!("{error}") };
    assert_eq!(at.path, "metadata[7] \"llama.attention.head_count\"");
    let bytes = llama().set("llama.attention.head_count", Val::U32(6)).bytes();
    assert_eq!(bytes[at.offset..at.offset + 8], [4, 0, 0, 0, 6, 0, 0, 0], "the place is the value's");
}
