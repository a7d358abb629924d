//! The facts that change by the second.

use std::path::Path;

use sedge_statement::{Charge, Gauges, Load, Temperature};

use crate::memory::available_memory;
use crate::root::Root;

/// What a sensor may sensibly say, tenths of a degree: others are broken, or not there.
const PLAUSIBLE: std::ops::RangeInclusive<i64> = -600..=2000;

/// What the machine whose files lie below `root` says of itself right now, all but its queue, which is no fact of the machine. A few
/// small files are read.
pub fn gauges(root: &Path) -> Gauges {
    let memory_free = available_memory(root);
    let root = Root(root);
    Gauges { memory_free, load: load(root), temperature: temperature(root), battery: battery(root), queue: None }
}

/// The first figure of `/proc/loadavg`, which has two decimals.
fn load(root: Root<'_>) -> Option<Load> {
    let text = root.read("proc/loadavg")?;
    let (whole, part) = text.split_whitespace().next()?.split_once('.')?;
    let is_two_digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let (whole, part): (u32, u32) = (whole.parse().ok()?, part.parse().ok().filter(|_| is_two_digits)?);
    whole.checked_mul(100)?.checked_add(part).map(Load)
}

/// The hottest of the thermal zones; each tells thousandths of a degree.
fn temperature(root: Root<'_>) -> Option<Temperature> {
    let zones = root.list("sys/class/thermal").into_iter().filter(|name| name.starts_with("thermal_zone"));
    let read = |zone: String| {
        let thousandths: i64 = root.read(&format!("sys/class/thermal/{zone}/temp"))?.trim().parse().ok()?;
        let tenths = Some(thousandths / 100).filter(|tenths| PLAUSIBLE.contains(tenths))?;
        i16::try_from(tenths).ok().map(Temperature)
    };
    zones.filter_map(read).max()
}

/// The emptiest battery of the machine itself; those of its mice and keyboards call themselves a device's.
fn battery(root: Root<'_>) -> Option<Charge> {
    let of = |supply: &str, file: &str| {
        let text = root.read(&format!("sys/class/power_supply/{supply}/{file}"))?;
        Some(text.trim().to_owned())
    };
    let read = |supply: String| {
        let is_own = of(&supply, "type")? == "Battery" && of(&supply, "scope").as_deref() != Some("Device");
        let percent: u8 = of(&supply, "capacity").filter(|_| is_own)?.parse().ok()?;
        Charge::try_from(percent).ok()
    };
    root.list("sys/class/power_supply").into_iter().filter_map(read).min()
}
