//! The sample classifier: loaded, tried, asked, swapped.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::*;
use sedge_runtime::{Backends, LoadError, ModelHost, SourceError, StageError, Trial};
use sedge_statement::{Asked, Probe, Tensor};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn both_versions_answer_their_own_probes_and_name_themselves() {
    for major in [1, 2] {
        let host = digits_host(major).await;
        for probe in digits_probes(major) {
            let Asked::Tensors(trial) = &probe.asked else { panic!("a probe of text") };
            let answer = host.infer(&slot("digits"), trial.inputs.clone(), LONG).await.unwrap();
            probe.judge(&answer.outputs).unwrap();
            assert_eq!(answer.sha256, digits_source(major).sha256());
            assert_eq!(answer.release, digits_source(major).release);
        }
        let hard = host.infer(&slot("digits"), digits_input("five-hard"), LONG).await.unwrap();
        assert_eq!(label(&hard.outputs), if major == 1 { 9.0 } else { 5.0 });
    }
}

#[tokio::test]
async fn a_batch_is_answered_line_by_line() {
    let host = digits_host(2).await;
    let mut batch = digits_input("three").remove(0);
    for name in ["seven", "five-hard"] {
        batch.data.extend(digits_input(name).remove(0).data);
    }
    batch.shape[0] = 3;
    let answer = host.infer(&slot("digits"), vec![batch], LONG).await.unwrap();
    assert_eq!(answer.outputs[0].shape, [3]);
    assert_eq!(answer.outputs[0].to_f64().collect::<Vec<_>>(), [3.0, 7.0, 5.0]);
    assert_eq!(answer.outputs[1].shape, [3, 10]);
}

#[tokio::test]
async fn the_gate_says_by_what_and_how_long_a_model_was_tried() {
    let host = ModelHost::new(Backends::embedded());
    let outcome = gated(&host, digits_source(2), digits_probes(2)).await.outcome();
    assert_eq!(outcome.trial, Trial::Probes(3));
    assert!(outcome.slowest > Duration::ZERO && outcome.slowest <= outcome.total);
    let outcome = gated(&host, digits_source(1), vec![]).await.outcome();
    assert_eq!(outcome.trial, Trial::MadeUp);
}

#[tokio::test]
async fn a_wrong_probe_fails_with_what_came_and_what_was_expected() {
    let host = ModelHost::new(Backends::embedded());
    let bad = std::fs::read(digits().join("digits-3.0.0-bad-probe/digits-3.0.0.bad-probe.json")).unwrap();
    let candidate = host.load(digits_source(2)).await.unwrap();
    let error = host.gate(candidate, Probe::read_all(&bad).unwrap()).await.unwrap_err();
    assert!(matches!(error, StageError::Gate(_)));
    let text = error.to_string();
    assert_eq!(
        text,
        "probe \"digits-3.0.0.bad-probe.true-three.image-1260.expects-four\": output \"label\"[0] is 3, expected 4 within 0.005"
    );
    for (model, probes) in [(1, 2), (2, 1)] {
        let candidate = host.load(digits_source(model)).await.unwrap();
        assert!(host.gate(candidate, digits_probes(probes)).await.is_err(), "{model} answered {probes}'s probes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_fails_while_models_swap_and_every_answer_names_its_model() {
    let host = digits_host(1).await;
    let done = Arc::new(AtomicBool::new(false));
    let [one, two] = [1, 2].map(|major| digits_source(major).sha256());
    let ask = |host: ModelHost, done: Arc<AtomicBool>| async move {
        let mut seen = [0u32; 2];
        while !done.load(Ordering::Relaxed) {
            let answer = host.infer(&slot("digits"), digits_input("five-hard"), LONG).await.unwrap();
            let by_digest = [one, two].iter().position(|sha256| *sha256 == answer.sha256).unwrap();
            assert_eq!(label(&answer.outputs), [9.0, 5.0][by_digest], "the digest is another model's than the answer");
            assert_eq!(answer.release, digits_source(1 + u8::try_from(by_digest).unwrap()).release);
            seen[by_digest] += 1;
        }
        seen
    };
    let askers: Vec<_> = (0..4).map(|_| tokio::spawn(ask(host.clone(), Arc::clone(&done)))).collect();
    for swap in 0..20u8 {
        let major = 2 - swap % 2;
        let model = gated(&host, digits_source(major), digits_probes(major)).await;
        let previous = host.activate(&slot("digits"), model);
        assert_eq!(host.serving(&slot("digits")).unwrap().sha256, [one, two][usize::from(major) - 1]);
        let answered = || host.health(&slot("digits")).unwrap().answered;
        // Both models get to answer, or the test proves nothing.
        tokio::time::timeout(LONG, async {
            while answered() < 8 {
                tokio::task::yield_now().await
            }
        })
        .await
        .unwrap();
        previous.commit().wait(LONG).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for asker in askers {
        let seen = asker.await.unwrap();
        assert!(seen[0] > 0 && seen[1] > 0, "one model never answered: {seen:?}");
    }
}

#[tokio::test]
async fn rolling_back_puts_the_old_model_back_unless_another_came_since() {
    let host = digits_host(1).await;
    let place = slot("digits");
    let previous = host.activate(&place, gated(&host, digits_source(2), vec![]).await);
    assert_eq!(previous.serving().unwrap().sha256, digits_source(1).sha256());
    previous.roll_back().unwrap().wait(LONG).await.unwrap();
    let answer = host.infer(&place, digits_input("five-hard"), LONG).await.unwrap();
    assert_eq!((label(&answer.outputs), answer.sha256), (9.0, digits_source(1).sha256()));

    let first = host.activate(&place, gated(&host, digits_source(2), vec![]).await);
    let second = host.activate(&place, gated(&host, digits_source(1), vec![]).await);
    assert_eq!(first.roll_back().unwrap_err().to_string(), "another model has been put in slot digits since");
    assert_eq!(host.serving(&place).unwrap().sha256, digits_source(1).sha256());
    second.roll_back().unwrap().wait(LONG).await.unwrap();
    assert_eq!(host.serving(&place).unwrap().sha256, digits_source(2).sha256());
}

#[tokio::test]
async fn a_slot_that_was_empty_is_empty_again_after_a_roll_back_or_a_withdrawal() {
    let host = ModelHost::new(Backends::embedded());
    let place = slot("digits");
    let previous = host.activate(&place, gated(&host, digits_source(2), vec![]).await);
    assert_eq!(previous.serving(), None);
    previous.roll_back().unwrap().wait(LONG).await.unwrap();
    assert_eq!((host.serving(&place), host.slots().len()), (None, 0));
    let error = host.infer(&place, digits_input("three"), LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "no model serves in slot digits");

    drop(host.activate(&place, gated(&host, digits_source(2), vec![]).await));
    let withdrawn = host.withdraw(&place).unwrap();
    assert!(host.infer(&place, digits_input("three"), LONG).await.is_err());
    withdrawn.roll_back().unwrap().wait(LONG).await.unwrap();
    assert!(host.infer(&place, digits_input("three"), LONG).await.is_ok());
}

#[tokio::test]
async fn a_damaged_cut_or_missing_file_is_refused_before_it_is_parsed() {
    let host = ModelHost::new(Backends::embedded());
    let folder = tempfile::tempdir().unwrap();
    let mut source = digits_source(2);
    let good = std::fs::read(&source.path).unwrap();
    source.path = folder.path().join("model.onnx");
    let load = || async { host.load(source.clone()).await.map(|_| ()).unwrap_err() };

    assert!(matches!(load().await, StageError::Load(LoadError::Source(SourceError::Io { .. }))));
    std::fs::write(&source.path, &good[1..]).unwrap();
    assert_eq!(load().await.to_string(), "the file has 20258 bytes, the manifest says 20259");
    let mut damaged = good.clone();
    damaged[9000] ^= 1;
    std::fs::write(&source.path, &damaged).unwrap();
    assert!(matches!(load().await, StageError::Load(LoadError::Source(SourceError::Digest { .. }))));
    std::fs::remove_file(&source.path).unwrap();
    std::fs::create_dir(&source.path).unwrap();
    assert!(matches!(load().await, StageError::Load(LoadError::Source(SourceError::NotAFile(_)))));
    std::fs::remove_dir(&source.path).unwrap();
    std::fs::write(&source.path, &good).unwrap();
    host.load(source.clone()).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_model_or_another_model_is_refused() {
    let host = ModelHost::new(Backends::embedded());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    for junk in [&b"not a model at all"[..], &[0x0a; 400], b"\x08\x08"] {
        std::fs::write(&path, junk).unwrap();
        let described = digits_source(2);
        let sedge_statement::ModelFacts::Onnx(facts) = described.variant.facts else { panic!("an ONNX model") };
        let error = host.load(source(&path, facts.inputs, facts.outputs, 3)).await.unwrap_err();
        assert!(matches!(error, StageError::Load(LoadError::Header(_))), "{error}");
    }
    let mut renamed = digits_source(2);
    let sedge_statement::ModelFacts::Onnx(facts) = &mut renamed.variant.facts else { panic!("an ONNX model") };
    facts.outputs.swap(0, 1);
    let error = host.load(renamed).await.unwrap_err();
    assert_eq!(error.to_string(), "the manifest says output 0 is \"probabilities\", the file says \"label\"");
}

#[tokio::test]
async fn what_a_caller_gets_wrong_is_told_and_not_held_against_the_model() {
    let host = digits_host(2).await;
    let refuse = |inputs: Vec<Tensor>| {
        let host = host.clone();
        async move { host.infer(&slot("digits"), inputs, LONG).await.unwrap_err().to_string() }
    };
    assert_eq!(refuse(vec![]).await, "input \"image\" is missing; give FP32 [N, 64]");
    let narrow = Tensor::from_f32("image", vec![1, 63], &[0.0; 63]).unwrap();
    assert_eq!(refuse(vec![narrow]).await, "input \"image\" has the shape [1, 63]; give [N, 64]");
    let health = host.health(&slot("digits")).unwrap();
    assert_eq!((health.requests, health.refused, health.failed), (2, 2, 0));
    assert!(health.is_sound() && health.last_failure.is_none());
}

#[test]
fn the_profile_names_what_runs_models_here() {
    let facts = Backends::embedded().facts();
    assert_eq!(facts.iter().map(|fact| fact.backend.as_str()).collect::<Vec<_>>(), ["tract", "candle"]);
    assert_eq!((facts[0].backend.as_str(), facts[0].providers.as_slice()), ("tract", &["cpu".to_owned()][..]));
}

#[test]
fn a_variant_that_nothing_runs_is_answered_with_every_reason() {
    let mut source = digits_source(1);
    source.variant.format = sedge_statement::ModelFormat::Gguf;
    let error = Backends::embedded().choose(&source.variant).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no backend here runs it: tract: the format gguf is not one it reads; candle: the format gguf is not one it reads"
    );
    let mut source = digits_source(1);
    let sedge_statement::ModelFacts::Onnx(facts) = &mut source.variant.facts else { panic!("an ONNX model") };
    facts.inputs[0].datatype = "STRING".to_owned();
    let error = Backends::embedded().choose(&source.variant).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no backend here runs it: tract: input \"image\" is of type STRING, which it does not compute with; \
         candle: the format onnx is not one it reads"
    );
}
