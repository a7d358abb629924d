//! The machine: its load by others, and this process's memory.

use std::time::{Duration, Instant};

/// How much of the processors others may use before a measurement begins.
const QUIET: f64 = 0.15;
/// How long a quiet moment is waited for, seconds, unless `SEDGE_BENCH_PATIENCE` says otherwise.
const PATIENCE: u64 = 30;
/// How long one look at the processors takes.
const LOOK: Duration = Duration::from_millis(300);

/// Waits for a quiet moment, for a while, and says how quiet it got.
pub(crate) async fn quiet() {
    let given = std::env::var("SEDGE_BENCH_PATIENCE").ok().and_then(|value| value.parse().ok());
    let patience = Duration::from_secs(given.unwrap_or(PATIENCE));
    let began = Instant::now();
    let busy = loop {
        let before = jiffies();
        tokio::time::sleep(LOOK).await;
        let after = jiffies();
        let total = (after.0 - before.0).max(1.0);
        let busy = 1.0 - (after.1 - before.1) / total;
        if busy <= QUIET || began.elapsed() > patience {
            break busy;
        }
    };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    println!("  processors {:.0} % busy beforehand, load average {load}", busy * 100.0);
}

/// All and idle time of the processors, in the kernel's ticks.
fn jiffies() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|tick| tick.parse().ok()).collect();
    // User, nice, system, idle, waiting for the disk; guests are counted in user.
    let idle = ticks.iter().skip(3).take(2).sum();
    (ticks.iter().take(8).sum(), idle)
}

/// Resident memory of this process, MB.
pub(crate) fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0);
    kib * 1024.0 / 1e6
}

/// The middle one.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The greatest.
pub(crate) fn worst(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(0.0, f64::max)
}
