//! One gibibyte from one peer, over loopback, until it is in its place with its SHA-256 proven.
//!
//! Sedge ends with a file that survives a loss of power; `curl` and iroh-blobs end with one that is still being written. Hence a second
//! comparison with `curl`, where the file is synced too. Each begins with nothing left to be written.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::host::{median, quiet};
use crate::nginx::Nginx;
use crate::provider::{IrohAsker, SedgeAsker};
use crate::report::{Line, Report};

const ROUNDS: usize = 5;
const CHUNK: usize = 1 << 20;
const CHUNKS: usize = 1 << 10;
/// The ratio to `curl` and `sha256sum` that is promised.
const RATIO: f64 = 1.0;

/// Measures all three in turn, five times.
pub(crate) async fn measure(report: &mut Report) {
    println!("1 GiB from one peer");
    // Beside the build, since a temporary directory is memory on some machines.
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the build's directory can be written");
    let dir = dir.path();
    let file = dir.join("weights.bin");
    make(&file);
    let nginx = match Nginx::start(dir, &file).await {
        Ok(nginx) => Some(nginx),
        Err(why) if required() => panic!("{why}"),
        Err(why) => {
            println!("  skipped the comparison with curl: {why}");
            None
        }
    };
    let (sedge, iroh) = (SedgeAsker::new(dir, &file).await, IrohAsker::new(dir, &file).await);
    let home = dir.join("asker");
    let (mut ours, mut theirs, mut curls, mut synced) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet().await;
        if let Some(nginx) = &nginx {
            let target = dir.join("downloaded");
            rustix::fs::sync();
            let [came, proven, written] = nginx.fetch(&target).await.map(seconds);
            println!("  curl {came:.2} s, with sha256sum {proven:.2} s, with sync {written:.2} s");
            curls.push(proven);
            synced.push(written);
            std::fs::remove_file(target).expect("it was downloaded");
        }
        // What the one before left to be written is not the next one's burden.
        rustix::fs::sync();
        ours.push(seconds(sedge.fetch(&home).await));
        std::fs::remove_dir_all(&home).expect("it was fetched");
        rustix::fs::sync();
        theirs.push(seconds(iroh.fetch(&home).await));
        std::fs::remove_dir_all(&home).expect("it was fetched");
        println!("  sedge {:.2?} s, iroh-blobs {:.2?} s", ours.last(), theirs.last());
    }
    let ours = median(&ours);
    if nginx.is_some() {
        let curl = median(&curls);
        report.add(Line {
            what: "1 GiB from one peer, proven, against curl",
            measured: ours,
            unit: "s",
            promise: Some(0.0..=RATIO * curl),
            anchor: ("curl over TLS, sha256sum", curl),
        });
        report.add(Line {
            what: "1 GiB from one peer, proven, against curl and sync",
            measured: ours,
            unit: "s",
            promise: None,
            anchor: ("curl over TLS, sha256sum, sync", median(&synced)),
        });
    }
    report.add(Line {
        what: "1 GiB from one peer, proven, against iroh-blobs",
        measured: ours,
        unit: "s",
        promise: None,
        anchor: ("iroh-blobs, export by copy", median(&theirs)),
    });
}

/// Whether a missing program is a failure.
fn required() -> bool {
    std::env::var("SEDGE_CI").is_ok_and(|value| value == "1")
}

/// A file that nothing compresses.
fn make(path: &Path) {
    let mut file = File::create(path).expect("there is room");
    let mut bytes = blake3::Hasher::new_derive_key("sedge bench weights 1").finalize_xof();
    let mut chunk = vec![0; CHUNK];
    for _ in 0..CHUNKS {
        bytes.fill(&mut chunk);
        file.write_all(&chunk).expect("there is room");
    }
    file.sync_all().expect("there is room");
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
