//! Text to tokens: the vocabulary, the tokens that end a text, the form of a conversation.

use std::collections::BTreeSet;

use candle_core::quantized::gguf_file::Content;
use sedge_statement::Prompt;
use tokenizers::{ModelWrapper, Tokenizer};

use super::template::Template;
use super::vocabulary;
use super::weights::refused;
use crate::fault::{Complaint, LoadError, RunError};
use crate::language::PromptError;

/// The kind of vocabulary that is read from a model's own file.
pub(super) const OWN: &str = "gpt2";

/// The numbers of tokens that end a text.
const END_KEYS: [&str; 3] =
    ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];

/// Tokens that end a text by their names, in models whose files do not say so.
const END_NAMES: [&str; 5] = ["<|eot_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>"];

/// A model's tokens.
pub(super) struct Tokens {
    pub(super) tokenizer: Tokenizer,
    ends: BTreeSet<u32>,
    template: Template,
}

impl Tokens {
    /// Reads the tokenizer: from a file of its own where there is one, from the model's where not.
    pub(super) fn read(content: &mut Content, own: Option<&[u8]>, vocabulary: usize) -> Result<Self, LoadError> {
        let mut tokenizer = match own {
            Some(bytes) => Tokenizer::from_bytes(bytes).map_err(|e| refused(format!("tokenizer.json: {e}")))?,
            None => vocabulary::read(content)?,
        };
        if let ModelWrapper::BPE(model) = tokenizer.get_model()
            && model.dropout.is_some_and(|part| part != 0.0)
        {
            return Err(refused(
                "tokenizer.json: it leaves out merges by chance (dropout), so that no text could be had again",
            ));
        }
        // A text is cut nowhere and filled up with nothing.
        tokenizer.with_truncation(None).map_err(refused)?;
        tokenizer.with_padding(None);
        let greatest = tokenizer.get_vocab(true).into_values().max();
        if greatest.is_none_or(|id| id as usize >= vocabulary) {
            return Err(refused(format!("its tokenizer knows other tokens than the {vocabulary} of its embeddings")));
        }
        let number = |key: &&str| content.metadata.get(*key).and_then(|value| value.to_u64().ok());
        let named = END_NAMES.iter().filter_map(|name| tokenizer.token_to_id(name));
        let numbered = END_KEYS.iter().filter_map(number).filter_map(|id| u32::try_from(id).ok());
        let ends = numbered.chain(named).collect();
        let template = content.metadata.get("tokenizer.chat_template").and_then(|value| value.to_string().ok());
        let template = template.map_or(Template::Plain, |text| Template::of(text));
        Ok(Self { tokenizer, ends, template })
    }

    /// The tokens of a prompt.
    pub(super) fn of(&self, prompt: &Prompt) -> Result<Vec<u32>, RunError> {
        let encoding = match prompt {
            Prompt::Text(text) => self.tokenizer.encode(text.as_str(), true),
            Prompt::Messages(messages) => self.tokenizer.encode(self.template.render(messages), true),
        };
        let encoding = encoding.map_err(|e| RunError::Failed(Complaint::new(&e.to_string())))?;
        let tokens = encoding.get_ids().to_vec();
        if tokens.is_empty() { Err(PromptError::NoTokens.into()) } else { Ok(tokens) }
    }

    /// Whether a token ends a text.
    pub(super) fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }
}
