//! Purity in what the manifests resolve to: `cargo tree --prefix depth` of one crate, with that crate's own features.

/// Crates that read or write the world, by what they bring.
const IMPURE: [(&str, &[&str]); 5] = [
    (
        "an async runtime",
        &[
            "async-executor",
            "async-global-executor",
            "async-io",
            "async-std",
            "futures-executor",
            "n0-future",
            "smol",
            "tokio",
            "tokio-util",
        ],
    ),
    (
        "a network",
        &[
            "hickory-resolver",
            "hyper",
            "iroh",
            "iroh-blobs",
            "iroh-relay",
            "mio",
            "native-tls",
            "polling",
            "quinn",
            "quinn-proto",
            "reqwest",
            "rustls",
            "socket2",
            "ureq",
        ],
    ),
    ("a clock", &["coarsetime", "iana-time-zone", "instant", "quanta", "time", "web-time"]),
    ("files or processes", &["memmap2", "nix", "redb", "rustix", "tempfile", "walkdir"]),
    ("a random source", &["fastrand", "getrandom", "rand"]),
];

/// What a dependency brings that we cannot leave out: who brings it, what, and why that does no harm.
const BROUGHT: [(&str, &str, &str); 2] = [
    ("automerge", "getrandom", "seeds random actor ids; every actor of ours is derived from author and epoch"),
    ("automerge", "rand", "draws random actor ids; every actor of ours is derived from author and epoch"),
];

/// Features that turn a crate a pure one may use into one that it may not.
const IMPURE_FEATURES: [(&str, &str, &str); 4] = [
    ("chrono", "clock", "a clock"),
    ("chrono", "now", "a clock"),
    ("uuid", "rng", "a random source"),
    ("ed25519-dalek", "getrandom", "a random source"),
];

/// Everything impure in `tree`, whose lines read `DEPTH NAME vVERSION … [FEATURES]`.
pub(crate) fn violations(tree: &str) -> Vec<String> {
    let mut path: Vec<&str> = Vec::new();
    let mut violations = Vec::new();
    for line in tree.lines() {
        let (depth, name, features) = parse(line);
        path.truncate(depth);
        path.push(name);
        let brought = BROUGHT.iter().any(|(by, what, _)| *what == name && path.contains(by));
        for (what, _) in IMPURE.iter().filter(|(_, crates)| crates.contains(&name) && !brought) {
            violations.push(format!("{} brings {what}", path.join(" → ")));
        }
        for (_, feature, what) in IMPURE_FEATURES.iter().filter(|(of, f, _)| *of == name && features.contains(f)) {
            violations.push(format!("{} with feature {feature} brings {what}", path.join(" → ")));
        }
    }
    violations.sort();
    violations.dedup();
    violations
}

fn parse(line: &str) -> (usize, &str, Vec<&str>) {
    let (depth, rest) = line.split_once(' ').unwrap();
    let name = rest.split(' ').next().unwrap();
    let features = rest.rsplit_once('[').unwrap().1.trim_end_matches(']');
    (depth.parse().unwrap(), name, features.split(',').collect())
}

#[test]
fn a_runtime_deep_in_the_tree_is_reported_with_the_way_to_it() {
    let tree = "0 beam v1.0.0 (/beam) []\n1 nail v1.0.0 []\n2 tokio v1.0.0 [rt]\n1 serde v1.0.0 [std]";
    assert_eq!(violations(tree), ["beam → nail → tokio brings an async runtime"]);
}

#[test]
fn a_random_source_is_excused_only_below_the_crate_that_brings_it() {
    let brought = "0 beam v1.0.0 (/beam) []\n1 automerge v0.12.0 []\n2 rand v0.10.0 []\n3 getrandom v0.4.0 []";
    assert_eq!(violations(brought), Vec::<String>::new());
    let own = format!("{brought}\n1 getrandom v0.4.0 []");
    assert_eq!(violations(&own), ["beam → getrandom brings a random source"]);
}

#[test]
fn a_clock_behind_a_feature_is_reported() {
    assert_eq!(violations("0 beam v1.0.0 []\n1 chrono v0.4.0 [serde,std]"), Vec::<String>::new());
    assert_eq!(
        violations("0 beam v1.0.0 []\n1 chrono v0.4.0 [now,std]"),
        ["beam → chrono with feature now brings a clock"]
    );
}
