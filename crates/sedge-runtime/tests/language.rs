//! Language models by `candle`, held to a plain loop over candle itself.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod tiny;

use std::ops::ControlFlow;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use candle_transformers::generation::Sampling as Choice;
use sedge_runtime::{Backend, Candle, Finish, LoadError, Loaded, PromptError, RunError, Unsupported};
use sedge_statement::{Prompt, Sampling, Tensor, TextRequest};

const PROMPT: &str = "The cat sat on the mat, and then";

fn load(dir: &tempfile::TempDir, architecture: &str, name: &str, bytes: &[u8]) -> Loaded {
    let facts = tiny::facts(architecture, &[name, "F32"], bytes.len() as u64);
    let source = tiny::source(dir.path(), bytes, facts, 1);
    Candle.supports(&source.variant).unwrap();
    Loaded::open(&Candle, &source).unwrap()
}

fn llama(dir: &tempfile::TempDir) -> Loaded {
    load(dir, "llama", "Q8_0", &tiny::gguf("llama", GgmlDType::Q8_0, 7))
}

/// The pieces of an answer, and why it ended.
fn pieces(model: &Loaded, request: &TextRequest) -> (Vec<String>, Finish) {
    let mut pieces = Vec::new();
    let generated = model.generate(request, &mut |piece| {
        pieces.push(piece.to_owned());
        ControlFlow::Continue(())
    });
    (pieces, generated.unwrap().finish)
}

fn say(model: &Loaded, request: &TextRequest) -> String {
    pieces(model, request).0.concat()
}

fn sampled(sampling: Sampling, most: u32) -> TextRequest {
    TextRequest { sampling, ..TextRequest::continue_text(PROMPT, most) }
}

#[test]
fn the_text_is_candles_own_at_every_quantization_and_seed() {
    let types = [
        (GgmlDType::F32, "F32"),
        (GgmlDType::F16, "F16"),
        (GgmlDType::BF16, "BF16"),
        (GgmlDType::Q4_0, "Q4_0"),
        (GgmlDType::Q4_1, "Q4_1"),
        (GgmlDType::Q5_0, "Q5_0"),
        (GgmlDType::Q5_1, "Q5_1"),
        (GgmlDType::Q8_0, "Q8_0"),
        (GgmlDType::Q2K, "Q2_K"),
        (GgmlDType::Q3K, "Q3_K"),
        (GgmlDType::Q4K, "Q4_K"),
        (GgmlDType::Q5K, "Q5_K"),
        (GgmlDType::Q6K, "Q6_K"),
    ];
    let mut compared = 0;
    for (dtype, name) in types {
        let dir = tempfile::tempdir().unwrap();
        let bytes = tiny::gguf("llama", dtype, 3);
        let model = load(&dir, "llama", name, &bytes);
        let greedy = say(&model, &sampled(Sampling::default(), 24));
        assert_eq!(greedy, tiny::plainly(&bytes, PROMPT, 24, 0, Choice::ArgMax), "{name}");
        for seed in [1, 99] {
            let request = sampled(Sampling { temperature: 0.9, seed, ..Sampling::default() }, 24);
            let plain = tiny::plainly(&bytes, PROMPT, 24, seed, Choice::All { temperature: 0.9 });
            assert_eq!(say(&model, &request), plain, "{name}, seed {seed}");
            assert_eq!(say(&model, &request), plain, "{name}, seed {seed}, again");
        }
        compared += 3;
    }
    println!("{compared} texts of 24 tokens are candle's own");
}

#[test]
fn the_text_is_candles_own_with_every_way_of_choosing() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = tiny::gguf("llama", GgmlDType::Q8_0, 7);
    let model = llama(&dir);
    let temperature = 1.2;
    let ways = [
        (0, 1.0, Choice::All { temperature }),
        (12, 1.0, Choice::TopK { k: 12, temperature }),
        (0, 0.7, Choice::TopP { p: 0.7, temperature }),
        (12, 0.7, Choice::TopKThenTopP { k: 12, p: 0.7, temperature }),
    ];
    let mut texts = Vec::new();
    for (top_k, top_p, choice) in ways {
        let request = sampled(Sampling { temperature, top_k, top_p, seed: 5, ..Sampling::default() }, 40);
        let text = say(&model, &request);
        assert_eq!(text, tiny::plainly(&bytes, PROMPT, 40, 5, choice));
        texts.push(text);
    }
    texts.dedup();
    assert!(texts.len() > 2, "the ways of choosing make no difference: {texts:?}");
}

#[test]
fn other_architectures_answer_as_candle_does_and_one_text_after_the_other() {
    for architecture in ["qwen2", "qwen3", "phi3"] {
        let dir = tempfile::tempdir().unwrap();
        let bytes = tiny::gguf(architecture, GgmlDType::Q8_0, 11);
        let model = load(&dir, architecture, "Q8_0", &bytes);
        let plain = tiny::plainly(&bytes, PROMPT, 24, 0, Choice::ArgMax);
        for _ in 0..2 {
            assert_eq!(say(&model, &sampled(Sampling::default(), 24)), plain, "{architecture}");
        }
    }
}

#[test]
fn texts_at_the_same_time_do_not_disturb_each_other() {
    for architecture in ["llama", "qwen2", "qwen3", "phi3"] {
        let dir = tempfile::tempdir().unwrap();
        let model = load(&dir, architecture, "Q8_0", &tiny::gguf(architecture, GgmlDType::Q8_0, 5));
        let request = |seed| sampled(Sampling { temperature: 1.0, seed, ..Sampling::default() }, 30);
        let alone: Vec<String> = (0..4).map(|seed| say(&model, &request(seed))).collect();
        let together = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..4)
                .map(|seed| {
                    scope.spawn({
                        let (model, request) = (&model, request(seed));
                        move || say(model, &request)
                    })
                })
                .collect();
            asked.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(together, alone, "{architecture}");
    }
}

#[test]
fn every_piece_is_whole_characters_and_they_come_one_by_one() {
    // Weights by chance say bytes by chance, most of them no characters: what is certain comes at once, with signs for the rest.
    let dir = tempfile::tempdir().unwrap();
    let bytes = tiny::gguf("llama", GgmlDType::F32, 21);
    let model = load(&dir, "llama", "F32", &bytes);
    let sampling = Sampling { temperature: 3.0, seed: 4, ..Sampling::default() };
    let (pieces, _) = pieces(&model, &sampled(sampling, 300));
    let plain = tiny::plainly(&bytes, PROMPT, 300, 4, Choice::All { temperature: 3.0 });
    assert_eq!(pieces.concat(), plain);
    let spoken = pieces.iter().filter(|piece| !piece.is_empty()).count();
    assert!(spoken > 40 && spoken > pieces.len() / 4, "it came in {spoken} pieces of {}", pieces.len());
    assert!(plain.contains(char::REPLACEMENT_CHARACTER), "no byte was out of place: {plain:?}");
}

#[test]
fn a_text_ends_at_its_length_at_a_stop_text_and_where_nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(&dir);
    let request = sampled(Sampling { temperature: 1.0, seed: 5, ..Sampling::default() }, 60);
    let (whole, finish) = pieces(&model, &request);
    let whole = whole.concat();
    assert_eq!(finish, Finish::Length);
    let (at, stop) = whole.char_indices().nth(20).map(|(at, _)| (at, &whole[at..])).unwrap();
    let stop: String = stop.chars().take(3).collect();
    let (stopped, finish) = pieces(&model, &TextRequest { stop: vec![stop.clone()], ..request.clone() });
    let expected = &whole[..whole.find(&stop).unwrap()];
    assert_eq!((stopped.concat().as_str(), finish), (expected, Finish::Stop));
    assert!(expected.len() <= at);
    let mut heard = 0;
    let generated = model.generate(&request, &mut |_| {
        heard += 1;
        if heard == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let generated = generated.unwrap();
    assert_eq!((generated.finish, generated.completion_tokens, heard), (Finish::Cancelled, 5, 5));
    assert!(generated.first <= generated.took && generated.prompt_tokens > 10);
}

#[test]
fn a_text_ends_at_the_end_of_the_context_and_a_longer_prompt_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(&dir);
    let begin = |tokens: usize| TextRequest::continue_text("!".repeat(tokens), u32::MAX);
    let generated = model.generate(&begin(tiny::CONTEXT as usize - 20), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(generated.prompt_tokens + generated.completion_tokens, tiny::CONTEXT);
    assert_eq!(generated.finish, Finish::Length);
    let error = model.generate(&begin(600), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(
        matches!(error, RunError::Prompt(PromptError::TooLong { context: tiny::CONTEXT, tokens }) if tokens >= 600)
    );
    assert!(!error.is_the_models());
}

#[test]
fn a_long_prompt_is_read_in_pieces_and_can_be_given_up_between_them() {
    let dir = tempfile::tempdir().unwrap();
    for architecture in ["llama", "qwen2", "qwen3", "phi3"] {
        let bytes = tiny::gguf(architecture, GgmlDType::F32, 9);
        let model = load(&dir, architecture, "F32", &bytes);
        let prompt = "One two three. ".repeat(28);
        let request = TextRequest::continue_text(&prompt, 8);
        assert_eq!(say(&model, &request), tiny::plainly(&bytes, &prompt, 8, 0, Choice::ArgMax), "{architecture}");
        let generated = model.generate(&request, &mut |_| ControlFlow::Break(())).unwrap();
        assert_eq!((generated.finish, generated.completion_tokens), (Finish::Cancelled, 0), "{architecture}");
    }
}

#[test]
fn a_tokenizer_beside_the_model_is_read_where_its_own_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let own = tiny::gguf("llama", GgmlDType::Q8_0, 7);
    let without = tiny::with("llama", GgmlDType::Q8_0, 7, |metadata, _| {
        metadata.insert("tokenizer.ggml.model".into(), Value::String("llama".into()));
    });
    let mut facts = tiny::facts("llama", &["Q8_0", "F32"], without.len() as u64);
    facts.tokenizer = "llama".to_owned();
    let mut source = tiny::source(dir.path(), &without, facts, 2);
    assert_eq!(Candle.supports(&source.variant), Err(Unsupported::NoTokenizer("llama".into())));
    let path = tiny::beside(dir.path(), &mut source, "tokenizer.json", &tiny::tokenizer_json(&own));
    Candle.supports(&source.variant).unwrap();
    let model = Loaded::open(&Candle, &source).unwrap();
    let request = TextRequest::continue_text(PROMPT, 16);
    assert_eq!(say(&model, &request), tiny::plainly(&own, PROMPT, 16, 0, Choice::ArgMax));
    let json: serde_json::Value = serde_json::from_slice(&tiny::tokenizer_json(&own)).unwrap();
    let mut by_chance = json;
    by_chance["model"]["dropout"] = 0.1.into();
    let mut other = tiny::source(dir.path(), &without, tiny::facts("llama", &["Q8_0", "F32"], without.len() as u64), 3);
    tiny::beside(dir.path(), &mut other, "tokenizer.json", by_chance.to_string().as_bytes());
    let error = Loaded::open(&Candle, &other).unwrap_err().to_string();
    assert!(error.contains("dropout"), "{error}");
    std::fs::write(path, b"{}").unwrap();
    assert!(matches!(Loaded::open(&Candle, &source), Err(LoadError::Source(_))));
    tiny::beside(dir.path(), &mut source, "third.txt", b"x");
    assert_eq!(Candle.supports(&source.variant), Err(Unsupported::SeveralFiles(3)));
    source.variant.files.remove(1);
    let unknown = Unsupported::UnknownFile("third.txt".parse().unwrap());
    assert_eq!(Candle.supports(&source.variant), Err(unknown));
}

#[test]
fn what_it_does_not_run_is_refused_by_name_before_it_is_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let supports = |facts| Candle.supports(&tiny::source(dir.path(), b"x", facts, 1).variant).unwrap_err().to_string();
    let mamba = supports(tiny::facts("mamba", &["F32"], 1));
    assert!(mamba.contains("\"mamba\"") && mamba.contains("llama, qwen2, qwen3, phi3"), "{mamba}");
    let iq = supports(tiny::facts("llama", &["IQ2_XS"], 1));
    assert!(iq.contains("IQ2_XS"), "{iq}");
    let facts = tiny::facts("llama", &["F16"], 1 << 20);
    let need = Candle.memory(&tiny::source(dir.path(), b"x", facts, 1).variant).get();
    assert!(need > 2 << 20, "half-width floats are widened: {need}");
}

#[test]
fn tensors_and_senseless_requests_are_the_callers_fault() {
    let dir = tempfile::tempdir().unwrap();
    let model = llama(&dir);
    let tensor = Tensor::from_f32("x", vec![1], &[1.0]).unwrap();
    let error = model.infer(&[tensor]).unwrap_err();
    assert_eq!((error.is_the_models(), error), (false, RunError::Prompt(PromptError::TakesText)));
    let empty = TextRequest { prompt: Prompt::Text(String::new()), ..TextRequest::continue_text("x", 1) };
    let error = model.generate(&empty, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, RunError::Prompt(PromptError::Request(_))), "{error}");
}

#[test]
fn sizes_that_the_tensors_do_not_bear_out_are_refused_before_anything_is_allocated_by_them() {
    let lies: [(&str, Value); 10] = [
        ("llama.block_count", Value::U32(u32::MAX)),
        ("llama.embedding_length", Value::U32(1 << 30)),
        ("llama.attention.head_count", Value::U32(0)),
        ("llama.attention.head_count", Value::U32(3)),
        ("llama.attention.head_count_kv", Value::U32(0)),
        ("llama.rope.dimension_count", Value::U32(u32::MAX)),
        ("llama.expert_count", Value::U32(u32::MAX)),
        ("llama.context_length", Value::U64(1)),
        ("llama.rope.freq_base", Value::U32(500_000)),
        ("general.architecture", Value::String("mamba".into())),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (key, value) in lies {
        let bytes = tiny::with("llama", GgmlDType::Q8_0, 1, |metadata, _| {
            metadata.insert(key.to_owned(), value.clone());
        });
        let source = tiny::source(dir.path(), &bytes, tiny::facts("llama", &["Q8_0"], 1), 1);
        let error = Loaded::open(&Candle, &source).unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, LoadError::Refused { .. } | LoadError::Gguf(_)), "{key} = {value:?}: {told}");
    }
}

#[test]
fn a_file_cut_or_turned_at_any_place_is_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let whole = tiny::gguf("llama", GgmlDType::Q4K, 1);
    let open = |bytes: &[u8]| {
        let source = tiny::source(dir.path(), bytes, tiny::facts("llama", &["Q4_K"], 1), 1);
        Loaded::open(&Candle, &source)
    };
    for at in (0..whole.len()).step_by(whole.len() / 12) {
        let error = open(&whole[..at]).unwrap_err();
        assert!(!matches!(error, LoadError::Panicked(_)), "cut at {at}: {error}");
    }
    let mut refused = 0;
    for at in (0..4096).step_by(41) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x80;
        match open(&bytes) {
            Err(LoadError::Panicked(why)) => panic!("turned at {at}: {why}"),
            Err(_) => refused += 1,
            Ok(_) => {}
        }
    }
    assert!(refused > 20, "{refused} refused");
}
