//! The forms in which models were trained on conversations.

use sedge_statement::{Message, Speaker};

/// A form of conversations. Which one a model has is told by the marks in its `tokenizer.chat_template`; the template itself, a
/// program in a language of its own, is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Template {
    /// `<|im_start|>role … <|im_end|>`: Qwen, SmolLM and others.
    ChatMl,
    /// `<|start_header_id|>role<|end_header_id|> … <|eot_id|>`: Llama 3.
    Llama3,
    /// `<|role|> … <|end|>`: Phi 3.
    Phi3,
    /// None that is known: what was said is continued as plain text.
    Plain,
}

impl Template {
    /// The form that a file's template shows.
    pub(super) fn of(template: &str) -> Self {
        let has = |mark: &str| template.contains(mark);
        if has("<|im_start|>") && has("<|im_end|>") {
            Self::ChatMl
        } else if has("<|start_header_id|>") && has("<|eot_id|>") {
            Self::Llama3
        } else if has("<|assistant|>") && has("<|end|>") {
            Self::Phi3
        } else {
            Self::Plain
        }
    }

    /// The text that the model is to continue.
    pub(super) fn render(self, messages: &[Message]) -> String {
        if self == Self::Plain {
            return plain(messages);
        }
        let mut text: String = messages.iter().map(|message| self.turn(message)).collect();
        text.push_str(match self {
            Self::ChatMl => "<|im_start|>assistant\n",
            Self::Llama3 => "<|start_header_id|>assistant<|end_header_id|>\n\n",
            Self::Phi3 => "<|assistant|>\n",
            Self::Plain => "",
        });
        text
    }

    fn turn(self, message: &Message) -> String {
        let (role, content) = (message.role.word(), message.content.trim());
        match self {
            Self::ChatMl => format!("<|im_start|>{role}\n{content}<|im_end|>\n"),
            Self::Llama3 => format!("<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>"),
            Self::Phi3 => format!("<|{role}|>\n{content}<|end|>\n"),
            Self::Plain => message.content.clone(),
        }
    }
}

/// What was said, in order. An answer follows its question as it was given, for it was its continuation; everything else
/// begins a line.
fn plain(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages {
        if !text.is_empty() && message.role != Speaker::Assistant {
            text.push('\n');
        }
        text.push_str(&message.content);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Vec<Message> {
        let said = |role, content: &str| Message { role, content: content.to_owned() };
        vec![
            said(Speaker::System, "Be brief."),
            said(Speaker::User, "Hi "),
            said(Speaker::Assistant, "Yo"),
            said(Speaker::User, "Why"),
        ]
    }

    #[test]
    fn each_known_form_is_told_by_its_marks_and_ends_where_the_model_goes_on() {
        let chatml = Template::of("{% for m in messages %}<|im_start|>{{ m.role }}…<|im_end|>{% endfor %}");
        assert_eq!(
            chatml.render(&said()),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYo<|im_end|>\n\
             <|im_start|>user\nWhy<|im_end|>\n<|im_start|>assistant\n"
        );
        let llama = Template::of("<|start_header_id|> <|end_header_id|> <|eot_id|>");
        let last = "<|start_header_id|>user<|end_header_id|>\n\nWhy<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n";
        assert!(llama.render(&said()).ends_with(last));
        let phi = Template::of("<|user|> <|assistant|> <|end|>");
        assert!(phi.render(&said()).ends_with("<|user|>\nWhy<|end|>\n<|assistant|>\n"));
    }

    #[test]
    fn without_a_known_form_a_conversation_is_a_text() {
        assert_eq!(Template::of("[INST] {{ x }} [/INST]"), Template::Plain);
        assert_eq!(Template::Plain.render(&said()), "Be brief.\nHi Yo\nWhy");
    }
}
