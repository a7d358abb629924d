//! Probe files: any bytes as JSON; what is accepted is written again as it was read, and can be judged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sedge_statement::{Mismatch, Probe};

fuzz_target!(|bytes: &[u8]| {
    let Ok(probes) = Probe::read_all(bytes) else { return };
    let written = Probe::write_all(&probes);
    for probe in &probes {
        let verdict = probe.judge(&probe.outputs);
        let is_sound = matches!(verdict, Ok(()) | Err(Mismatch::NotFinite { .. }));
        assert!(is_sound || has_twin(probe), "a probe refuses its own outputs: {verdict:?}");
    }
    if let Ok(again) = Probe::read_all(&written) {
        assert!(Probe::write_all(&again) == written, "a written file is not read as it was written");
    }
});

/// Two outputs of one name: the first answers for both.
fn has_twin(probe: &Probe) -> bool {
    let mut names: Vec<_> = probe.outputs.iter().map(|o| &o.name).collect();
    names.sort();
    names.windows(2).any(|pair| pair[0] == pair[1])
}
