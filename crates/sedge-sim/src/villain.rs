//! Members with valid certificates and no scruples.
//!
//! A villain holds no fleet. It shakes hands, hears everything, keeps silent where an honest node would answer, and says what its
//! [`Character`] has it say, under its own signature.

mod deeds;
mod thief;

use std::collections::BTreeMap;

use sedge_fleet::Event;
use sedge_fleet::testing::{self, Scribe};
use sedge_statement::{DocKind, Frontier, MeshId, NodeId, Object, Role, RolloutId, SecretKey, Timestamp};

use crate::{Charter, Dice, Seat};
use thief::Loot;

/// How a villain harms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Character {
    /// Signs two histories of a document, and tells each to half of its neighbours.
    Forker,
    /// Begins one epoch after another and completes none.
    NeverDone,
    /// Offers links and keeps back those before them.
    Withholder,
    /// Says digests and vectors that are not true, and pages out of order.
    Liar,
    /// Says garbage without end, and statements of kinds that nobody knows.
    Flooder,
    /// Issues certificates, releases and deployments that it may not.
    Overreacher,
    /// Says that honest authors forked, and reports on rollouts that are not its.
    Slanderer,
    /// Dates what it says a century ahead.
    Timekeeper,
    /// Says what it once heard again and again.
    Replayer,
    /// Took an enroller's key: enrols accomplices, takes back the word of honest nodes, and gives more than it has.
    Thief,
}

impl Character {
    /// Every character.
    pub const ALL: [Self; 10] = [
        Self::Forker,
        Self::NeverDone,
        Self::Withholder,
        Self::Liar,
        Self::Flooder,
        Self::Overreacher,
        Self::Slanderer,
        Self::Timekeeper,
        Self::Replayer,
        Self::Thief,
    ];

    /// Whether what it does can be told from what honest nodes do. An epoch that is not complete may be slow, a clock may be wrong, and a frame
    /// that comes twice may have been sent twice.
    pub fn shows(self) -> bool {
        !matches!(self, Self::NeverDone | Self::Timekeeper | Self::Replayer)
    }
}

/// How many frames are remembered to be said again.
const HEARD: usize = 100;

/// Frames, each with whom it is for.
type Said = Vec<(NodeId, Vec<u8>)>;

/// A hostile member.
#[derive(Debug)]
pub(crate) struct Villain {
    character: Character,
    key: SecretKey,
    mesh: MeshId,
    /// Its certificate and those above it.
    path: Vec<Object>,
    /// Whom it lies about, or harms.
    others: Vec<NodeId>,
    /// A rollout that honest nodes carry out.
    pub(crate) rollout: Option<RolloutId>,
    /// Connected neighbours, and for how many seconds they have been.
    peers: BTreeMap<NodeId, u32>,
    dice: Dice,
    /// Two histories of one document; the first alone where it tells only one.
    scribes: [Scribe; 2],
    /// All links of each history.
    pages: [Vec<Vec<u8>>; 2],
    /// Frames once heard.
    heard: Vec<Vec<u8>>,
    loot: Loot,
    deeds: u64,
    retired: bool,
}

impl Villain {
    pub(crate) fn new(character: Character, seat: Seat, charter: &Charter, path: Vec<Object>, dice: Dice) -> Self {
        let (key, mesh) = (Charter::key(seat), charter.mesh());
        let post = charter.post(seat);
        let speaks = post.roles.contains(&Role::Deploy);
        let kind = if speaks { DocKind::Authority } else { DocKind::Node };
        let scribe = Scribe::new(key.clone(), mesh, kind, &post.cell);
        Self {
            character,
            key,
            mesh,
            path,
            others: Vec::new(),
            rollout: None,
            peers: BTreeMap::new(),
            dice,
            scribes: [scribe.clone(), scribe],
            pages: [Vec::new(), Vec::new()],
            heard: Vec::new(),
            loot: Loot::new(post),
            deeds: 0,
            retired: false,
        }
    }

    /// Tells it whom there is to harm, how many certificates its post had issued, and how many everybody had.
    pub(crate) fn learn(&mut self, others: Vec<NodeId>, serial: u64, frontier: Frontier) {
        self.others = others;
        self.loot.serial = serial;
        self.loot.frontier = frontier;
    }

    pub(crate) fn character(&self) -> Character {
        self.character
    }

    /// Whether it may take honest nodes' word back, for as long as it is believed.
    pub(crate) fn revokes(&self) -> bool {
        self.character == Character::Thief
    }

    /// Lets it sign nothing new from now on. It goes on with what needs no signature.
    pub(crate) fn retire(&mut self) {
        self.retired = true;
    }

    /// What it says to an event.
    pub(crate) fn hear(&mut self, event: &Event, now: Timestamp) -> Said {
        match event {
            Event::Connected { peer } => {
                self.peers.insert(*peer, 0);
                vec![(*peer, self.hello())]
            }
            Event::Disconnected { peer } => {
                self.peers.remove(peer);
                Vec::new()
            }
            Event::Received { frame, .. } => {
                if self.character == Character::Replayer && self.heard.len() < HEARD && testing::is_links(frame) {
                    self.heard.push(frame.clone());
                }
                Vec::new()
            }
            Event::Tick => {
                let mut said = self.greet();
                self.deeds += 1;
                said.extend(self.deed(now));
                said
            }
        }
    }

    fn hello(&self) -> Vec<u8> {
        testing::hello_frame(self.mesh, &self.path)
    }

    /// Hellos get lost: it says them again in the first seconds of a connection.
    fn greet(&mut self) -> Said {
        let hello = self.hello();
        self.peers.values_mut().for_each(|seconds| *seconds += 1);
        let new = self.peers.iter().filter(|(_, seconds)| **seconds < 20 && **seconds % 5 == 0);
        new.map(|(peer, _)| (*peer, hello.clone())).collect()
    }

    /// One frame to everybody that is connected.
    fn to_all(&self, frame: &[u8]) -> Said {
        self.peers.keys().map(|peer| (*peer, frame.to_vec())).collect()
    }
}
