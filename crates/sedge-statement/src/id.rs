//! Digests and ids: 32 bytes each, and never interchangeable.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why text is not a 32-byte id: it must be 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct IdError;

pub(crate) fn parse_hex32(text: &str) -> Result<[u8; 32], IdError> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| IdError)?;
    bytes.try_into().map_err(|_| IdError)
}

macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps the 32 bytes; no check is possible.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first ten hexadecimal digits, for people and logs.
            pub fn short(&self) -> String {
                HEXLOWER_PERMISSIVE.encode(&self.0[..5])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER_PERMISSIVE.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex32(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 32]>::deserialize(d).map(Self)
                }
            }
        }
    };
}
pub(crate) use id32;

id32! {
    /// A device: its ed25519 public key, which is also its iroh endpoint id.
    NodeId
}
id32! {
    /// A mesh: the id of its signed genesis object.
    MeshId
}
id32! {
    /// A stand-alone signed object: BLAKE3 of its canonical encoding.
    ObjectId
}
id32! {
    /// A release: BLAKE3 of its canonical encoding under its own context.
    ReleaseId
}
id32! {
    /// A deployment and the rollout that carries it out: BLAKE3 of the deployment's canonical encoding.
    RolloutId
}
id32! {
    /// A version of a mesh's roots: BLAKE3 of its canonical encoding; of the genesis, the mesh's own id.
    RootsId
}
id32! {
    /// What a revocation says, whoever signed it: BLAKE3 of its canonical encoding.
    RevocationId
}
id32! {
    /// What a roll of certificates says, whoever signed it: BLAKE3 of its canonical encoding.
    RollId
}
id32! {
    /// SHA-256 of a file's bytes: its provenance, proven before anything opens the file.
    Sha256
}
id32! {
    /// BLAKE3 of a file's bytes: its transport name, which verifies pieces as they arrive.
    Blake3
}

impl Sha256 {
    /// Hashes bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl Blake3 {
    /// Hashes bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// BLAKE3 under a context of its own, so that no two kinds of thing can share an id.
pub(crate) fn digest_in(context: &'static str, bytes: &[u8]) -> [u8; 32] {
    blake3::derive_key(context, bytes)
}
