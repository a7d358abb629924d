//! The processor: its name, and how much of it this process may use.

use crate::cgroup;
use crate::root::{Root, field, tidy};

/// The most processors believed of a mask: Linux is built for no more than a few thousand.
const MAX_CORES: u64 = 8192;

/// Cores that ARM's implementers number: (implementer, part, name).
const ARM_PARTS: [(u32, u32, &str); 17] = [
    (0x41, 0xd03, "Cortex-A53"),
    (0x41, 0xd04, "Cortex-A35"),
    (0x41, 0xd05, "Cortex-A55"),
    (0x41, 0xd07, "Cortex-A57"),
    (0x41, 0xd08, "Cortex-A72"),
    (0x41, 0xd09, "Cortex-A73"),
    (0x41, 0xd0a, "Cortex-A75"),
    (0x41, 0xd0b, "Cortex-A76"),
    (0x41, 0xd0c, "Neoverse N1"),
    (0x41, 0xd40, "Neoverse V1"),
    (0x41, 0xd41, "Cortex-A78"),
    (0x41, 0xd42, "Cortex-A78AE"),
    (0x41, 0xd49, "Neoverse N2"),
    (0x41, 0xd4f, "Neoverse V2"),
    (0x41, 0xd83, "Neoverse V3AE"),
    (0x4e, 0x003, "NVIDIA Denver 2"),
    (0x4e, 0x004, "NVIDIA Carmel"),
];

/// The processor's name. x86 and few others write it out; ARM gives numbers, known or not.
pub(crate) fn name(root: Root<'_>) -> String {
    let text = root.read("proc/cpuinfo").unwrap_or_default();
    let named = field(&text, "model name").map(tidy).filter(|name| !name.is_empty());
    named.or_else(|| arm_name(&text)).unwrap_or_else(|| "unknown".to_owned())
}

/// Every kind of core there is, in the order of their first appearance: a chip may have large and small ones.
fn arm_name(text: &str) -> Option<String> {
    let number = |value: &str| u32::from_str_radix(value.strip_prefix("0x")?, 16).ok();
    let mut names: Vec<String> = Vec::new();
    for block in text.split("\n\n").take(usize::try_from(MAX_CORES).unwrap_or(usize::MAX)) {
        let (Some(implementer), Some(part)) =
            (field(block, "CPU implementer").and_then(number), field(block, "CPU part").and_then(number))
        else {
            continue;
        };
        let known = ARM_PARTS.iter().find(|(i, p, _)| (*i, *p) == (implementer, part));
        let name = known.map_or_else(|| format!("ARM {implementer:#x}/{part:#x}"), |(.., name)| (*name).to_owned());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { None } else { Some(tidy(&names.join(" + "))) }
}

/// Processors that this process may use: its affinity, and the control group's quota rounded up where that is less.
pub(crate) fn cores(root: Root<'_>) -> u32 {
    let allowed = allowed(root).or_else(|| listed(root)).unwrap_or(1);
    let quota = cgroup::limits(root).cores.unwrap_or(allowed);
    u32::try_from(allowed.min(quota).clamp(1, MAX_CORES)).expect("clamped well below")
}

/// The affinity of this process: `Cpus_allowed_list: 0-3,8`.
fn allowed(root: Root<'_>) -> Option<u64> {
    let status = root.read("proc/self/status")?;
    let mut count = 0u64;
    for range in field(&status, "Cpus_allowed_list")?.split(',') {
        let (first, last) = range.trim().split_once('-').unwrap_or((range.trim(), range.trim()));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        count = count.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(count)
}

fn listed(root: Root<'_>) -> Option<u64> {
    let text = root.read("proc/cpuinfo")?;
    let count =
        text.lines().filter(|line| line.split_once(':').is_some_and(|(key, _)| key.trim() == "processor")).count();
    (count > 0).then_some(count as u64)
}
