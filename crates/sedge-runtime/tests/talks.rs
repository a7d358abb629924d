//! Text from the slots of a host: streamed, cut, given up, and true to the model that it began with.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;
#[expect(dead_code, reason = "each test file uses its own part")]
mod tiny;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use candle_core::quantized::GgmlDType;
use candle_transformers::generation::Sampling as Choice;
use common::{digits_host, slot};
use sedge_runtime::{
    Backends, Finish, GENERATING_PER_SLOT, GateFailure, Gated, InferError, ModelHost, ModelSource, PromptError,
    RunError, Said, StageError, Talk, Trial, WAITING_PER_SLOT,
};
use sedge_statement::{Asked, Mismatch, Probe, Sampling, TextRequest, TextTrial};

const LONG: Duration = Duration::from_secs(120);
const PROMPT: &str = " The cat sat on the mat, and then";

fn source(dir: &tempfile::TempDir, seed: u8) -> (ModelSource, Vec<u8>) {
    let bytes = tiny::gguf("llama", GgmlDType::Q8_0, u64::from(seed));
    let facts = tiny::facts("llama", &["Q8_0", "F32"], bytes.len() as u64);
    (tiny::source(dir.path(), &bytes, facts, seed), bytes)
}

async fn gated(host: &ModelHost, source: ModelSource, probes: Vec<Probe>) -> Result<Gated, StageError> {
    let candidate = host.load(source).await?;
    host.gate(candidate, probes).await
}

/// A host with the tiny model of that seed in the slot `writer`, and the model's bytes.
async fn host(dir: &tempfile::TempDir, seed: u8) -> (ModelHost, Vec<u8>) {
    let host = ModelHost::new(Backends::embedded());
    let (source, bytes) = source(dir, seed);
    drop(host.activate(&slot("writer"), gated(&host, source, vec![]).await.unwrap()));
    (host, bytes)
}

/// A request that goes on to the end of the context, more or less.
fn long_request(seed: u64) -> TextRequest {
    let sampling = Sampling { temperature: 0.7, seed, ..Sampling::default() };
    TextRequest { sampling, ..TextRequest::continue_text(PROMPT, 400) }
}

async fn heard(mut talk: Talk) -> (String, usize, Result<Said, InferError>) {
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(piece) = talk.next().await {
        text.push_str(&piece);
        pieces += 1;
    }
    (text, pieces, talk.end().await)
}

fn text_probe(prompt: &str, prefix: &str) -> Probe {
    let trial = TextTrial { prompt: prompt.to_owned(), max_tokens: 16, text_prefix: prefix.to_owned() };
    Probe { name: "say".to_owned(), asked: Asked::Text(trial) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_comes_in_pieces_is_candles_own_and_names_its_model() {
    let dir = tempfile::tempdir().unwrap();
    let (host, bytes) = host(&dir, 7).await;
    let sampling = Sampling { temperature: 0.9, seed: 3, ..Sampling::default() };
    let request = TextRequest { sampling, ..TextRequest::continue_text(PROMPT, 40) };
    let plain = tiny::plainly(&bytes, PROMPT, 40, 3, Choice::All { temperature: 0.9 });
    let talk = host.talk(&slot("writer"), request, LONG).await.unwrap();
    let (release, sha256) = (talk.release(), talk.sha256());
    let (text, pieces, said) = heard(talk).await;
    let said = said.unwrap();
    assert_eq!(text, plain);
    assert!(pieces > 10, "it came in {pieces} pieces");
    assert_eq!((said.release, said.sha256), (release, sha256));
    assert_eq!(said.sha256, source(&dir, 7).0.sha256());
    assert!(matches!(said.generated.finish, Finish::Stop | Finish::Length));
    let health = host.health(&slot("writer")).unwrap();
    assert_eq!((health.requests, health.answered, health.is_sound()), (1, 1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_under_way_ends_on_the_model_it_began_with_while_the_next_one_is_the_new_models() {
    let dir = tempfile::tempdir().unwrap();
    let (host, bytes) = host(&dir, 7).await;
    let (newcomer, _) = source(&dir, 8);
    let new = newcomer.sha256();
    let gated = gated(&host, newcomer, vec![]).await.unwrap();
    let mut under_way = host.talk(&slot("writer"), long_request(1), LONG).await.unwrap();
    let first = under_way.next().await.unwrap();
    let old = under_way.sha256();
    let drained = host.activate(&slot("writer"), gated).commit();
    let next = host.talk(&slot("writer"), long_request(1), LONG).await.unwrap();
    assert_eq!((next.sha256(), next.sha256() == old), (new, false));
    drop(next);
    let (rest, _, said) = heard(under_way).await;
    assert_eq!(said.unwrap().sha256, old);
    let plain = tiny::plainly(&bytes, PROMPT, 400, 1, Choice::All { temperature: 0.7 });
    assert_eq!(first + &rest, plain);
    drained.wait(LONG).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_leaves_ends_the_text_and_frees_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (host, _) = host(&dir, 7).await;
    for _ in 0..2 * GENERATING_PER_SLOT {
        let mut talk = host.talk(&slot("writer"), long_request(1), LONG).await.unwrap();
        talk.next().await.unwrap();
    }
    let (_, _, said) =
        heard(host.talk(&slot("writer"), TextRequest::continue_text(PROMPT, 2), LONG).await.unwrap()).await;
    said.unwrap();
    let health = host.health(&slot("writer")).unwrap();
    assert!(health.is_sound() && health.answered < health.requests, "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_dawdles_keeps_no_model_busy() {
    let dir = tempfile::tempdir().unwrap();
    let (host, _) = host(&dir, 7).await;
    let unread = host.talk(&slot("writer"), long_request(1), LONG).await.unwrap();
    for _ in 0..2 * GENERATING_PER_SLOT {
        host.talk(&slot("writer"), long_request(2), LONG).await.unwrap().end().await.unwrap();
    }
    let (text, _, said) = heard(unread).await;
    assert!(!text.is_empty() && said.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_whose_time_is_over_is_cut_and_says_so_and_speaks_not_against_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let (host, _) = host(&dir, 7).await;
    let talk = host.talk(&slot("writer"), long_request(1), Duration::from_millis(20)).await.unwrap();
    let (_, _, said) = heard(talk).await;
    assert_eq!(said.unwrap().generated.finish, Finish::TimeLimit);
    assert!(host.health(&slot("writer")).unwrap().is_sound());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_texts_than_may_wait_are_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (host, _) = host(&dir, 7).await;
    let writer = slot("writer");
    let mut waiting = tokio::task::JoinSet::new();
    let refused = Arc::new(Mutex::new(0));
    for _ in 0..WAITING_PER_SLOT + 20 {
        let (host, writer, refused) = (host.clone(), writer.clone(), Arc::clone(&refused));
        waiting.spawn(async move {
            match host.talk(&writer, long_request(1), LONG).await {
                Err(InferError::Busy { .. }) => *refused.lock().unwrap() += 1,
                Err(error) => panic!("{error}"),
                Ok(mut talk) => drop(talk.next().await),
            }
        });
    }
    waiting.join_all().await;
    assert!(*refused.lock().unwrap() > 0, "all had a place");
}

#[tokio::test]
async fn a_model_of_tensors_and_an_empty_slot_say_so() {
    let host = digits_host(1).await;
    let error = host.talk(&slot("digits"), long_request(1), LONG).await.unwrap_err();
    assert!(matches!(error, InferError::Run(RunError::Prompt(PromptError::TakesTensors))), "{error}");
    let error = host.talk(&slot("writer"), long_request(1), LONG).await.unwrap_err();
    assert!(matches!(error, InferError::NotServing(_)), "{error}");
}

#[tokio::test]
async fn a_text_probe_is_judged_by_how_the_text_begins() {
    let dir = tempfile::tempdir().unwrap();
    let host = ModelHost::new(Backends::embedded());
    let (_, bytes) = source(&dir, 7);
    let said = tiny::plainly(&bytes, PROMPT, 16, 0, Choice::ArgMax);
    let begin: String = said.chars().take(6).collect();
    let passed = gated(&host, source(&dir, 7).0, vec![text_probe(PROMPT, &begin), text_probe(PROMPT, "")]).await;
    assert_eq!(passed.unwrap().outcome().trial, Trial::Probes(2));
    let wrong = gated(&host, source(&dir, 7).0, vec![text_probe(PROMPT, "Nevermore, quoth")]).await.unwrap_err();
    let StageError::Gate(GateFailure::Mismatch { probe, mismatch: Mismatch::Text { found, wanted } }) = wrong else {
        panic!("{wrong}")
    };
    assert_eq!((probe.as_str(), wanted.as_str()), ("say", "Nevermore, quoth"));
    assert!(found.starts_with(&begin), "{found:?} came, not {begin:?}");
    let made_up = gated(&host, source(&dir, 7).0, vec![]).await.unwrap();
    assert_eq!(made_up.outcome().trial, Trial::MadeUp);
}

#[tokio::test]
async fn probes_of_the_other_kind_are_passed_by_no_model() {
    let dir = tempfile::tempdir().unwrap();
    let host = ModelHost::new(Backends::embedded());
    let tensors = gated(&host, source(&dir, 7).0, common::digits_probes(1)).await.unwrap_err().to_string();
    assert!(tensors.contains("takes no tensors"), "{tensors}");
    let text = gated(&host, common::digits_source(1), vec![text_probe(PROMPT, "")]).await.unwrap_err().to_string();
    assert!(text.contains("answers tensors, not text"), "{text}");
}

#[tokio::test]
async fn a_model_of_scores_that_are_no_numbers_passes_no_gate() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = tiny::with("llama", GgmlDType::F32, 7, |_, tensors| {
        let norm = tensors.iter_mut().find(|(name, _)| name == "output_norm.weight").unwrap();
        let nans = candle_core::Tensor::new(&[f32::NAN; 256], &candle_core::Device::Cpu).unwrap();
        norm.1 = candle_core::quantized::QTensor::quantize(&nans, GgmlDType::F32).unwrap();
    });
    let host = ModelHost::new(Backends::embedded());
    for probes in [vec![], vec![text_probe(PROMPT, "")]] {
        let source = tiny::source(dir.path(), &bytes, tiny::facts("llama", &["F32"], bytes.len() as u64), 1);
        let error = gated(&host, source, probes).await.unwrap_err();
        let is_not_finite = matches!(error, StageError::Gate(GateFailure::Run { error: RunError::NotFinite, .. }));
        assert!(is_not_finite, "{error}");
    }
}
