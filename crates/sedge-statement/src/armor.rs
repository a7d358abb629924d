//! Statements that people carry as one line of text.
//!
//! Layout: a prefix, then lower-case base32 without padding of `version (1 byte) ‖ body ‖ the first 4 bytes of BLAKE3 of what stands before`. The
//! check bytes catch a mistyped character; they prove nothing.

use data_encoding::BASE32_NOPAD;

/// Why text carries nothing that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArmorError {
    /// Another prefix, other characters, or far too long.
    NotThis,
    /// A character was lost or changed.
    Damaged,
}

/// Writes a body.
pub(crate) fn write(prefix: &str, version: u8, body: &[u8]) -> String {
    let mut bytes = [&[version], body].concat();
    let check = blake3::hash(&bytes);
    bytes.extend(&check.as_bytes()[..4]);
    format!("{prefix}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

/// Reads version and body; of text longer than `max` nothing.
pub(crate) fn read(prefix: &str, text: &str, max: usize) -> Result<(u8, Vec<u8>), ArmorError> {
    let text = text.trim();
    let body = text.strip_prefix(prefix).filter(|body| body.len() <= max).ok_or(ArmorError::NotThis)?;
    let bytes = BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map_err(|_| ArmorError::NotThis)?;
    let (rest, check) = bytes.split_last_chunk::<4>().ok_or(ArmorError::NotThis)?;
    if blake3::hash(rest).as_bytes()[..4] != check[..] {
        return Err(ArmorError::Damaged);
    }
    let (version, body) = rest.split_first().ok_or(ArmorError::NotThis)?;
    Ok((*version, body.to_vec()))
}
