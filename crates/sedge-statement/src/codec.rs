//! The canonical encoding: postcard, read strictly.
//!
//! Goals: one value has one encoding, so a digest or signature of the bytes is a digest of the value; small on a slow
//! link. Non-goals: self-description (the kind stands beside the bytes), partial reads.
//!
//! Postcard admits non-minimal varints and ignores trailing bytes. [`decode`] therefore encodes what it read
//! again and compares: bytes that are not the canonical ones are refused, never silently normalised.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes were not the canonical encoding of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes exceed what this kind may weigh. Whoever made them must split or shorten the statement.
    #[error("{len} bytes, above the limit of {limit}")]
    TooLong {
        /// Length offered, bytes.
        len: usize,
        /// Length allowed, bytes.
        limit: usize,
    },
    /// The bytes do not decode: truncated, damaged, or written by something that is not Sedge.
    #[error("malformed encoding")]
    Malformed,
    /// The bytes decode, but are not what encoding the value gives. Only a broken or hostile writer makes these.
    #[error("not the canonical encoding")]
    NotCanonical,
}

/// Encodes `value` canonically.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("statement types hold nothing that postcard refuses")
}

/// Decodes the canonical encoding of a `T` of at most `limit` bytes.
///
/// # Errors
/// See [`CodecError`]; nothing is allocated from a length that the input itself does not carry.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLong { len: bytes.len(), limit });
    }
    match decode_front(bytes)? {
        (value, []) => Ok(value),
        _ => Err(CodecError::NotCanonical),
    }
}

/// Decodes the canonical encoding of a `T` at the front, and gives what follows it: where later versions may say more than this one reads.
///
/// # Errors
/// See [`CodecError`]; as for [`decode`], the caller having seen to the length.
pub fn decode_front<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), CodecError> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|_| CodecError::Malformed)?;
    if bytes.strip_suffix(rest) == Some(&encode(&value)) { Ok((value, rest)) } else { Err(CodecError::NotCanonical) }
}
