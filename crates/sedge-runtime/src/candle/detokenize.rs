//! Text out of tokens that come one by one.

use tokenizers::Tokenizer;

/// What a decoder puts for bytes that are no character, or not yet one.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// The most such signs at the end of a text that may still become a character: it has four bytes at most, of which three may be
/// there already, a sign each.
const INCOMPLETE: usize = 3;

/// Makes text of tokens, and gives only whole characters.
///
/// Decoders look at neighbours, so that a token's text is found as the difference between the texts with and without it, behind a
/// few tokens before it.
pub(super) struct Detokenizer<'a> {
    tokenizer: &'a Tokenizer,
    tokens: Vec<u32>,
    /// Where the tokens begin that are decoded again for the sake of those after.
    from: usize,
    /// How many tokens are given as text altogether.
    read: usize,
    /// How many bytes of the tokens after those are given.
    given: usize,
}

impl<'a> Detokenizer<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, tokens: Vec::new(), from: 0, read: 0, given: 0 }
    }

    /// Takes a token; gives what has become certain.
    pub(super) fn push(&mut self, token: u32) -> tokenizers::Result<String> {
        self.tokens.push(token);
        let text = self.ungiven()?;
        let certain = certain(&text);
        let piece = certain.get(self.given..).unwrap_or_default().to_owned();
        if certain.len() == text.len() && !text.is_empty() {
            (self.from, self.read, self.given) = (self.read, self.tokens.len(), 0);
        } else {
            self.given += piece.len();
        }
        Ok(piece)
    }

    /// What never became certain, with a sign for what is no character.
    pub(super) fn rest(&mut self) -> tokenizers::Result<String> {
        let text = self.ungiven()?;
        let rest = text.get(self.given..).unwrap_or_default().to_owned();
        (self.from, self.read, self.given) = (self.tokens.len(), self.tokens.len(), 0);
        Ok(rest)
    }

    /// The text of the tokens that are not given altogether.
    fn ungiven(&self) -> tokenizers::Result<String> {
        let before = self.tokenizer.decode(&self.tokens[self.from..self.read], true)?;
        let mut text = self.tokenizer.decode(&self.tokens[self.from..], true)?;
        let begins = if text.is_char_boundary(before.len()) { before.len() } else { text.len() };
        Ok(text.split_off(begins.min(text.len())))
    }
}

/// The text without what may still become a character.
fn certain(text: &str) -> &str {
    let open = text.chars().rev().take(INCOMPLETE).take_while(|c| *c == REPLACEMENT).count();
    &text[..text.len() - open * REPLACEMENT.len_utf8()]
}
