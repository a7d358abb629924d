//! One language model, loaded.

use std::fmt::Display;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use candle_core::quantized::gguf_file::Content;
use candle_core::{Result as CandleResult, Tensor as Scores};
use sedge_artifact::GgufHeader;
use sedge_artifact::gguf::Limits;
use sedge_statement::{Dim, Tensor, TensorSpec, TextRequest};

use super::detokenize::Detokenizer;
use super::sampler::{Chosen, Sampler};
use super::shape::Shape;
use super::stops::Stops;
use super::tokens::Tokens;
use super::weights::{Text, Weights, refused};
use crate::backend::RunningModel;
use crate::fault::{Complaint, LoadError, RunError};
use crate::language::{Finish, Generated, LanguageModel, PromptError};

type OnText<'a> = dyn FnMut(&str) -> ControlFlow<()> + 'a;

/// A model that candle runs.
pub(super) struct CandleModel {
    weights: Weights,
    tokens: Tokens,
    context: u32,
    input: TensorSpec,
    output: TensorSpec,
}

impl CandleModel {
    /// Makes a model of bytes that are proven. They are freed when it is made.
    pub(super) fn open(bytes: Vec<u8>, tokenizer: Option<&[u8]>) -> Result<Self, LoadError> {
        // Every length in it is inside the file and every count within bounds: candle checks fewer.
        GgufHeader::read(&bytes, bytes.len() as u64, &Limits::default())?;
        let mut content = Content::read(&mut Cursor::new(&bytes)).map_err(refused)?;
        let shape = Shape::check(&content).map_err(refused)?;
        let tokens = Tokens::read(&mut content, tokenizer, shape.vocabulary)?;
        let weights = Weights::load(shape.family, content, &bytes).map_err(refused)?;
        Ok(Self { weights, tokens, context: shape.context, input: text("text_input"), output: text("text_output") })
    }
}

/// How the Open Inference Protocol has text: one element of bytes.
fn text(name: &str) -> TensorSpec {
    TensorSpec { name: name.to_owned(), datatype: "BYTES".to_owned(), shape: vec![Dim::Fixed(1)] }
}

impl RunningModel for CandleModel {
    fn inputs(&self) -> &[TensorSpec] {
        std::slice::from_ref(&self.input)
    }

    fn outputs(&self) -> &[TensorSpec] {
        std::slice::from_ref(&self.output)
    }

    fn infer(&self, _: &[&Tensor]) -> Result<Vec<Tensor>, RunError> {
        Err(PromptError::TakesText.into())
    }

    fn language(&self) -> Option<&dyn LanguageModel> {
        Some(self)
    }
}

impl LanguageModel for CandleModel {
    fn context(&self) -> u32 {
        self.context
    }

    fn generate(&self, request: &TextRequest, on_text: &mut OnText<'_>) -> Result<Generated, RunError> {
        let begun = Instant::now();
        let prompt = self.tokens.of(&request.prompt)?;
        let context = self.context as usize;
        if prompt.len() >= context {
            return Err(PromptError::TooLong { tokens: prompt.len(), context: self.context }.into());
        }
        let most = (context - prompt.len()).min(usize::try_from(request.max_tokens).unwrap_or(usize::MAX));
        let mut answer = Answering {
            model: self,
            sampler: Sampler::new(&request.sampling),
            words: Detokenizer::new(&self.tokens.tokenizer),
            stops: Stops::new(&request.stop),
            begun,
            first: None,
            added: 0,
        };
        let prompt_tokens = count(prompt.len());
        let finish = answer.run(prompt, most, on_text)?;
        let took = begun.elapsed();
        Ok(Generated {
            prompt_tokens,
            completion_tokens: count(answer.added),
            finish,
            first: answer.first.unwrap_or(took),
            took,
        })
    }
}

/// An answer under way.
struct Answering<'a> {
    model: &'a CandleModel,
    sampler: Sampler,
    words: Detokenizer<'a>,
    stops: Stops<'a>,
    begun: Instant,
    first: Option<Duration>,
    added: usize,
}

impl Answering<'_> {
    fn run(&mut self, mut tokens: Vec<u32>, most: usize, on_text: &mut OnText<'_>) -> Result<Finish, RunError> {
        let mut text = self.model.weights.begin();
        let Some(mut scores) = read(&mut text, &tokens, on_text)? else { return Ok(Finish::Cancelled) };
        loop {
            let token = match self.sampler.choose(&scores, &tokens).map_err(failed)? {
                Chosen::Token(token) => token,
                Chosen::NotFinite => return Err(RunError::NotFinite),
            };
            self.first.get_or_insert_with(|| self.begun.elapsed());
            if self.model.tokens.is_end(token) {
                return self.end(Finish::Stop, on_text);
            }
            self.added += 1;
            let words = self.words.push(token).map_err(failed)?;
            let (piece, stopped) = self.stops.push(&words);
            if on_text(&piece).is_break() {
                return Ok(Finish::Cancelled);
            }
            if stopped {
                return Ok(Finish::Stop);
            }
            if self.added == most {
                return self.end(Finish::Length, on_text);
            }
            scores = text.forward(&[token], tokens.len()).map_err(failed)?;
            tokens.push(token);
        }
    }

    /// Gives what was held back.
    fn end(&mut self, finish: Finish, on_text: &mut OnText<'_>) -> Result<Finish, RunError> {
        let words = self.words.rest().map_err(failed)?;
        let (mut piece, stopped) = self.stops.push(&words);
        if !stopped {
            piece.push_str(&std::mem::replace(&mut self.stops, Stops::new(&[])).rest());
        }
        // Nothing comes after it that a caller could stop.
        let _ = on_text(&piece);
        Ok(if stopped { Finish::Stop } else { finish })
    }
}

/// Takes a prompt in pieces; none where the caller left meanwhile.
fn read(text: &mut Text<'_>, prompt: &[u32], on_text: &mut OnText<'_>) -> Result<Option<Scores>, RunError> {
    let mut at = 0;
    loop {
        let piece = text.piece(prompt.len() - at);
        let scores: CandleResult<Scores> = text.forward(&prompt[at..at + piece], at);
        at += piece;
        if at == prompt.len() {
            return scores.map(Some).map_err(failed);
        }
        scores.map_err(failed)?;
        if on_text("").is_break() {
            return Ok(None);
        }
    }
}

fn failed(why: impl Display) -> RunError {
    RunError::Failed(Complaint::new(&why.to_string()))
}

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).expect("no longer than a context")
}
