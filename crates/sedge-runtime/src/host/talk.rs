//! Text from the language model of a slot, piece by piece.

use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use sedge_statement::{ReleaseId, Sha256, TextRequest};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{self, timeout_at};

use super::slot::{Model, Permits, Slot, Turn};
use super::{InferError, unshielded};
use crate::fault::RunError;
use crate::language::{Finish, Generated, PromptError};
use crate::threads;

/// The most texts that one slot's model continues at once: each keeps its keys and values, and shares the cores. Others wait
/// for their turn.
pub const GENERATING_PER_SLOT: usize = 2;

/// The longest that a language model may take over one step past the end of its time: a token, or a piece of the prompt. What
/// takes longer hangs.
pub const STEP_LIMIT: Duration = Duration::from_secs(30);

/// Pieces beyond those of tokens: what was held back comes in the end.
const LAST_PIECES: usize = 1;

type Outcome = std::thread::Result<Result<Said, RunError>>;

/// A text on its way. Dropping it ends the generation at the next token.
#[derive(Debug)]
pub struct Talk {
    /// Holds as many pieces as there can be tokens, so that a reader who dawdles keeps no model busy.
    pieces: mpsc::Receiver<String>,
    outcome: oneshot::Receiver<Outcome>,
    model: Weak<Model>,
    release: ReleaseId,
    sha256: Sha256,
    within: Duration,
    until: time::Instant,
    overdue: bool,
}

/// What a text came to, and which model gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The release that answered.
    pub release: ReleaseId,
    /// The digest of the model that answered.
    pub sha256: Sha256,
    /// Tokens, times, and why it ended.
    pub generated: Generated,
}

impl Slot {
    pub(super) async fn talk(&self, request: TextRequest, within: Duration) -> Result<Talk, InferError> {
        let deadline = time::Instant::now() + within;
        let (model, permits) = self.turn(Turn::Text, within, deadline).await?;
        start(model, request, permits, within, deadline)
    }
}

/// Runs a generation on a thread of its own, which keeps the permits to its end.
fn start(
    model: Arc<Model>,
    request: TextRequest,
    permits: Permits,
    within: Duration,
    deadline: time::Instant,
) -> Result<Talk, InferError> {
    let context = model.loaded.context().ok_or(RunError::Prompt(PromptError::TakesTensors))?;
    let tokens = usize::try_from(request.max_tokens.min(context)).unwrap_or(usize::MAX);
    let (sender, pieces) = mpsc::channel(tokens.saturating_add(LAST_PIECES));
    let (release, sha256) = (model.loaded.release(), model.loaded.sha256());
    let known = Arc::downgrade(&model);
    let end = deadline.into_std();
    let outcome = threads::run("sedge-talk", move || {
        let said = model.say(&request, &sender, end);
        // Before it is told: whoever hears of the end may count on the model being released and the turn being free.
        drop((model, permits));
        said
    })?;
    let until = deadline + STEP_LIMIT;
    Ok(Talk { pieces, outcome, model: known, release, sha256, within, until, overdue: false })
}

impl Model {
    fn say(&self, request: &TextRequest, pieces: &mpsc::Sender<String>, end: Instant) -> Result<Said, RunError> {
        self.tally.asked();
        let mut late = false;
        let mut on_text = |piece: &str| {
            late = Instant::now() >= end;
            let heard = match piece {
                "" => !pieces.is_closed(),
                piece => pieces.try_send(piece.to_owned()).is_ok(),
            };
            if heard && !late { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        match self.loaded.generate(request, &mut on_text) {
            Ok(mut generated) => {
                if generated.finish == Finish::Cancelled && late {
                    generated.finish = Finish::TimeLimit;
                }
                if generated.finish != Finish::Cancelled {
                    self.tally.answered(generated.took);
                }
                Ok(Said { release: self.loaded.release(), sha256: self.loaded.sha256(), generated })
            }
            Err(error) => {
                self.tally.erred(&error);
                Err(error)
            }
        }
    }
}

impl Talk {
    /// The release that answers.
    pub fn release(&self) -> ReleaseId {
        self.release
    }

    /// The digest of the model that answers.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// The next piece of the text, whole characters; none at its end, of which [`Self::end`] tells. Cancelling it loses
    /// nothing.
    pub async fn next(&mut self) -> Option<String> {
        match timeout_at(self.until, self.pieces.recv()).await {
            Ok(piece) => piece,
            Err(_) => {
                self.give_up();
                None
            }
        }
    }

    /// What it came to. Pieces that were not taken are dropped.
    ///
    /// # Errors
    /// See [`InferError`].
    pub async fn end(mut self) -> Result<Said, InferError> {
        while self.next().await.is_some() {}
        if !self.overdue {
            match timeout_at(self.until, &mut self.outcome).await {
                Ok(outcome) => {
                    let said = outcome.expect("the thread answers before it ends");
                    return Ok(said.map_err(|payload| unshielded(&*payload))??);
                }
                Err(_) => self.give_up(),
            }
        }
        Err(InferError::Overdue(self.within))
    }

    /// The model hangs.
    fn give_up(&mut self) {
        if !self.overdue
            && let Some(model) = self.model.upgrade()
        {
            model.tally.overdue(self.within);
        }
        self.overdue = true;
        self.pieces.close();
    }
}
