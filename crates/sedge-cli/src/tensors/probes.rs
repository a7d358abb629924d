//! Probes from whatever was given for `--probe`.

use std::path::Path;

use sedge_statement::Probe;

use super::files::{case_tensors, json_tensors, read_file, read_inputs, wrong};
use crate::failure::Failure;

/// The probes of one `--probe`: a probe file, `INPUTS=OUTPUTS`, or a `test_data_set` directory.
pub(crate) fn read_probes(spec: &Path) -> Result<Vec<Probe>, Failure> {
    if spec.is_dir() {
        let (inputs, outputs) = (case_tensors(spec, "input")?, case_tensors(spec, "output")?);
        return Ok(vec![Probe::of_tensors(name_of(spec), inputs, outputs)]);
    }
    let text = spec.to_string_lossy();
    // A file whose own name has an equals sign is that file.
    if !spec.exists()
        && let Some((inputs, outputs)) = text.split_once('=')
    {
        let (inputs, outputs) = (Path::new(inputs), Path::new(outputs));
        let expected = json_tensors(outputs, &read_file(outputs)?, "outputs")?;
        return Ok(vec![Probe::of_tensors(name_of(inputs), read_inputs(inputs, None)?, expected)]);
    }
    Probe::read_all(&read_file(spec)?).map_err(|e| wrong(spec, e))
}

fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(|| "probe".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use sedge_statement::Asked;

    use super::*;

    const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits");

    #[test]
    fn a_probe_file_and_a_pair_of_files_ask_the_same() {
        let file = format!("{DIGITS}/probes/digits-1.0.0.probe-a.json");
        let probe = read_probes(Path::new(&file)).unwrap().remove(0);
        // The same file serves as outputs: it has a field of that name.
        let pair = format!("{DIGITS}/inputs/three.json={file}");
        let made = read_probes(Path::new(&pair)).unwrap().remove(0);
        assert_eq!(made.asked, probe.asked);
        assert_eq!(made.name, "three");
    }

    #[test]
    fn a_file_of_inputs_alone_asks_only_for_finite_outputs() {
        let inputs = format!("{DIGITS}/inputs/three.json");
        let probe = read_probes(Path::new(&inputs)).unwrap().remove(0);
        assert!(matches!(probe.asked, Asked::Tensors(trial) if trial.outputs.is_empty()));
    }

    #[test]
    fn what_is_no_probe_is_named() {
        let error = read_probes(Path::new(&format!("{DIGITS}/README.md"))).unwrap_err();
        assert!(error.what.contains("README.md"), "{}", error.what);
    }
}
