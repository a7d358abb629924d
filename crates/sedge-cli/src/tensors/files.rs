//! Tensors from a file or a directory.

use std::fs;
use std::path::{Path, PathBuf};

use sedge_statement::Tensor;
use serde_json::Value;

use super::npy;
use crate::failure::Failure;
use crate::onnx::read_tensor;

/// The largest file that is read whole: a tensor as JSON takes several times its bytes.
const MAX_FILE: u64 = 1 << 30;

/// The tensors of a path: JSON, `.npy` or a `test_data_set` directory.
pub(crate) fn read_inputs(path: &Path, name: Option<&str>) -> Result<Vec<Tensor>, Failure> {
    if path.is_dir() {
        return case_tensors(path, "input");
    }
    let bytes = read_file(path)?;
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("input");
    if path.extension().is_some_and(|e| e == "npy") {
        let tensor = npy::read(&bytes, name.unwrap_or(stem)).map_err(|e| wrong(path, e))?;
        return Ok(vec![tensor]);
    }
    if path.extension().is_some_and(|e| e == "pb") {
        let tensor = read_tensor(&bytes, name.unwrap_or(stem)).map_err(|e| wrong(path, e))?;
        return Ok(vec![tensor]);
    }
    json_tensors(path, &bytes, "inputs")
}

/// The tensors of a JSON file: `{"inputs":[…]}` (or whatever `key` says), a list, or one tensor.
pub(crate) fn json_tensors(path: &Path, bytes: &[u8], key: &str) -> Result<Vec<Tensor>, Failure> {
    let json: Value = serde_json::from_slice(bytes).map_err(|e| wrong(path, e))?;
    let list = match &json {
        Value::Array(list) => list.as_slice(),
        Value::Object(fields) => match fields.get(key) {
            Some(Value::Array(list)) => list.as_slice(),
            _ => std::slice::from_ref(&json),
        },
        _ => return Err(wrong(path, format!("it is neither a list of tensors nor {{\"{key}\":[…]}}"))),
    };
    list.iter().map(|item| Tensor::from_json(item).map_err(|e| wrong(path, e))).collect()
}

/// The `input_N.pb` (or `output_N.pb`) files of a directory, in the order of their numbers.
pub(crate) fn case_tensors(dir: &Path, kind: &str) -> Result<Vec<Tensor>, Failure> {
    let entries = fs::read_dir(dir).map_err(|e| unreadable(dir, &e))?;
    let mut files: Vec<(u32, PathBuf)> = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| unreadable(dir, &e))?.path();
        let stem = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".pb"));
        let number = stem.and_then(|s| s.strip_prefix(kind)).and_then(|s| s.strip_prefix('_'));
        if let Some(number) = number.and_then(|n| n.parse().ok()) {
            files.push((number, path));
        }
    }
    if files.is_empty() {
        return Err(Failure::usage(
            format!("{}: it holds no {kind}_0.pb", dir.display()),
            "Give a directory as ONNX writes them: test_data_set_0 with input_0.pb and output_0.pb.",
        ));
    }
    files.sort();
    let tensor = |(number, path): &(u32, PathBuf)| {
        read_tensor(&read_file(path)?, &format!("{kind}_{number}")).map_err(|e| wrong(path, e))
    };
    files.iter().map(tensor).collect()
}

/// The bytes of a file of bounded size.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let length = fs::metadata(path).map_err(|e| unreadable(path, &e))?.len();
    if length > MAX_FILE {
        return Err(wrong(path, "it is larger than 1 GiB"));
    }
    fs::read(path).map_err(|e| unreadable(path, &e))
}

/// The file can be read, and is not what it should be.
pub(crate) fn wrong(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::usage(
        format!("{}: {why}", path.display()),
        "Give JSON tensors ({\"inputs\":[{\"name\",\"shape\",\"datatype\",\"data\"}…]}), an .npy file or an ONNX test_data_set directory.",
    )
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", path.display()), "Check that the path exists and that you may read it.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits/inputs/three.json");

    #[test]
    fn the_sample_images_are_inputs() {
        let tensors = read_inputs(Path::new(THREE), None).unwrap();
        assert_eq!(tensors.len(), 1);
        assert_eq!((tensors[0].name.as_str(), tensors[0].shape.as_slice()), ("image", [1, 64].as_slice()));
    }

    #[test]
    fn a_list_an_object_and_one_tensor_are_the_same_inputs() {
        let tensor = r#"{"name":"x","shape":[1],"datatype":"FP32","data":[1]}"#;
        let forms = [tensor.to_owned(), format!("[{tensor}]"), format!("{{\"inputs\":[{tensor}]}}")];
        for form in forms {
            let read = json_tensors(Path::new("x.json"), form.as_bytes(), "inputs").unwrap();
            assert_eq!(read, [Tensor::from_f32("x", vec![1], &[1.0]).unwrap()], "{form}");
        }
    }

    #[test]
    fn a_directory_without_inputs_and_a_file_that_is_not_there_say_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let empty = read_inputs(dir.path(), None).unwrap_err();
        assert_eq!(empty.exit, crate::failure::Exit::Usage);
        assert!(empty.what.contains("input_0.pb") && empty.remedy.contains("test_data_set_0"));
        let missing = read_inputs(&dir.path().join("no.json"), None).unwrap_err();
        assert_eq!(missing.exit, crate::failure::Exit::Failed);
        let number = json_tensors(Path::new("x.json"), b"3", "inputs").unwrap_err();
        assert!(number.what.contains("neither"), "{}", number.what);
    }

    #[test]
    fn a_case_is_read_in_the_order_of_its_numbers() {
        use crate::onnx::read_tensor;
        let dir = tempfile::tempdir().unwrap();
        // dims [], type UINT8, raw one byte.
        let file = |n: u8| vec![0x10, 0x02, 0x4a, 0x01, n];
        for n in [10u8, 2, 0] {
            fs::write(dir.path().join(format!("input_{n}.pb")), file(n)).unwrap();
        }
        fs::write(dir.path().join("output_0.pb"), file(9)).unwrap();
        let read = read_inputs(dir.path(), None).unwrap();
        assert_eq!(read.iter().map(|t| t.data[0]).collect::<Vec<_>>(), [0, 2, 10]);
        assert_eq!(read[1], read_tensor(&file(2), "input_2").unwrap());
        assert_eq!(case_tensors(dir.path(), "output").unwrap().len(), 1);
    }
}
