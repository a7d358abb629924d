//! Models that panic, hang, answer nonsense or are asked too much.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::*;
use sedge_runtime::{
    GateFailure, InferError, LoadError, ModelHost, PROBE_LIMIT, RUNNING_PER_SLOT, RunError, StageError,
    WAITING_PER_SLOT,
};
use sedge_statement::Probe;

const LONG: Duration = Duration::from_secs(60);

/// A door that models wait at.
#[derive(Default)]
struct Door {
    open: Mutex<bool>,
    moved: Condvar,
    waiting: AtomicUsize,
}

impl Door {
    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap();
        while !*open {
            open = self.moved.wait(open).unwrap();
        }
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.moved.notify_all();
    }

    async fn until_waiting(&self, count: usize) {
        let met = async {
            while self.waiting.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await
            }
        };
        tokio::time::timeout(LONG, met).await.unwrap();
    }
}

/// Answers the number it is given; panics at 13, fails at 14, waits at the door at 15.
fn moody(door: Arc<Door>) -> Scripted {
    Scripted::new(move |x| match x {
        13.0 => panic!("thirteen of all numbers"),
        14.0 => Err(RunError::Failed(sedge_runtime::Complaint::new("not fourteen"))),
        15.0 => {
            door.pass();
            Ok(number("y", 15.0))
        }
        #[expect(clippy::cast_possible_truncation, reason = "it came from an f32")]
        x => Ok(number("y", x as f32)),
    })
}

async fn serving(scripted: Scripted) -> (ModelHost, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let host = scripted.host();
    let model = gated(&host, number_source(&folder.path().join("m")), vec![]).await;
    drop(host.activate(&slot("s"), model));
    (host, folder)
}

type Answers = fn() -> Vec<sedge_statement::Tensor>;

fn probe(x: f32) -> Probe {
    Probe::of_tensors("p", number("x", x), vec![])
}

#[tokio::test]
async fn a_panic_costs_its_request_and_marks_the_model() {
    let (host, _folder) = serving(moody(Arc::default())).await;
    let error = host.infer(&slot("s"), number("x", 13.0), LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "the model panicked: thirteen of all numbers");
    let answer = host.infer(&slot("s"), number("x", 7.0), LONG).await.unwrap();
    assert_eq!(answer.outputs, number("y", 7.0));
    let health = host.health(&slot("s")).unwrap();
    assert!(health.panicked && !health.is_sound());
    assert_eq!((health.requests, health.answered, health.failed), (2, 1, 1));
    assert_eq!(health.last_failure.as_deref(), Some("the model panicked: thirteen of all numbers"));
}

#[tokio::test]
async fn a_failure_is_counted_and_told() {
    let (host, _folder) = serving(moody(Arc::default())).await;
    let error = host.infer(&slot("s"), number("x", 14.0), LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "the model failed: not fourteen");
    let health = host.health(&slot("s")).unwrap();
    assert!(!health.panicked && !health.is_sound());
}

#[tokio::test]
async fn a_panic_while_loading_or_in_the_gate_is_that_models_failure() {
    let folder = tempfile::tempdir().unwrap();
    let source = number_source(&folder.path().join("m"));
    let mut scripted = moody(Arc::default());
    let host = scripted.clone().host();
    let candidate = host.load(source.clone()).await.unwrap();
    let error = host.gate(candidate, vec![probe(1.0), probe(13.0)]).await.unwrap_err();
    assert_eq!(error.to_string(), "probe \"p\": the model panicked: thirteen of all numbers");

    scripted.on_load = Arc::new(|| panic!("cannot even load"));
    let error = scripted.host().load(source).await.unwrap_err();
    assert!(matches!(error, StageError::Load(LoadError::Panicked(_))), "{error}");
}

#[tokio::test]
async fn answers_that_are_not_as_declared_do_not_pass_the_gate() {
    let folder = tempfile::tempdir().unwrap();
    let source = number_source(&folder.path().join("m"));
    let tries: [(Answers, &str); 4] = [
        (|| number("y", f32::NAN), "probe \"made up\": output \"y\"[0] is not finite"),
        (
            || vec![sedge_statement::Tensor::from_f32("y", vec![1], &[0.0]).unwrap()],
            "probe \"made up\": output \"y\" is FP32 [1], the model declares FP32 []",
        ),
        (|| number("z", 0.0), "probe \"made up\": output \"y\" is FP32 [], the model declares FP32 []"),
        (Vec::new, "probe \"made up\": 0 outputs, the model declares 1"),
    ];
    for (answer, wanted) in tries {
        let host = Scripted::new(move |_| Ok(answer())).host();
        let candidate = host.load(source.clone()).await.unwrap();
        assert_eq!(host.gate(candidate, vec![]).await.unwrap_err().to_string(), wanted);
    }
}

#[tokio::test]
async fn a_model_that_hangs_in_the_gate_is_refused_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let door = Arc::new(Door::default());
    let host = moody(Arc::clone(&door)).host();
    let candidate = host.load(number_source(&folder.path().join("m"))).await.unwrap();
    // From here time stands still but for timers: the limit passes at once.
    tokio::time::pause();
    let error = host.gate(candidate, vec![probe(15.0)]).await.unwrap_err();
    assert!(matches!(&error, StageError::Gate(GateFailure::Overdue { limit, .. }) if *limit == PROBE_LIMIT), "{error}");
    door.open();
}

#[tokio::test]
async fn a_request_past_its_deadline_is_given_up_and_held_against_the_model() {
    let door = Arc::new(Door::default());
    let (host, _folder) = serving(moody(Arc::clone(&door))).await;
    tokio::time::pause();
    let error = host.infer(&slot("s"), number("x", 15.0), Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(error, InferError::Overdue(limit) if limit == Duration::from_secs(5)), "{error}");
    assert_eq!(host.health(&slot("s")).unwrap().overdue, 1);
    door.open();
}

#[tokio::test]
async fn a_request_in_flight_ends_on_the_model_it_began_with() {
    let door = Arc::new(Door::default());
    let (host, folder) = serving(moody(Arc::clone(&door))).await;
    let old = host.serving(&slot("s")).unwrap();
    let in_flight = tokio::spawn({
        let host = host.clone();
        async move { host.infer(&slot("s"), number("x", 15.0), LONG).await }
    });
    door.until_waiting(1).await;

    let file = folder.path().join("n");
    let mut newer = number_source(&file);
    std::fs::write(&file, b"another!").unwrap();
    newer.variant.files[0].sha256 = sedge_statement::Sha256::of(b"another!");
    let previous = host.activate(&slot("s"), gated(&host, newer.clone(), vec![]).await);
    let fresh = host.infer(&slot("s"), number("x", 1.0), LONG).await.unwrap();
    assert_eq!(fresh.sha256, newer.sha256());

    let drained = previous.commit();
    door.open();
    assert_eq!(in_flight.await.unwrap().unwrap().sha256, old.sha256);
    drained.wait(LONG).await.unwrap();
}

#[tokio::test]
async fn an_old_model_with_a_request_in_it_is_not_drained() {
    let door = Arc::new(Door::default());
    let (host, _folder) = serving(moody(Arc::clone(&door))).await;
    let in_flight = tokio::spawn({
        let host = host.clone();
        async move { host.infer(&slot("s"), number("x", 15.0), LONG).await }
    });
    door.until_waiting(1).await;
    let drained = host.withdraw(&slot("s")).unwrap().commit();
    let limit = Duration::from_millis(50);
    assert_eq!(drained.wait(limit).await.unwrap_err().to_string(), "the old model still runs a request after 50ms");
    door.open();
    in_flight.await.unwrap().unwrap();
}

#[tokio::test]
async fn more_requests_than_may_wait_are_told_so_at_once() {
    let door = Arc::new(Door::default());
    let (host, _folder) = serving(moody(Arc::clone(&door))).await;
    let ask = |_| {
        let host = host.clone();
        tokio::spawn(async move { host.infer(&slot("s"), number("x", 15.0), LONG).await })
    };
    let all: Vec<_> = (0..RUNNING_PER_SLOT + WAITING_PER_SLOT).map(ask).collect();
    door.until_waiting(RUNNING_PER_SLOT).await;
    // The runtime has one thread: the spawned requests have all been admitted once this one is.
    let error = host.infer(&slot("s"), number("x", 1.0), LONG).await.unwrap_err();
    assert_eq!(error.to_string(), format!("slot s has {WAITING_PER_SLOT} requests waiting already"));
    assert!(door.waiting.load(Ordering::SeqCst) <= RUNNING_PER_SLOT);
    door.open();
    for one in all {
        one.await.unwrap().unwrap();
    }
    host.infer(&slot("s"), number("x", 1.0), LONG).await.unwrap();
}

#[tokio::test]
async fn requests_that_never_end_take_no_place_of_the_next_models() {
    let door = Arc::new(Door::default());
    let (host, folder) = serving(moody(Arc::clone(&door))).await;
    let newer = || async { gated(&host, number_source(&folder.path().join("n")), vec![]).await };
    let ask = |x| {
        let host = host.clone();
        tokio::spawn(async move { host.infer(&slot("s"), number("x", x), LONG).await })
    };
    let mut hanging: Vec<_> = (0..RUNNING_PER_SLOT).map(|_| ask(15.0)).collect();
    door.until_waiting(RUNNING_PER_SLOT).await;
    let waiting = ask(1.0);
    tokio::task::yield_now().await;
    let previous = host.activate(&slot("s"), newer().await);
    assert_eq!(waiting.await.unwrap().unwrap().outputs, number("y", 1.0));

    hanging.extend((0..RUNNING_PER_SLOT).map(|_| ask(15.0)));
    door.until_waiting(2 * RUNNING_PER_SLOT).await;
    drop(previous.roll_back().unwrap());
    let answer = host.infer(&slot("s"), number("x", 2.0), LONG).await.unwrap();
    assert_eq!(answer.outputs, number("y", 2.0));
    door.open();
    for one in hanging {
        one.await.unwrap().unwrap();
    }
}
