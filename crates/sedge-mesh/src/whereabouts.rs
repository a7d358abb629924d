//! What neighbours tell each other of where members are: the second stream of a connection of `sedge/sync/1`.
//!
//! Goals: whoever knows one member comes to know the others, and finds them again when that one is gone. Non-goals: proof. An
//! address is a hint, tried and soon forgotten; who is there is proven by a handshake, and who is a member by certificates.
//!
//! Layout: each end opens one unidirectional stream and sends messages on it, each `length (u32, little-endian) ‖ version 1
//! (1 byte) ‖ canonical postcard` of [`Whereabouts`], at most [`MAX_MESSAGE`]. The sender's own addresses are among them. An end
//! that opens no stream, or reads none, misses hints and nothing else. Ages are relative, so that no two clocks need agree.

use std::net::SocketAddr;
use std::time::Duration;

use sedge_statement::{NodeId, codec};
use serde::{Deserialize, Serialize};

/// The version spoken here.
const VERSION: u8 = 1;
/// The longest message, bytes: as many sightings as there may be, of IPv6 addresses, fit.
pub(crate) const MAX_MESSAGE: usize = 32 << 10;
/// How many members one message may name.
pub(crate) const MAX_NODES: usize = 64;
/// How many addresses of each.
pub(crate) const MAX_ADDRESSES: usize = 8;

/// Where one member was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sighted {
    /// The member.
    pub(crate) node: NodeId,
    /// Its addresses, each with how many seconds ago anybody saw it there.
    pub(crate) at: Vec<(SocketAddr, u32)>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Whereabouts(pub(crate) Vec<Sighted>);

/// The message is not one of this version, or exceeds its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message of whereabouts")]
pub(crate) struct NotWhereabouts;

impl Whereabouts {
    /// The bytes of the message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [vec![VERSION], codec::encode(self)].concat()
    }

    /// Reads a message within its limits.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NotWhereabouts> {
        let Some((&VERSION, body)) = bytes.split_first() else { return Err(NotWhereabouts) };
        let message: Self = codec::decode(body, MAX_MESSAGE).map_err(|_| NotWhereabouts)?;
        let fits = message.0.len() <= MAX_NODES && message.0.iter().all(|sighted| sighted.at.len() <= MAX_ADDRESSES);
        if fits { Ok(message) } else { Err(NotWhereabouts) }
    }
}

/// Seconds for the wire, of which there are enough for a hundred years: always more than have passed, so that what is told to
/// and fro grows old.
pub(crate) fn age_in_seconds(age: Duration) -> u32 {
    u32::try_from(age.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Whereabouts {
        let at = vec![
            ("10.0.0.1:9000".parse().expect("an address"), 0),
            ("[fd00::1]:9000".parse().expect("an address"), 300),
        ];
        Whereabouts(vec![Sighted { node: NodeId::from_bytes([3; 32]), at }])
    }

    #[test]
    fn whereabouts_have_these_bytes_for_ever() {
        let mut golden = vec![1, 1];
        golden.extend([3; 32]);
        golden.extend([2, 0, 10, 0, 0, 1, 0xa8, 0x46, 0]);
        golden.extend([1, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xa8, 0x46, 0xac, 2]);
        assert_eq!(message().encode(), golden);
        assert_eq!(Whereabouts::decode(&golden), Ok(message()));
    }

    #[test]
    fn the_longest_message_fits_and_a_longer_one_is_refused() {
        let at = vec![("[fd00::1]:65535".parse().expect("an address"), u32::MAX); MAX_ADDRESSES];
        let of = |n: usize| Whereabouts(vec![Sighted { node: NodeId::from_bytes([3; 32]), at: at.clone() }; n]);
        let longest = of(MAX_NODES).encode();
        assert!(longest.len() <= MAX_MESSAGE, "{}", longest.len());
        assert!(Whereabouts::decode(&longest).is_ok());
        assert_eq!(Whereabouts::decode(&of(MAX_NODES + 1).encode()), Err(NotWhereabouts));
        let many = Whereabouts(vec![Sighted { node: NodeId::from_bytes([3; 32]), at: [at.clone(), at].concat() }]);
        assert_eq!(Whereabouts::decode(&many.encode()), Err(NotWhereabouts));
    }

    #[test]
    fn a_truncation_another_version_and_a_length_that_lies_are_refused() {
        let bytes = message().encode();
        for cut in 0..bytes.len() {
            assert_eq!(Whereabouts::decode(&bytes[..cut]), Err(NotWhereabouts), "cut at {cut}");
        }
        assert_eq!(Whereabouts::decode(&[&[2], &bytes[1..]].concat()), Err(NotWhereabouts));
        assert_eq!(Whereabouts::decode(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(NotWhereabouts));
    }
}
