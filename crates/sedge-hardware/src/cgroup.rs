//! The limits that control groups set: a container's or a service's share of the machine.

use std::path::Path;

use crate::root::Root;

/// How deep a control group may lie. Each level costs a few small reads; real trees have fewer than ten.
const MAX_DEPTH: usize = 32;

/// What this process may take, where a control group says less than everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    /// Bytes of memory.
    pub(crate) memory: Option<u64>,
    /// Whole processors, rounded up.
    pub(crate) cores: Option<u64>,
}

/// Reads the limits of this process's group and of every group above it; the least counts. Both versions of control
/// groups are looked at: a machine may have one controller under each.
pub(crate) fn limits(root: Root<'_>) -> Limits {
    let groups = root.read("proc/self/cgroup").unwrap_or_default();
    let mut limits = Limits::default();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let has = |name| controllers.split(',').any(|controller| controller == name);
        for group in ancestors(path) {
            if controllers.is_empty() {
                lower(&mut limits.memory, bytes(root, &format!("sys/fs/cgroup/{group}/memory.max")));
                lower(&mut limits.cores, quota_v2(root, &format!("sys/fs/cgroup/{group}/cpu.max")));
            }
            if has("memory") {
                lower(&mut limits.memory, bytes(root, &format!("sys/fs/cgroup/memory/{group}/memory.limit_in_bytes")));
            }
            if has("cpu") {
                for home in ["cpu", "cpu,cpuacct"] {
                    lower(&mut limits.cores, quota_v1(root, &format!("sys/fs/cgroup/{home}/{group}")));
                }
            }
        }
    }
    limits
}

/// The group and all above it, down to the root's empty path.
fn ancestors(path: &str) -> impl Iterator<Item = String> + '_ {
    let path = Path::new(path.trim_start_matches('/'));
    path.ancestors().take(MAX_DEPTH).map(|group| group.to_string_lossy().into_owned())
}

fn lower(limit: &mut Option<u64>, found: Option<u64>) {
    if let Some(found) = found.filter(|n| *n > 0) {
        *limit = Some(limit.map_or(found, |known| known.min(found)));
    }
}

/// A number of bytes; `max` is none, and so is version 1's way to say it, a number near 2⁶³.
fn bytes(root: Root<'_>, path: &str) -> Option<u64> {
    root.read(path)?.trim().parse().ok().filter(|n| *n < 1 << 60)
}

/// `QUOTA PERIOD` in microseconds, or `max PERIOD`.
fn quota_v2(root: Root<'_>, path: &str) -> Option<u64> {
    let text = root.read(path)?;
    let mut words = text.split_whitespace();
    cores(words.next()?.parse().ok()?, words.next()?.parse().ok()?)
}

/// Quota and period in files of their own; a quota of −1 is none.
fn quota_v1(root: Root<'_>, group: &str) -> Option<u64> {
    let number = |file| root.read(&format!("{group}/{file}"))?.trim().parse().ok();
    cores(number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
}

fn cores(quota: u64, period: u64) -> Option<u64> {
    if period == 0 { None } else { Some(quota.div_ceil(period)) }
}
