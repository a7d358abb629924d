//! Weights kept in files beside the model.
//!
//! A runtime opens the file by the name written in the model, so the name is an instruction from a stranger: paths,
//! parent directories, drive letters and unknown keys have each been a way out of the model's directory.

use super::limits::ExternalPolicy;
use super::walk::Walk;
use super::wire::{Fields, Span, once};
use super::{Limits, OnnxError};
use crate::place::Path;

/// The longest file name that common file systems take, in bytes.
const FILE_NAME_MAX: usize = 255;

/// What a tensor's `external_data` says.
#[derive(Debug, Default)]
pub(super) struct External<'a> {
    given: bool,
    location: Option<(&'a str, usize)>,
    offset: Option<&'a str>,
    length: Option<&'a str>,
    checksum: Option<&'a str>,
}

impl<'a> External<'a> {
    /// Whether the tensor has any such entry.
    pub(super) fn is_given(&self) -> bool {
        self.given
    }

    /// Reads one key with its value.
    pub(super) fn read_entry(&mut self, limits: &Limits, span: Span<'a>, path: &Path<'_>) -> Result<(), OnnxError> {
        self.given = true;
        let at = path.field("external_data");
        let (key, value) = read_pair(span, limits.name, &at)?;
        let known = match key {
            "location" if self.location.is_none() => {
                self.location = Some((value, span.offset));
                true
            }
            "offset" => self.offset.replace(value).is_none(),
            "length" => self.length.replace(value).is_none(),
            "checksum" => self.checksum.replace(value).is_none(),
            _ => false,
        };
        if known { Ok(()) } else { Err(malformed(&at, span.offset, key)) }
    }

    /// Accepts or refuses data of `expected` bytes outside the model.
    pub(super) fn accept(
        &self,
        walk: &mut Walk<'a, '_>,
        tensor: &str,
        expected: u64,
        path: &Path<'_>,
        offset: usize,
    ) -> Result<(), OnnxError> {
        let path = &path.field("external_data");
        let Some((location, offset)) = self.location else {
            return Err(malformed(path, offset, "location"));
        };
        if !is_plain_file_name(location) {
            return Err(OnnxError::ExternalPath { at: path.at(offset), location: location.to_owned() });
        }
        if walk.limits.external == ExternalPolicy::Refuse {
            return Err(OnnxError::ExternalData {
                at: path.at(offset),
                tensor: tensor.to_owned(),
                location: location.to_owned(),
            });
        }
        let start = self.offset.map_or(Some(0), decimal).ok_or_else(|| malformed(path, offset, "offset"))?;
        let length = self.length.map_or(Some(expected), decimal).ok_or_else(|| malformed(path, offset, "length"))?;
        if length != expected {
            return Err(OnnxError::RawLength { at: path.at(offset), expected, found: length });
        }
        let end = start.checked_add(length).ok_or_else(|| OnnxError::SizeOverflow { at: path.at(offset) })?;
        walk.add_external(location, end, path, offset)
    }
}

/// Reads one `StringStringEntryProto`.
pub(super) fn read_pair<'a>(span: Span<'a>, limit: usize, path: &Path<'_>) -> Result<(&'a str, &'a str), OnnxError> {
    let (mut key, mut value) = (None, None);
    let mut fields = Fields::of(span);
    while let Some(field) = fields.next(path)? {
        let (slot, at) = match field.number {
            1 => (&mut key, path.field("key")),
            2 => (&mut value, path.field("value")),
            _ => continue,
        };
        once(slot, field.text(limit, &at)?, &field, &at)?;
    }
    Ok((key.unwrap_or(""), value.unwrap_or("")))
}

fn malformed(path: &Path<'_>, offset: usize, key: &str) -> OnnxError {
    OnnxError::ExternalEntry { at: path.at(offset), key: key.to_owned() }
}

/// Whether a name can only mean a file beside the model, on any system.
fn is_plain_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= FILE_NAME_MAX
        && name != "."
        && name != ".."
        && !name.chars().any(|c| matches!(c, '/' | '\\' | ':') || c.is_control())
}

/// A number in decimal digits alone: `str::parse` would take a sign as well.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_component_is_a_plain_file_name() {
        for good in ["model.onnx.data", "weights.bin", "...", "poids é"] {
            assert!(is_plain_file_name(good), "{good}");
        }
        let long = "a".repeat(256);
        for bad in ["", ".", "..", "../w", "/etc/passwd", "a/b", "a\\b", "C:w", "w:stream", "a\0b", "a\n", &long] {
            assert!(!is_plain_file_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        assert_eq!(decimal("4096"), Some(4096));
        for bad in ["", "+1", "-1", " 1", "0x10", "18446744073709551616"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }
}
