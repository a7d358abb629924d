//! The words of others, made fit to be shown: members, models and files say what they like, and a terminal obeys.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

/// Whether it moves a terminal's cursor, colours it, has it answer, breaks a line, or shows text in another order than it has.
fn harms(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of several lines, without what harms a terminal.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    let unwanted = |c: char| harms(c) && c != '\n' && c != '\t';
    if text.contains(unwanted) { Cow::Owned(text.replace(unwanted, "")) } else { Cow::Borrowed(text) }
}

/// Text that stands on one line: whatever it says, it cannot look like a line of ours.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(harms) {
        return Cow::Borrowed(text);
    }
    let space = |c: char| if matches!(c, '\n' | '\t' | '\u{2028}' | '\u{2029}') { ' ' } else { c };
    Cow::Owned(text.chars().map(space).filter(|c| !harms(*c)).collect())
}

/// An answer with every text in it on one line.
pub(crate) fn value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(line(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(self::value).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, of)| (line(&key).into_owned(), self::value(of))).collect()
        }
        plain => plain,
    }
}

/// JSON that means the same, with what harms a terminal as escapes.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    // Outside of strings JSON has no such character but the line ends of its own layout.
    let unwanted = |c: char| harms(c) && c != '\n';
    if !text.contains(unwanted) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if unwanted(c) {
            write!(escaped, "\\u{:04x}", u32::from(c)).expect("a string takes all that is written");
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_of_several_lines_keeps_its_lines_and_nothing_else_that_a_terminal_obeys() {
        assert_eq!(lines("one\n\ttwo – drei"), "one\n\ttwo – drei");
        assert_eq!(lines("a\x1b[2Jb\r\u{9b}31mc\x07\u{7f}d\u{202e}e"), "a[2Jb31mcde");
    }

    #[test]
    fn text_on_one_line_stays_there() {
        assert_eq!(line("größe 3 – 👩‍🚀"), "größe 3 – 👩‍🚀");
        assert_eq!(line("ok\nrobot-9 committed\r\x1b]52;c;aGk=\x07\u{2028}x"), "ok robot-9 committed]52;c;aGk= x");
    }

    #[test]
    fn an_answer_is_tamed_to_its_last_key() {
        let told = json!({"a\n": ["\x1b[2J", 7, null, {"b": "c\u{85}"}]});
        assert_eq!(value(told), json!({"a ": ["[2J", 7, null, {"b": "c"}]}));
    }

    #[test]
    fn escaped_json_means_the_same() {
        let told = json!({"a": "\x1b[2J\u{9b}31m\n\u{202e}\u{7f}"});
        let shown = json(&told.to_string()).into_owned();
        assert_eq!(shown, r#"{"a":"\u001b[2J\u009b31m\n\u202e\u007f"}"#);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), told);
    }
}
