//! What kind of file some bytes seem to be, from their first few hundred.

use std::fmt;

use serde::Serialize;

/// How much of a file is looked at to tell text from binary: a few lines decide.
const TEXT_WINDOW: usize = 512;

/// A flatbuffer's root sits near its beginning; a larger first offset means that the identifier after it is chance.
const FLATBUFFER_ROOT_LIMIT: u32 = 1 << 16;

/// What a file looks like. A guess made to explain a refusal, never a reason to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sniffed {
    /// Nothing at all.
    Empty,
    /// Begins as a serialized ONNX `ModelProto` does.
    Onnx,
    /// A GGUF container.
    Gguf,
    /// One of the formats of llama.cpp before GGUF.
    OldGgml,
    /// A safetensors file.
    Safetensors,
    /// A zip archive, which is also what `torch.save` and `numpy.savez` write.
    Zip,
    /// An HDF5 file, as older Keras writes.
    Hdf5,
    /// A bare Python pickle, as older `torch.save` and scikit-learn write.
    Pickle,
    /// A TensorFlow Lite flatbuffer.
    TfLite,
    /// ONNX Runtime's own flatbuffer format.
    Ort,
    /// One numpy array.
    Numpy,
    /// A gzip stream.
    Gzip,
    /// A Zstandard stream.
    Zstd,
    /// A tar archive.
    Tar,
    /// An executable or a library.
    Elf,
    /// A PNG image.
    Png,
    /// A JPEG image.
    Jpeg,
    /// A PDF document.
    Pdf,
    /// The text that Git LFS leaves in place of a file that was not fetched.
    GitLfsPointer,
    /// An HTML page: usually what a server said in place of the file.
    Html,
    /// Text of some other kind.
    Text,
    /// Nothing known.
    Unknown,
}

impl fmt::Display for Sniffed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty file",
            Self::Onnx => "an ONNX model",
            Self::Gguf => "a GGUF file",
            Self::OldGgml => "a GGML file from before GGUF",
            Self::Safetensors => "a safetensors file",
            Self::Zip => "a zip archive (a PyTorch checkpoint is one)",
            Self::Hdf5 => "an HDF5 file (a Keras model is one)",
            Self::Pickle => "a Python pickle",
            Self::TfLite => "a TensorFlow Lite model",
            Self::Ort => "a model in ONNX Runtime's own format",
            Self::Numpy => "a numpy array",
            Self::Gzip => "a gzip stream",
            Self::Zstd => "a Zstandard stream",
            Self::Tar => "a tar archive",
            Self::Elf => "an executable",
            Self::Png => "a PNG image",
            Self::Jpeg => "a JPEG image",
            Self::Pdf => "a PDF document",
            Self::GitLfsPointer => "a Git LFS pointer whose file was never fetched",
            Self::Html => "an HTML page",
            Self::Text => "text",
            Self::Unknown => "no kind of file that is known here",
        })
    }
}

/// Beginnings that decide alone.
const MAGICS: &[(&[u8], Sniffed)] = &[
    (b"GGUF", Sniffed::Gguf),
    (b"FUGG", Sniffed::Gguf),
    (b"lmgg", Sniffed::OldGgml),
    (b"tjgg", Sniffed::OldGgml),
    (b"fmgg", Sniffed::OldGgml),
    (b"PK\x03\x04", Sniffed::Zip),
    (b"PK\x05\x06", Sniffed::Zip),
    (b"\x89HDF\r\n\x1a\n", Sniffed::Hdf5),
    (b"\x93NUMPY", Sniffed::Numpy),
    (b"\x1f\x8b\x08", Sniffed::Gzip),
    (b"\x28\xb5\x2f\xfd", Sniffed::Zstd),
    (b"\x7fELF", Sniffed::Elf),
    (b"\x89PNG\r\n\x1a\n", Sniffed::Png),
    (b"\xff\xd8\xff", Sniffed::Jpeg),
    (b"%PDF-", Sniffed::Pdf),
];

/// Tells what kind of file `bytes` seems to be.
///
/// Looks at no more than the first few hundred bytes and never fails.
pub fn sniff(bytes: &[u8]) -> Sniffed {
    if bytes.is_empty() {
        return Sniffed::Empty;
    }
    if let Some((_, kind)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return *kind;
    }
    if is_safetensors(bytes) {
        return Sniffed::Safetensors;
    }
    if is_flatbuffer(bytes, b"TFL3") {
        return Sniffed::TfLite;
    }
    if is_flatbuffer(bytes, b"ORTM") {
        return Sniffed::Ort;
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Sniffed::Tar;
    }
    // Protocols 2 to 5. As a protobuf tag these two bytes would be field 32 and up, which no model has first.
    if matches!(bytes, [0x80, 2..=5, ..]) {
        return Sniffed::Pickle;
    }
    if let Some(kind) = text_kind(bytes) {
        return kind;
    }
    if begins_as_a_model(bytes) {
        return Sniffed::Onnx;
    }
    Sniffed::Unknown
}

/// A safetensors file is the length of a JSON object in 8 little-endian bytes, then that object.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return false;
    };
    let plausible = 2..=100_000_000;
    plausible.contains(&u64::from_le_bytes(*length)) && rest.first() == Some(&b'{')
}

fn is_flatbuffer(bytes: &[u8], identifier: &[u8; 4]) -> bool {
    let Some((root, rest)) = bytes.split_first_chunk::<4>() else {
        return false;
    };
    u32::from_le_bytes(*root) < FLATBUFFER_ROOT_LIMIT && rest.starts_with(identifier)
}

/// Text holds no control characters but white space; a serialized model always does, for its tags are such.
fn text_kind(bytes: &[u8]) -> Option<Sniffed> {
    let window = &bytes[..bytes.len().min(TEXT_WINDOW)];
    let valid = match std::str::from_utf8(window) {
        Ok(text) => text,
        // The window may end inside a character.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&window[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    if valid.is_empty() || valid.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c')) {
        return None;
    }
    let start = valid.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).to_ascii_lowercase();
    Some(if start.starts_with("version https://git-lfs.github.com/spec/") {
        Sniffed::GitLfsPointer
    } else if start.starts_with("<!doctype html") || start.starts_with("<html") {
        Sniffed::Html
    } else {
        Sniffed::Text
    })
}

/// Whether the first tag is one of a `ModelProto`'s, with the wire type that field has.
fn begins_as_a_model(bytes: &[u8]) -> bool {
    const VARINT: u8 = 0;
    const BLOCK: u8 = 2;
    let Some(&first) = bytes.first() else {
        return false;
    };
    match (first >> 3, first & 7) {
        (1 | 5, VARINT) => true,
        (2 | 3 | 4 | 6 | 7 | 8 | 14, BLOCK) => true,
        // Fields 16 and above have tags of two bytes: training information, functions, device configurations.
        _ => matches!(bytes, [0xa2 | 0xca | 0xd2, 0x01, ..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_magic_is_told() {
        for (magic, kind) in MAGICS {
            let mut bytes = magic.to_vec();
            bytes.extend_from_slice(&[0; 16]);
            assert_eq!(sniff(&bytes), *kind);
        }
    }

    #[test]
    fn containers_without_a_magic_are_told_by_their_shape() {
        let mut safetensors = 40_u64.to_le_bytes().to_vec();
        safetensors.extend_from_slice(b"{\"w\":{}}");
        assert_eq!(sniff(&safetensors), Sniffed::Safetensors);
        assert_eq!(sniff(b"\x1c\0\0\0TFL3\0\0\0\0"), Sniffed::TfLite);
        assert_eq!(sniff(b"\x18\0\0\0ORTM\0\0\0\0"), Sniffed::Ort);
        assert_eq!(sniff(b"\x80\x02}q\0."), Sniffed::Pickle);
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(sniff(&tar), Sniffed::Tar);
    }

    #[test]
    fn text_is_told_apart_from_what_it_usually_means() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
        assert_eq!(sniff(pointer), Sniffed::GitLfsPointer);
        assert_eq!(sniff(b"\n<!DOCTYPE html>\n<p>404"), Sniffed::Html);
        assert_eq!(sniff(b"{\"name\": \"detector\"}"), Sniffed::Text);
    }

    #[test]
    fn text_whose_window_ends_inside_a_character_is_still_text() {
        let mut text = "a".repeat(TEXT_WINDOW - 1);
        text.push('é');
        assert_eq!(sniff(text.as_bytes()), Sniffed::Text);
    }

    #[test]
    fn a_producer_name_that_spells_another_format_does_not_hide_a_model() {
        assert_eq!(sniff(b"\x08\x07\x12\x08TFL3like\x3a\x00"), Sniffed::Onnx);
    }

    #[test]
    fn nothing_and_noise_are_named_as_such() {
        assert_eq!(sniff(b""), Sniffed::Empty);
        assert_eq!(sniff(&[0xff, 0x00, 0xff]), Sniffed::Unknown);
    }
}
