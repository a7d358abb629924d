//! Purity in the sources: what a crate could do with the standard library alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::tokens::{tokens, without_tests};

/// Paths into the standard library that a pure crate may not name, by what they reach.
const IMPURE_PATHS: [(&str, &str); 9] = [
    ("std::env", "the environment"),
    ("std::fs", "files"),
    ("std::io::stdin", "a stream of the process"),
    ("std::net", "the network"),
    ("std::os", "the operating system"),
    ("std::process", "processes"),
    ("std::thread", "threads"),
    ("std::time::Instant", "a clock"),
    ("std::time::SystemTime", "a clock"),
];

/// Parts of [`IMPURE_PATHS`] that are only data.
const PURE_PATHS: [&str; 7] = [
    "std::net::AddrParseError",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::net::SocketAddrV4",
    "std::net::SocketAddrV6",
];

/// Runs of tokens that a pure crate may not hold, by what they do.
const IMPURE_RUNS: [(&str, &str); 14] = [
    ("async fn", "is async"),
    ("async move", "is async"),
    ("async {", "is async"),
    (". await", "is async"),
    ("Instant : : now", "reads a clock"),
    ("SystemTime : : now", "reads a clock"),
    ("Utc : : now", "reads a clock"),
    ("Local : : now", "reads a clock"),
    ("Uuid : : new_v4", "draws random bytes"),
    ("Uuid : : now_v7", "reads a clock"),
    ("OsRng", "draws random bytes"),
    ("thread_rng", "draws random bytes"),
    ("rand : : rng", "draws random bytes"),
    ("ActorId : : random", "draws random bytes"),
];

/// One source file: its path and its text.
pub(crate) type SourceFile = (PathBuf, String);

/// Every source file under `directory`.
pub(crate) fn files(directory: &Path) -> Vec<SourceFile> {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
        .into_iter()
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                vec![(path.clone(), fs::read_to_string(&path).unwrap())]
            } else {
                Vec::new()
            }
        })
        .collect()
}

/// Everything impure in `files`, which are all the sources of one crate, outside its tests.
pub(crate) fn violations(files: &[SourceFile]) -> Vec<String> {
    let parsed: Vec<_> = files.iter().map(|(path, text)| (path, tokens(text))).collect();
    let split: Vec<_> = parsed.iter().map(|(path, tokens)| (*path, without_tests(tokens))).collect();
    let test_modules: Vec<_> = split.iter().flat_map(|(path, (_, m))| m.iter().map(|m| module(path, m))).collect();
    split
        .iter()
        .filter(|(path, _)| !test_modules.iter().any(|m| path.with_extension("").starts_with(m)))
        .flat_map(|(path, (tokens, _))| in_tokens(tokens).into_iter().map(|v| format!("{}: {v}", path.display())))
        .collect()
}

/// Where the module `name` declared in the file at `path` lives, without the extension.
fn module(path: &Path, name: &str) -> PathBuf {
    let stem = path.file_stem().unwrap();
    let is_root = ["lib", "main", "mod"].iter().any(|root| stem == *root);
    if is_root { path.with_file_name(name) } else { path.with_extension("").join(name) }
}

fn in_tokens(tokens: &[&str]) -> Vec<String> {
    let paths = paths(tokens);
    let by_path = IMPURE_PATHS.iter().filter_map(|(impure, what)| {
        let path = paths.iter().find(|p| within(p, impure) && !PURE_PATHS.iter().any(|pure| within(p, pure)))?;
        Some(format!("{path} reaches {what}"))
    });
    let by_run = IMPURE_RUNS.iter().filter_map(|(run, what)| {
        let run: Vec<_> = run.split(' ').collect();
        tokens.windows(run.len()).any(|w| w == run).then(|| format!("{} {what}", run.concat()))
    });
    by_path.chain(by_run).collect()
}

fn within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every path that starts at `std`, with the groups of `use std::{…}` multiplied out.
fn paths(tokens: &[&str]) -> Vec<String> {
    let mut paths = Vec::new();
    for at in (0..tokens.len()).filter(|at| tokens[*at] == "std") {
        expand(String::new(), &tokens[at..], &mut paths);
    }
    paths
}

/// Follows one path from the start of `tokens`, and answers how many of them it took.
fn expand(mut path: String, tokens: &[&str], paths: &mut Vec<String>) -> usize {
    let mut at = 0;
    loop {
        match tokens.get(at..).unwrap_or_default() {
            ["{", ..] => {
                at += 1;
                while !matches!(tokens.get(at), None | Some(&"}")) {
                    at += if tokens[at] == "," { 1 } else { expand(path.clone(), &tokens[at..], paths).max(1) };
                }
                return at + 1;
            }
            ["self", ..] => at += 1,
            [word, ..] if word.starts_with(|c: char| c.is_alphabetic() || c == '_') || *word == "*" => {
                path = if path.is_empty() { (*word).to_owned() } else { format!("{path}::{word}") };
                at += 1;
            }
            _ => break,
        }
        match tokens.get(at..).unwrap_or_default() {
            [":", ":", ..] => at += 2,
            ["as", _, ..] => {
                at += 2;
                break;
            }
            _ => break,
        }
    }
    paths.push(path);
    at
}

fn made_up(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<_> = files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
    violations(&files)
}

#[test]
fn every_way_to_the_world_is_reported() {
    for (source, found) in [
        ("pub async fn f() {}", "asyncfn is async"),
        ("fn f() { g().await }", ".await is async"),
        ("fn f() { std::fs::read(p); }", "std::fs::read reaches files"),
        ("use std::{fmt, fs as f, collections::{BTreeMap}};", "std::fs reaches files"),
        ("use std::{fmt, time::{Duration, Instant}};", "std::time::Instant reaches a clock"),
        ("use std::net::{SocketAddr, TcpStream};", "std::net::TcpStream reaches the network"),
        ("use std::net::*;", "std::net::* reaches the network"),
        ("use std::env::{self};", "std::env reaches the environment"),
        ("fn f() { chrono::Utc :: now() }", "Utc::now reads a clock"),
        ("fn f() { Uuid::new_v4() }", "Uuid::new_v4 draws random bytes"),
    ] {
        assert_eq!(made_up(&[("src/lib.rs", source)]), [format!("src/lib.rs: {found}")], "{source}");
    }
}

#[test]
fn data_types_comments_words_and_tests_are_not_reported() {
    for source in [
        "use std::{net::{IpAddr, SocketAddr}, time::Duration};",
        "//! Never calls std::fs::read or SystemTime::now.\nconst WHY: &str = \"std::env::var\";",
        "fn asynchronous() { environment::fs() }",
        "#[cfg(test)]\nmod tests { fn f() { std::fs::read(p); } }",
        "#[test]\nfn pure() {}",
    ] {
        assert_eq!(made_up(&[("src/lib.rs", source)]), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn a_file_is_excused_only_where_it_is_declared_as_a_test_module() {
    let far = "fn f() { std::fs::read(p); }";
    let own = [("src/a.rs", "#[cfg(test)] mod far;"), ("src/a/far.rs", far)];
    assert_eq!(made_up(&own), Vec::<String>::new());
    let other = [("src/a.rs", "#[cfg(test)] mod far;"), ("src/far.rs", far)];
    assert_eq!(made_up(&other), ["src/far.rs: std::fs::read reaches files"]);
}
