//! What neighbours tell each other of being there: datagrams on a connection of `sedge/sync/1`.
//!
//! Goals: whoever looks at a node sees how stale each thing is; a node learns whom its neighbours reach, over several hops, and so
//! whom nobody reaches. Non-goals: proof, and delivery. A lost message is made up for by the next; what is said here is shown, and
//! decides whom to dial, and nothing else: it enters no document and no plan.
//!
//! Layout: `version 1 (1 byte) ‖ canonical postcard` of [`Presence`], at most [`MAX_MESSAGE`], which one packet takes. Nodes, scopes and digests
//! are named by their first eight bytes: nobody is believed for matching them. Ages are relative, so that no two clocks need agree.

use std::time::Duration;

use sedge_statement::{Blake3, Gauges, NodeId, Scope, Timestamp, codec};
use serde::{Deserialize, Serialize};

/// The version spoken here.
const VERSION: u8 = 1;
/// The longest message, bytes: it fits one packet of the least size that QUIC uses, and holds everything below at its longest.
pub(crate) const MAX_MESSAGE: usize = 1024;
/// How many scopes one message tells of: the mesh, the sender's cell, and a few that it looks at.
pub(crate) const MAX_SCOPES: usize = 8;
/// How many of its neighbours a node names.
pub(crate) const MAX_LINKED: usize = 16;
/// How many others it names that it heard of.
pub(crate) const MAX_HEARD: usize = 64;
/// The least that one of these takes, bytes.
const HEARD_BYTES: usize = size_of::<Brief>() + 1;

/// The beginning of an id or a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Brief(pub(crate) [u8; 8]);

impl Brief {
    fn of(bytes: &[u8; 32]) -> Self {
        Self(*bytes.first_chunk().expect("32 bytes begin with eight"))
    }

    pub(crate) fn node(node: NodeId) -> Self {
        Self::of(node.as_bytes())
    }

    pub(crate) fn digest(digest: &[u8; 32]) -> Self {
        Self::of(digest)
    }

    pub(crate) fn scope(scope: &Scope) -> Self {
        Self::of(Blake3::of(&codec::encode(scope)).as_bytes())
    }
}

/// How long ago something was, in tenths of a second; the most there are for anything longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Age(u16);

impl Age {
    /// Always more than has passed, so that what is told to and fro grows old.
    pub(crate) fn of(passed: Duration) -> Self {
        Self(u16::try_from(passed.as_millis() / 100).unwrap_or(u16::MAX).saturating_add(1))
    }

    pub(crate) fn passed(self) -> Duration {
        Duration::from_millis(u64::from(self.0) * 100)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Presence {
    /// Counts the sender's messages since its start, so that one which was overtaken is dropped.
    pub(crate) counter: u64,
    /// How long the sender has run, seconds.
    pub(crate) uptime: u32,
    /// What its machine says.
    pub(crate) gauges: Gauges,
    /// The latest time that an authority has proven to the sender to be past: how new its view of the authorities is.
    pub(crate) verified: Timestamp,
    /// What it holds: scopes, each with the digest of what is in it.
    pub(crate) holds: Vec<(Brief, Brief)>,
    /// Some of its neighbours.
    pub(crate) linked: Vec<Brief>,
    /// Others that it heard of, each with how long ago it gave a sign of life.
    pub(crate) heard: Vec<(Brief, Age)>,
}

/// The message is not one of this version, or exceeds its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message of presence")]
pub(crate) struct NotPresence;

impl Presence {
    /// The bytes of the message, at most `room`: those that were heard of last are left out where it takes no more.
    pub(crate) fn encode(&self, room: usize) -> Option<Vec<u8>> {
        let bytes = [vec![VERSION], codec::encode(self)].concat();
        let over = bytes.len().saturating_sub(room.min(MAX_MESSAGE));
        if over == 0 {
            return Some(bytes);
        }
        let kept = self.heard.len().checked_sub(over.div_ceil(HEARD_BYTES))?;
        let shorter = Self { heard: self.heard[..kept].to_vec(), ..self.clone() };
        Some([vec![VERSION], codec::encode(&shorter)].concat())
    }

    /// Reads a message within its limits.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NotPresence> {
        let Some((&VERSION, body)) = bytes.split_first() else { return Err(NotPresence) };
        let message: Self = codec::decode(body, MAX_MESSAGE - 1).map_err(|_| NotPresence)?;
        let fits =
            message.holds.len() <= MAX_SCOPES && message.linked.len() <= MAX_LINKED && message.heard.len() <= MAX_HEARD;
        if fits { Ok(message) } else { Err(NotPresence) }
    }
}

#[cfg(test)]
mod tests {
    use sedge_statement::{ByteSize, Charge, Load, Temperature};

    use super::*;

    fn message() -> Presence {
        let gauges = Gauges {
            memory_free: Some(ByteSize(300)),
            load: Some(Load(150)),
            temperature: Some(Temperature(415)),
            battery: None,
            queue: Some(2),
        };
        Presence {
            counter: 7,
            uptime: 300,
            gauges,
            verified: Timestamp::from_millis(1000),
            holds: vec![(Brief([1; 8]), Brief([2; 8]))],
            linked: vec![Brief([3; 8])],
            heard: vec![(Brief([4; 8]), Age(200))],
        }
    }

    #[test]
    fn presence_has_these_bytes_for_ever() {
        let mut golden = vec![1, 7, 0xac, 2, 1, 0xac, 2, 1, 0x96, 1, 1, 0xbe, 6, 0, 1, 2, 0xe8, 7, 1];
        golden.extend([1; 8]);
        golden.extend([2; 8]);
        golden.extend([1, 3, 3, 3, 3, 3, 3, 3, 3, 1, 4, 4, 4, 4, 4, 4, 4, 4, 0xc8, 1]);
        assert_eq!(message().encode(MAX_MESSAGE), Some(golden.clone()));
        assert_eq!(Presence::decode(&golden), Ok(message()));
    }

    #[test]
    fn the_longest_message_fits_and_a_longer_one_is_refused() {
        let brief = Brief([0xff; 8]);
        let longest = Presence {
            counter: u64::MAX,
            uptime: u32::MAX,
            gauges: Gauges {
                memory_free: Some(ByteSize(u64::MAX)),
                load: Some(Load(u32::MAX)),
                temperature: Some(Temperature(i16::MIN)),
                battery: Charge::try_from(100).ok(),
                queue: Some(u32::MAX),
            },
            verified: Timestamp::LAST,
            holds: vec![(brief, brief); MAX_SCOPES],
            linked: vec![brief; MAX_LINKED],
            heard: vec![(brief, Age(u16::MAX)); MAX_HEARD],
        };
        let bytes = longest.encode(MAX_MESSAGE).expect("it fits");
        assert_eq!(Presence::decode(&bytes), Ok(longest.clone()), "{} bytes", bytes.len());
        for too_many in [
            Presence { heard: vec![(brief, Age(0)); MAX_HEARD + 1], ..message() },
            Presence { linked: vec![brief; MAX_LINKED + 1], ..message() },
            Presence { holds: vec![(brief, brief); MAX_SCOPES + 1], ..message() },
        ] {
            assert_eq!(Presence::decode(&too_many.encode(MAX_MESSAGE).expect("it fits")), Err(NotPresence));
        }
    }

    #[test]
    fn where_a_packet_takes_less_fewer_are_named() {
        let whole = Presence { heard: vec![(Brief([4; 8]), Age(1)); MAX_HEARD], ..message() };
        for room in [100, 200, 500, 900] {
            let bytes = whole.encode(room).expect("the rest fits");
            assert!(bytes.len() <= room, "{} of {room}", bytes.len());
            assert!(!Presence::decode(&bytes).expect("it reads").heard.is_empty());
        }
        assert_eq!(whole.encode(20), None);
    }

    #[test]
    fn a_truncation_another_version_and_a_length_that_lies_are_refused() {
        let bytes = message().encode(MAX_MESSAGE).expect("it fits");
        for cut in 0..bytes.len() {
            assert_eq!(Presence::decode(&bytes[..cut]), Err(NotPresence), "cut at {cut}");
        }
        assert_eq!(Presence::decode(&[&[2], &bytes[1..]].concat()), Err(NotPresence));
        let mut lies = bytes[..18].to_vec();
        lies.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(Presence::decode(&lies), Err(NotPresence));
    }

    #[test]
    fn ages_grow_with_every_telling_and_end_at_the_most_there_is() {
        let told = Age::of(Age::of(Duration::ZERO).passed());
        assert_eq!(told.passed(), Duration::from_millis(200));
        assert_eq!(Age::of(Duration::MAX), Age(u16::MAX));
    }
}
