//! Stop texts: found wherever they come, though in pieces.

/// Looks for stop texts in a text that comes in pieces, and holds back what may be the beginning of one.
pub(super) struct Stops<'a> {
    stops: &'a [String],
    held: String,
}

impl<'a> Stops<'a> {
    pub(super) fn new(stops: &'a [String]) -> Self {
        Self { stops, held: String::new() }
    }

    /// Takes a piece; gives what is certain, and whether a stop text came after it.
    pub(super) fn push(&mut self, piece: &str) -> (String, bool) {
        self.held.push_str(piece);
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = found {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let kept = self.stops.iter().map(|stop| begun(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - kept);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back and turned out to be no stop text.
    pub(super) fn rest(self) -> String {
        self.held
    }
}

/// How many bytes at the end of `text` are the beginning of `stop`.
fn begun(text: &str, stop: &str) -> usize {
    let most = text.len().min(stop.len() - 1);
    (1..=most).rev().find(|n| stop.is_char_boundary(*n) && text.ends_with(&stop[..*n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut finder = Stops::new(&stops);
        let mut given = Vec::new();
        for piece in pieces {
            let (text, stopped) = finder.push(piece);
            given.push(text);
            if stopped {
                return (given, true);
            }
        }
        given.push(finder.rest());
        (given, false)
    }

    #[test]
    fn a_stop_text_in_pieces_ends_the_text_before_it() {
        assert_eq!(run(&["\n\n"], &["a\n", "\nb"]), (vec!["a".into(), String::new()], true));
        assert_eq!(run(&["END"], &["xE", "N", "D"]), (vec!["x".into(), String::new(), String::new()], true));
    }

    #[test]
    fn what_only_looks_like_a_stop_text_is_given_in_the_end() {
        let (given, stopped) = run(&["END", "ENOUGH"], &["xEN", "ERGY", " EN"]);
        assert_eq!((given.concat().as_str(), stopped), ("xENERGY EN", false));
        assert_eq!(given[0], "x");
    }

    #[test]
    fn the_first_of_several_stop_texts_counts_and_none_means_none() {
        assert_eq!(run(&["c", "b"], &["abc"]), (vec!["a".into()], true));
        assert_eq!(run(&[], &["a", "b"]), (vec!["a".into(), "b".into(), String::new()], false));
        assert_eq!(run(&["é"], &["caf", "é!"]), (vec!["caf".into(), String::new()], true));
    }
}
