//! Probe files: any bytes as JSON; what is accepted is written again as it was read, and can be judged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sedge_statement::{Asked, Mismatch, Probe, TensorTrial};

fuzz_target!(|bytes: &[u8]| {
    let Ok(probes) = Probe::read_all(bytes) else { return };
    let written = Probe::write_all(&probes);
    for probe in &probes {
        match &probe.asked {
            Asked::Tensors(trial) => {
                let verdict = trial.judge(&trial.outputs);
                let is_sound = matches!(verdict, Ok(()) | Err(Mismatch::NotFinite { .. }));
                assert!(is_sound || has_twin(trial), "a probe refuses its own outputs: {verdict:?}");
            }
            Asked::Text(trial) => {
                let verdict = trial.judge(&format!("{}x", trial.text_prefix));
                assert!(verdict.is_ok(), "a probe refuses its own text: {verdict:?}");
            }
        }
    }
    if let Ok(again) = Probe::read_all(&written) {
        assert!(Probe::write_all(&again) == written, "a written file is not read as it was written");
    }
});

/// Two outputs of one name: the first answers for both.
fn has_twin(probe: &TensorTrial) -> bool {
    let mut names: Vec<_> = probe.outputs.iter().map(|o| &o.name).collect();
    names.sort();
    names.windows(2).any(|pair| pair[0] == pair[1])
}
