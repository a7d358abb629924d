//! Talking with a language model.

use clap::Args;
use sedge_statement::{SlotName, TextRequest};

/// `sedge chat`
#[derive(Debug, Clone, Args)]
pub(crate) struct ChatArgs {
    /// The slot
    pub(crate) slot: SlotName,
    /// Say this, and end after the answer
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
    /// How the model is to answer: said before everything else
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// The most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = TextRequest::MAX_TOKENS, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: u32,
    /// How evenly words are chosen: 0 always takes the likeliest, 1 each as often as the model says
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    pub(crate) temperature: f64,
    /// Choose among so many of the likeliest only; 0 for all
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) top_k: u32,
    /// Choose among the likeliest that together reach this share only
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub(crate) top_p: f64,
    /// Where chance begins: equal seeds give equal text; by default another one each time
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Divides the odds of what came before; 1 changes nothing
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    pub(crate) repeat_penalty: f32,
    /// End an answer where this text would come; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
}
