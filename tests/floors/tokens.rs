//! Rust source as words and signs, without comments, literals and test code.

/// Splits `source` into words and single signs. Comments vanish; a string or character literal becomes `""`.
pub(crate) fn tokens(source: &str) -> Vec<&str> {
    let mut rest = source;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| first.is_whitespace().then(|| first.len_utf8()));
        let (token, len) = match (skipped, literal(rest)) {
            (Some(len), _) => (None, len),
            (None, Some(len)) => (Some("\"\""), len),
            (None, None) => {
                let len = word(rest).unwrap_or(first.len_utf8());
                (Some(&rest[..len]), len)
            }
        };
        tokens.extend(token);
        rest = &rest[len..];
    }
    tokens
}

fn word(rest: &str) -> Option<usize> {
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (end > 0).then_some(end)
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    Some(rest.len())
}

fn literal(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|p| {
        let after = rest.strip_prefix(p).unwrap_or_default();
        after.starts_with('"')
            || (p.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
            || (*p == "b" && after.starts_with('\''))
    });
    let start = prefix.map_or(0, str::len);
    let body = &rest[start..];
    if prefix.is_some_and(|p| p.ends_with('r')) {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let close = format!("\"{}", &body[..hashes]);
        let inner = &body[hashes + 1..];
        return Some(start + hashes + 1 + inner.find(&close).map_or(inner.len(), |at| at + close.len()));
    }
    match body.chars().next()? {
        '"' => Some(start + closed(body, '"')),
        '\'' if is_char(body) => Some(start + closed(body, '\'')),
        _ => None,
    }
}

/// Tells a character from a lifetime: `'x'` and `'\n'` from `'x`.
fn is_char(body: &str) -> bool {
    let mut chars = body.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

fn closed(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    body.len()
}

/// Source without the items that only tests compile, and the names of the modules in other files among those.
pub(crate) fn without_tests<'a>(tokens: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].starts_with(&["#", "!", "[", "cfg", "(", "test", ")"]) {
            return (Vec::new(), Vec::new());
        }
        if !tokens[at..].starts_with(&["#", "[", "cfg", "(", "test", ")"]) {
            kept.push(tokens[at]);
            at += 1;
            continue;
        }
        while tokens.get(at) == Some(&"#") {
            at += 1;
            at += group(&tokens[at..]);
        }
        let item = &tokens[at..];
        let name = item.iter().position(|t| *t == "mod").and_then(|m| item.get(m + 1));
        let end = item.iter().position(|t| *t == ";" || *t == "{").unwrap_or(item.len());
        if item.get(end) == Some(&";") {
            modules.extend(name.filter(|_| end <= 4));
            at += end + 1;
        } else {
            at += end + group(&item[end..]);
        }
    }
    (kept, modules)
}

/// How many tokens the bracketed group at the start of `tokens` takes.
fn group(tokens: &[&str]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

#[test]
fn comments_and_literals_hide_nothing_behind_them() {
    let source = r##"a /* x /* y */ z */ b // c
        "d \" e" f r#"g " h"# 'i' j::<'k> '\'' l b"m" b'n' br"o" p"##;
    assert_eq!(
        tokens(source),
        [
            "a", "b", "\"\"", "f", "\"\"", "\"\"", "j", ":", ":", "<", "'", "k", ">", "\"\"", "l", "\"\"", "\"\"",
            "\"\"", "p"
        ]
    );
}

#[test]
fn only_items_for_tests_are_left_out() {
    let source = "a; #[cfg(test)] #[path = \"q\"] mod q { b { c } } d #[cfg(test)] mod far; #[cfg(unix)] e";
    let tokens = tokens(source);
    let (kept, modules) = without_tests(&tokens);
    assert_eq!(kept.concat(), "a;d#[cfg(unix)]e");
    assert_eq!(modules, ["far"]);
}
