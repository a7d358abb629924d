//! The node's key, and strict ed25519.

use std::fmt;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::NodeId;

/// A node's ed25519 secret key. Made on the node from 32 random bytes, and never leaves it.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Makes the key from 32 bytes of the operating system's randomness (or of a test's seed).
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The 32 secret bytes, for the key file and the transport; wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn node_id(&self) -> NodeId {
        NodeId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`. Callers put a domain in front, so that no signature fits two purposes.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes().to_vec())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.node_id().short())
    }
}

/// An ed25519 signature, 64 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Signature(Vec<u8>);

impl Signature {
    /// Wraps 64 bytes.
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes, 64 of them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for Signature {
    type Error = &'static str;
    fn try_from(bytes: Vec<u8>) -> Result<Self, Self::Error> {
        if bytes.len() == 64 { Ok(Self(bytes)) } else { Err("a signature is 64 bytes") }
    }
}

impl From<Signature> for Vec<u8> {
    fn from(s: Signature) -> Self {
        s.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}…)", HEXLOWER.encode(&self.0[..4]))
    }
}

/// Why a signature was not accepted. Nothing can be done with the statement but drop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The signer's id is not a point of the curve.
    #[error("the signer's key is not a valid ed25519 key")]
    BadKey,
    /// The signature does not fit the message and the key.
    #[error("the signature does not verify")]
    BadSignature,
}

/// Verifies strictly: no small-order keys, no malleable encodings.
pub(crate) fn verify(signer: &NodeId, message: &[u8], signature: &Signature) -> Result<(), VerifyError> {
    let key = VerifyingKey::from_bytes(signer.as_bytes()).map_err(|_| VerifyError::BadKey)?;
    let signature = ed25519_dalek::Signature::from_slice(&signature.0).map_err(|_| VerifyError::BadSignature)?;
    key.verify_strict(message, &signature).map_err(|_| VerifyError::BadSignature)
}
