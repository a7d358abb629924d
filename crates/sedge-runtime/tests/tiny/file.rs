//! Tiny language models with weights by seed, written as GGUF files, and a plain loop over candle that continues text with
//! one: what everything above it is held to.

#![expect(unreachable_pub, reason = "a module of tests is of no crate's interface")]

use std::collections::BTreeMap;
use std::io::Cursor;

use candle_core::quantized::gguf_file::{self, Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling as Choice};
use candle_transformers::models::{quantized_llama, quantized_phi3, quantized_qwen2, quantized_qwen3};
use tokenizers::Tokenizer;

/// A block of the `K` types.
const WIDTH: usize = 256;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD: usize = WIDTH / HEADS;
/// The longest text of these models.
pub const CONTEXT: u32 = 512;

/// How large a model is, and so how slow.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub layers: usize,
    pub context: u32,
}

const TINY: Size = Size { layers: 2, context: CONTEXT };
/// What ends a text.
pub const END: &str = "<|endoftext|>";

/// The bytes of a model file.
pub fn gguf(architecture: &str, dtype: GgmlDType, seed: u64) -> Vec<u8> {
    with(architecture, dtype, seed, |_, _| ())
}

/// The same, with metadata changed.
pub fn with(
    architecture: &str,
    dtype: GgmlDType,
    seed: u64,
    change: impl FnOnce(&mut BTreeMap<String, Value>, &mut Vec<(String, QTensor)>),
) -> Vec<u8> {
    sized(architecture, dtype, seed, TINY, change)
}

/// The same, of another size.
pub fn sized(
    architecture: &str,
    dtype: GgmlDType,
    seed: u64,
    size: Size,
    change: impl FnOnce(&mut BTreeMap<String, Value>, &mut Vec<(String, QTensor)>),
) -> Vec<u8> {
    let vocabulary = vocabulary();
    let mut metadata = metadata(architecture, &vocabulary, size);
    let mut tensors = tensors(architecture, dtype, vocabulary.0.len(), (seed, size.layers));
    change(&mut metadata, &mut tensors);
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut file = Cursor::new(Vec::new());
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    file.into_inner()
}

/// Every byte by the letter that stands for it in such vocabularies, some pairs of them, and the end; with the merges.
fn vocabulary() -> Vocabulary {
    let plain = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut others = 0;
    let mut tokens: Vec<String> = (0..=255u8)
        .map(|byte| {
            let letter = if plain(byte) {
                char::from(byte)
            } else {
                others += 1;
                char::from_u32(255 + others).unwrap()
            };
            letter.to_string()
        })
        .collect();
    let merges = ["t h", "Ġ t", "Ġt h", "a n", "o n", "i n", "e r", "Ġ a"];
    tokens.extend(merges.iter().map(|pair| pair.replace(' ', "")));
    tokens.push(END.to_owned());
    (tokens, merges.map(str::to_owned).to_vec())
}

type Vocabulary = (Vec<String>, Vec<String>);

fn metadata(architecture: &str, (tokens, merges): &Vocabulary, size: Size) -> BTreeMap<String, Value> {
    let end = u32::try_from(tokens.len() - 1).unwrap();
    let texts = |list: &[String]| Value::Array(list.iter().cloned().map(Value::String).collect());
    let types = (0..tokens.len()).map(|at| Value::I32(if at + 1 == tokens.len() { 3 } else { 1 })).collect();
    let number = |n: usize| Value::U32(u32::try_from(n).unwrap());
    let sizes = [
        ("block_count", number(size.layers)),
        ("context_length", Value::U32(size.context)),
        ("embedding_length", number(WIDTH)),
        ("feed_forward_length", number(WIDTH)),
        ("attention.head_count", number(HEADS)),
        ("attention.head_count_kv", number(KV_HEADS)),
        ("attention.key_length", number(HEAD)),
        ("attention.value_length", number(HEAD)),
        ("attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("rope.dimension_count", number(HEAD)),
        ("rope.freq_base", Value::F32(10_000.0)),
    ];
    let mut metadata: BTreeMap<String, Value> =
        sizes.into_iter().map(|(key, value)| (format!("{architecture}.{key}"), value)).collect();
    metadata.extend([
        ("general.architecture".to_owned(), Value::String(architecture.to_owned())),
        ("tokenizer.ggml.model".to_owned(), Value::String("gpt2".to_owned())),
        // A rule that candle knows by its name.
        ("tokenizer.ggml.pre".to_owned(), Value::String("qwen2".to_owned())),
        ("tokenizer.ggml.tokens".to_owned(), texts(tokens)),
        ("tokenizer.ggml.merges".to_owned(), texts(merges)),
        ("tokenizer.ggml.token_type".to_owned(), Value::Array(types)),
        ("tokenizer.ggml.eos_token_id".to_owned(), Value::U32(end)),
    ]);
    metadata
}

fn tensors(
    architecture: &str,
    dtype: GgmlDType,
    vocabulary: usize,
    (seed, layers): (u64, usize),
) -> Vec<(String, QTensor)> {
    let mut dice = Dice(seed | 1);
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize], dtype: GgmlDType, scale: f32, around: f32| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| around + scale * dice.next()).collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        all.push((name, QTensor::quantize(&tensor, dtype).unwrap()));
    };
    let scale = 0.15;
    let narrow = KV_HEADS * HEAD;
    add("token_embd.weight".into(), &[vocabulary, WIDTH], dtype, 1.0, 0.0);
    add("output.weight".into(), &[vocabulary, WIDTH], dtype, scale, 0.0);
    add("output_norm.weight".into(), &[WIDTH], GgmlDType::F32, 0.1, 1.0);
    for layer in 0..layers {
        let name = |part: &str| format!("blk.{layer}.{part}");
        if architecture == "phi3" {
            add(name("attn_qkv.weight"), &[WIDTH + 2 * narrow, WIDTH], dtype, scale, 0.0);
            add(name("ffn_up.weight"), &[2 * WIDTH, WIDTH], dtype, scale, 0.0);
        } else {
            add(name("attn_q.weight"), &[WIDTH, WIDTH], dtype, scale, 0.0);
            add(name("attn_k.weight"), &[narrow, WIDTH], dtype, scale, 0.0);
            add(name("attn_v.weight"), &[narrow, WIDTH], dtype, scale, 0.0);
            add(name("ffn_gate.weight"), &[WIDTH, WIDTH], dtype, scale, 0.0);
            add(name("ffn_up.weight"), &[WIDTH, WIDTH], dtype, scale, 0.0);
        }
        add(name("attn_output.weight"), &[WIDTH, WIDTH], dtype, scale, 0.0);
        add(name("ffn_down.weight"), &[WIDTH, WIDTH], dtype, scale, 0.0);
        add(name("attn_norm.weight"), &[WIDTH], GgmlDType::F32, 0.1, 1.0);
        add(name("ffn_norm.weight"), &[WIDTH], GgmlDType::F32, 0.1, 1.0);
        if architecture == "qwen2" {
            add(name("attn_q.bias"), &[WIDTH], GgmlDType::F32, scale, 0.0);
            add(name("attn_k.bias"), &[narrow], GgmlDType::F32, scale, 0.0);
            add(name("attn_v.bias"), &[narrow], GgmlDType::F32, scale, 0.0);
        }
        if architecture == "qwen3" {
            add(name("attn_q_norm.weight"), &[HEAD], GgmlDType::F32, 0.1, 1.0);
            add(name("attn_k_norm.weight"), &[HEAD], GgmlDType::F32, 0.1, 1.0);
        }
    }
    all
}

/// Numbers between minus one and one, the same ones for every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let high = u16::try_from(self.0 >> 48).unwrap();
        f32::from(high) / 32_768.0 - 1.0
    }
}

/// Continues a text with candle alone: its loader, its tokenizer, its choice of tokens, one token after the other.
pub fn plainly(bytes: &[u8], prompt: &str, most: usize, seed: u64, choice: Choice) -> String {
    let content = Content::read(&mut Cursor::new(bytes)).unwrap();
    let tokenizer = Tokenizer::from_gguf(&content).unwrap();
    let architecture = content.metadata["general.architecture"].to_string().unwrap().clone();
    let mut forward = forward(&architecture, content, bytes);
    let end = tokenizer.token_to_id(END);
    let mut input = tokenizer.encode(prompt, true).unwrap().get_ids().to_vec();
    let (mut at, mut answer) = (0, Vec::new());
    let mut choice = LogitsProcessor::from_sampling(seed, choice);
    while answer.len() < most {
        let scores = forward(&Tensor::new(&input[..], &Device::Cpu).unwrap().unsqueeze(0).unwrap(), at);
        let token = choice.sample(&scores.squeeze(0).unwrap()).unwrap();
        if Some(token) == end {
            break;
        }
        at += input.len();
        input = vec![token];
        answer.push(token);
    }
    tokenizer.decode(&answer, true).unwrap()
}

type Forward = Box<dyn FnMut(&Tensor, usize) -> Tensor>;

fn forward(architecture: &str, content: Content, bytes: &[u8]) -> Forward {
    let (mut reader, device) = (Cursor::new(bytes), Device::Cpu);
    match architecture {
        "llama" => {
            let mut model = quantized_llama::ModelWeights::from_gguf(content, &mut reader, &device).unwrap();
            Box::new(move |input, at| model.forward(input, at).unwrap())
        }
        "qwen2" => {
            let mut model = quantized_qwen2::ModelWeights::from_gguf(content, &mut reader, &device).unwrap();
            Box::new(move |input, at| model.forward(input, at).unwrap())
        }
        "qwen3" => {
            let mut model = quantized_qwen3::ModelWeights::from_gguf(content, &mut reader, &device).unwrap();
            Box::new(move |input, at| model.forward(input, at).unwrap())
        }
        "phi3" => {
            let mut model = quantized_phi3::ModelWeights::from_gguf(false, content, &mut reader, &device).unwrap();
            Box::new(move |input, at| model.forward(input, at).unwrap())
        }
        other => panic!("no loader for {other}"),
    }
}
