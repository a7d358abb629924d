//! Every fixture: its file name is its defect. The refusals they meet are the snapshot `defects`.
//!
//! Some are the holes that runtimes had: more dimensions than a reader keeps room for (CVE-2024-21802), sizes whose
//! sum wraps (CVE-2025-53630), counts whose product with an entry's size wraps (CVE-2026-27940), dimensions whose
//! product wraps (CVE-2026-33298), and weights beyond the end of the file (CVE-2026-7482).

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
    [foreign(), counted(), metadata(), tables(), layouts(), networks(), vocabularies(), quantizations()]
        .into_iter()
        .flatten()
        .collect()
}

fn foreign() -> Vec<Defect> {
    let whole = llama().bytes();
    let mut swapped = b"GGUF".to_vec();
    swapped.extend([0, 0, 0, 3]);
    swapped.extend([0; 16]);
    let version = |version| {
        let mut file = llama();
        file.version = version;
        file.bytes()
    };
    vec![
        defect("empty.gguf", []),
        defect("magic-alone.gguf", *b"GGUF"),
        defect("not-a-model.onnx", *b"\x08\x08\x12\x07pytorch"),
        defect("ggml-from-before-gguf.gguf", *b"lmgg\x01\0\0\0"),
        defect("html-page.gguf", *b"<!DOCTYPE html>\n<title>404 Not Found</title>\n"),
        defect("git-lfs-pointer.gguf", *b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 12\n"),
        defect("version-0.gguf", version(0)),
        defect("version-1.gguf", version(1)),
        defect("version-4.gguf", version(4)),
        defect("big-endian.gguf", swapped),
        defect("big-endian-magic.gguf", *b"FUGG\0\0\0\x03\0\0\0\0\0\0\0\0"),
        defect("truncated-in-the-metadata.gguf", &whole[..200]),
        defect("truncated-in-the-table.gguf", &whole[..llama().header().0.len() - 5]),
        defect("truncated-in-the-weights.gguf", &whole[..whole.len() - 100]),
    ]
}

fn counted() -> Vec<Defect> {
    let claims = |tensors, keys| {
        let mut file = llama();
        (file.tensor_count, file.key_count) = (tensors, keys);
        file.bytes()
    };
    vec![
        // The table of so many entries would wrap around 64 bits.
        defect("tensor-count-wraps.gguf", claims(Some((1 << 63) + 18), None)),
        defect("tensor-count-above-the-limit.gguf", claims(Some((1 << 16) + 1), None)),
        defect("tensor-count-above-the-table.gguf", claims(Some(1 << 16), None)),
        defect("key-count-wraps.gguf", claims(None, Some(u64::MAX))),
        defect("key-count-above-the-limit.gguf", claims(None, Some(4097))),
        defect("key-count-above-the-keys.gguf", claims(None, Some(20))),
        defect("no-tensors.gguf", {
            let mut file = llama();
            file.tensors.clear();
            file.bytes()
        }),
    ]
}

fn metadata() -> Vec<Defect> {
    let with = |key: &str, value| llama().key(key, value).bytes();
    let long = "k".repeat(257);
    vec![
        defect("duplicate-keys.gguf", with("general.name", text("other"))),
        defect("key-empty.gguf", with("", Val::U8(1))),
        defect("key-too-long.gguf", with(&long, Val::U8(1))),
        defect("key-with-nul.gguf", with("general.name\0", Val::U8(1))),
        defect("key-not-utf8.gguf", llama().key([0xff, 0xfe], Val::U8(1)).bytes()),
        defect("value-type-unknown.gguf", with("x", Val::Raw(13, vec![0; 8]))),
        defect("value-type-negative.gguf", with("x", Val::Raw(u32::MAX, vec![0; 8]))),
        defect("string-not-utf8.gguf", with("x", Val::Text(vec![0xc3, 0x28]))),
        defect("string-longer-than-the-file.gguf", with("x", Val::Raw(8, (1_u64 << 19).to_le_bytes().to_vec()))),
        defect("string-length-wraps.gguf", with("x", Val::Raw(8, u64::MAX.to_le_bytes().to_vec()))),
        defect("bool-neither.gguf", with("x", Val::Bool(2))),
        defect("bool-neither-in-an-array.gguf", with("x", Val::Array(7, 3, vec![0, 1, 7]))),
        defect("array-nested.gguf", with("x", Val::Array(9, 1, vec![0; 12]))),
        defect("array-of-unknown-type.gguf", with("x", Val::Array(99, 1, vec![0; 8]))),
        defect("array-count-above-the-limit.gguf", with("x", Val::Array(0, (2 << 20) + 1, vec![0; 8]))),
        defect("array-count-wraps.gguf", with("x", Val::Array(10, 1 << 61, vec![0; 8]))),
        defect("array-longer-than-the-file.gguf", with("x", Val::Array(10, 1 << 20, vec![0; 8]))),
        defect("array-of-strings-longer-than-the-file.gguf", with("x", Val::Array(8, 1 << 20, vec![0; 8]))),
        defect("string-in-an-array-not-utf8.gguf", with("x", texts([&b"good"[..], &[0xff]]))),
        defect("alignment-zero.gguf", with("general.alignment", Val::U32(0))),
        defect("alignment-not-a-power-of-two.gguf", with("general.alignment", Val::U32(48))),
        defect("alignment-too-small.gguf", with("general.alignment", Val::U32(4))),
        defect("alignment-too-large.gguf", with("general.alignment", Val::U32(1 << 30))),
        defect("alignment-as-text.gguf", with("general.alignment", text("32"))),
        defect("alignment-of-64-bits.gguf", with("general.alignment", Val::U64(64))),
        defect("alignment-negative.gguf", with("general.alignment", Val::I32(-32))),
        defect("one-of-several-files.gguf", with("split.count", Val::U32(3))),
        defect("architecture-missing.gguf", llama().without("general.architecture").bytes()),
        defect("architecture-as-number.gguf", llama().set("general.architecture", Val::U32(1)).bytes()),
        defect("architecture-with-escapes.gguf", llama().set("general.architecture", text("\x1b[2Jllama")).bytes()),
    ]
}

fn tables() -> Vec<Defect> {
    let embedding = |change: fn(&mut Entry)| llama().with("token_embd.weight", change).bytes();
    vec![
        defect("duplicate-tensors.gguf", llama().tensor(entry("output.weight", &[32, 16], Q4_0)).bytes()),
        defect("tensor-name-empty.gguf", llama().tensor(entry("", &[64], F32)).bytes()),
        defect("tensor-name-too-long.gguf", llama().tensor(entry(&"w".repeat(128), &[64], F32)).bytes()),
        defect("tensor-name-with-nul.gguf", llama().tensor(entry("output.weight\0x", &[64], F32)).bytes()),
        defect("tensor-name-not-utf8.gguf", embedding(|entry| entry.name = vec![0xff])),
        defect("dimensions-none.gguf", embedding(|entry| entry.dims.clear())),
        defect("dimensions-five.gguf", embedding(|entry| entry.dims = vec![32, 1, 1, 1, 1])),
        defect("dimension-zero.gguf", embedding(|entry| entry.dims = vec![32, 0])),
        defect("dimension-negative.gguf", embedding(|entry| entry.dims = vec![32, u64::MAX])),
        defect("dimensions-overflow.gguf", embedding(|entry| entry.dims = vec![1 << 40, 1 << 40])),
        // 2^64 elements, that 64 bits count as none.
        defect("dimensions-wrap-to-zero.gguf", embedding(|entry| entry.dims = vec![1 << 32, 1 << 32])),
        // The product of all but the last wraps to a few.
        defect("dimensions-wrap-to-few.gguf", embedding(|entry| entry.dims = vec![32, (1 << 59) + 1])),
        defect("size-in-bytes-overflows.gguf", {
            embedding(|entry| {
                entry.kind = F32;
                entry.dims = vec![1 << 62];
            })
        }),
        defect("tensor-type-unknown.gguf", embedding(|entry| entry.kind = 99)),
        defect("tensor-type-taken-back.gguf", embedding(|entry| entry.kind = 4)),
        defect("tensor-type-negative.gguf", embedding(|entry| entry.kind = u32::MAX)),
        defect("tensor-type-of-multiplying.gguf", embedding(|entry| entry.kind = 9)),
        defect("rows-of-partial-blocks.gguf", embedding(|entry| entry.kind = Q4_K)),
    ]
}

fn layouts() -> Vec<Defect> {
    let output = |offset| llama().with("output.weight", |entry| entry.offset = Some(offset)).bytes();
    // Two tensors that take 2^63 bytes less a little each: the sum of their sizes wraps.
    let vast = entry("blk.0.vast.weight", &[(1 << 61) - 32], F32);
    let again = Entry { name: b"blk.1.vast.weight".to_vec(), offset: Some(0), ..vast.clone() };
    vec![
        defect("tensor-misaligned.gguf", output(16)),
        defect("tensor-beyond-the-end.gguf", output(1 << 20)),
        defect("tensor-offset-wraps.gguf", output(u64::MAX - 31)),
        defect("tensor-longer-than-the-file.gguf", {
            llama().with("output.weight", |entry| entry.dims = vec![32, 1 << 20]).bytes()
        }),
        defect("tensor-sizes-whose-sum-wraps.gguf", llama().tensor(vast).tensor(again).bytes()),
        defect("tensors-overlapping.gguf", output(0)),
        defect("tensors-overlapping-by-a-block.gguf", {
            llama().with("blk.0.attn_norm.weight", |entry| entry.offset = Some(256)).bytes()
        }),
    ]
}

fn networks() -> Vec<Defect> {
    let set = |key: &str, value| llama().set(&format!("llama.{key}"), value).bytes();
    let without = |key: &str| llama().without(&format!("llama.{key}")).bytes();
    vec![
        defect("layers-missing.gguf", without("block_count")),
        defect("layers-zero.gguf", set("block_count", Val::U32(0))),
        defect("layers-negative.gguf", set("block_count", Val::I32(-2))),
        defect("layers-as-float.gguf", set("block_count", Val::F32(2.0))),
        defect("layers-above-the-limit.gguf", set("block_count", Val::U32(u32::MAX))),
        defect("layers-beyond-the-blocks.gguf", set("block_count", Val::U32(3))),
        defect("layers-fewer-than-blocks.gguf", set("block_count", Val::U32(1))),
        defect("embedding-missing.gguf", without("embedding_length")),
        defect("embedding-above-32-bits.gguf", set("embedding_length", Val::U64(1 << 32))),
        defect("context-missing.gguf", without("context_length")),
        defect("context-zero.gguf", set("context_length", Val::U32(0))),
        defect("heads-missing.gguf", without("attention.head_count")),
        defect("heads-zero.gguf", set("attention.head_count", Val::U32(0))),
        defect("heads-do-not-divide-the-embedding.gguf", set("attention.head_count", Val::U32(6))),
        defect("heads-of-keys-do-not-divide-the-heads.gguf", set("attention.head_count_kv", Val::U32(3))),
        defect("heads-of-keys-zero.gguf", set("attention.head_count_kv", Val::U32(0))),
        defect("heads-of-keys-more-than-heads.gguf", set("attention.head_count_kv", Val::U32(8))),
        defect("heads-for-another-number-of-layers.gguf", set("attention.head_count", counts(&[4, 4, 4]))),
        defect("heads-by-layer-as-text.gguf", set("attention.head_count", texts(["4", "4"]))),
        defect("key-length-of-zero.gguf", set("attention.key_length", Val::U32(0))),
        defect("key-length-of-another-shape.gguf", set("attention.key_length", Val::U32(32))),
        defect("embedding-of-another-length.gguf", set("embedding_length", Val::U32(64))),
        defect("norm-of-another-length.gguf", {
            llama().with("output_norm.weight", |entry| entry.dims = vec![16]).bytes()
        }),
        defect("queries-of-another-shape.gguf", {
            llama().with("blk.1.attn_q.weight", |entry| entry.dims = vec![32, 16]).bytes()
        }),
    ]
}

fn vocabularies() -> Vec<Defect> {
    let set = |key: &str, value| llama().set(&format!("tokenizer.ggml.{key}"), value).bytes();
    vec![
        defect("tokens-fewer-than-the-vocabulary.gguf", set("tokens", texts(["a", "b"]))),
        defect("tokens-as-numbers.gguf", set("tokens", counts(&[0; 16]))),
        defect("tokens-not-utf8.gguf", set("tokens", texts([[0xff]; 16]))),
        defect("embeddings-for-another-vocabulary.gguf", {
            llama().with("token_embd.weight", |entry| entry.dims = vec![32, 8]).bytes()
        }),
        defect("output-for-another-vocabulary.gguf", {
            llama().with("output.weight", |entry| entry.dims = vec![32, 8]).bytes()
        }),
        defect("scores-for-other-tokens.gguf", set("scores", floats(15))),
        defect("scores-as-text.gguf", set("scores", texts(["1"; 16]))),
        defect("token-types-for-other-tokens.gguf", set("token_type", counts(&[1; 17]))),
        defect("merges-as-numbers.gguf", set("merges", counts(&[1]))),
        defect("first-token-outside-the-vocabulary.gguf", set("bos_token_id", Val::U32(16))),
        defect("last-token-negative.gguf", set("eos_token_id", Val::I32(-1))),
        defect("unknown-token-outside-the-vocabulary.gguf", set("unknown_token_id", Val::U32(u32::MAX))),
        defect("tokenizer-with-escapes.gguf", set("model", text("\x1b]0;x\x07"))),
    ]
}

fn quantizations() -> Vec<Defect> {
    let declared = |number| llama().set("general.file_type", Val::U32(number)).bytes();
    vec![
        defect("q4-0-declared-as-q8-0.gguf", declared(7)),
        defect("q4-0-declared-as-q4-k-m.gguf", declared(15)),
        defect("q4-0-declared-as-f32.gguf", declared(0)),
        defect("file-type-as-text.gguf", llama().set("general.file_type", text("Q4_0")).bytes()),
    ]
}
