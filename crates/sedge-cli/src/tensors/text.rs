//! Text to go on from.

use std::io::Read;
use std::path::Path;

use sedge_statement::TextRequest;

use super::files::read_file;
use crate::failure::Failure;

/// What a path is where the standard input is meant.
const STANDARD_INPUT: &str = "-";

/// Whether a path names text rather than tensors.
pub(crate) fn is_text(path: &Path) -> bool {
    path.as_os_str() == STANDARD_INPUT || path.extension().is_some_and(|e| e == "txt")
}

/// The text of a file, or of the standard input. One line end at its end is not part of it.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let limit = TextRequest::MAX_PROMPT;
    let mut bytes = Vec::new();
    if path.as_os_str() == STANDARD_INPUT {
        let read = std::io::stdin().take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|e| Failure::failed(format!("the standard input: {e}"), "Give a .txt file instead."))?;
    } else {
        bytes = read_file(path)?;
    }
    let wrong = |why: &str| Failure::usage(format!("{}: {why}", path.display()), "Give up to 1 MiB of UTF-8 text.");
    if bytes.len() > limit {
        return Err(wrong("it is longer than a prompt may be"));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text"))?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_file_is_read_without_its_last_line_end_and_anything_else_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("prompt.txt");
        std::fs::write(&file, "Once upon\na\n").unwrap();
        assert!(is_text(&file) && is_text(Path::new("-")) && !is_text(Path::new("x.json")));
        assert_eq!(read_text(&file).unwrap(), "Once upon\na");
        std::fs::write(&file, [0xff]).unwrap();
        assert!(read_text(&file).unwrap_err().what.contains("not UTF-8"));
        std::fs::write(&file, vec![b'x'; TextRequest::MAX_PROMPT + 1]).unwrap();
        assert!(read_text(&file).unwrap_err().what.contains("longer"));
    }
}
