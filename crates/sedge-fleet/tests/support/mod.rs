//! A small mesh in memory: nodes with stores, and frames between them that a test may lose, repeat or reorder.
#![expect(dead_code, reason = "each test file uses its part")]

pub(crate) mod author;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sedge_fleet::testing::doc_in;
use sedge_fleet::{CloseReason, Edit, Effect, Event, Fleet, FleetView, Write};
use sedge_statement::{
    Blake3, CellPath, Certificate, ChangeHash, DocId, DocKind, GateReport, Genesis, MeshId, NodeId, Object, Role,
    RolloutId, SecretKey, SlotReport, SlotState, Timestamp,
};

pub(crate) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

pub(crate) fn id(n: u8) -> NodeId {
    key(n).node_id()
}

/// The genesis object's bytes and the mesh; its root is node 0.
pub(crate) fn genesis() -> (Vec<u8>, MeshId) {
    let genesis = Genesis {
        name: "test".parse().unwrap(),
        roots: BTreeSet::from([id(0)]),
        threshold: 1,
        nonce: [7; 16],
        created_at: START,
    };
    let (object, mesh) = genesis.sign(&key(0));
    (object.to_bytes(), mesh)
}

pub(crate) fn mesh() -> MeshId {
    genesis().1
}

/// What a member may say.
pub(crate) const MEMBER: &[Role] = &[Role::Device, Role::Release, Role::Deploy];

/// The cell that every node is in, unless it moves.
pub(crate) const CELL: &str = "acme";

pub(crate) fn cell(path: &str) -> CellPath {
    path.parse().unwrap()
}

/// A document as a node of [`CELL`] names it.
pub(crate) fn doc_id(author: NodeId, kind: DocKind, epoch: u32) -> DocId {
    doc_in(author, kind, &cell(CELL), epoch)
}

/// A certificate by the root for node `n`.
pub(crate) fn certificate(n: u8, roles: &[Role]) -> Object {
    certificate_in(CELL, n, roles, u64::from(n) + 1, 1)
}

/// A certificate by the root for node `n` in a cell.
pub(crate) fn certificate_in(path: &str, n: u8, roles: &[Role], serial: u64, revision: u32) -> Object {
    let certificate = Certificate {
        subject: id(n),
        name: format!("node-{n}").parse().unwrap(),
        roles: roles.iter().copied().collect(),
        cell: cell(path),
        labels: BTreeMap::new(),
        architecture: "x86_64".parse().unwrap(),
        class: "test".parse().unwrap(),
        issuer: id(0),
        serial,
        revision,
        not_before: START,
        not_after: None,
    };
    Object::sign(&key(0), mesh(), &certificate)
}

pub(crate) fn artifact(n: u64) -> Edit {
    Edit::PutArtifact { blake3: Blake3::of(&n.to_le_bytes()), size: n }
}

pub(crate) fn slot(name: &str, since: u64) -> Edit {
    Edit::PutSlot(SlotReport {
        slot: name.parse().unwrap(),
        rollout: None,
        state: SlotState::Committed,
        reason: Some(format!("since {since}")),
        since: Timestamp::from_millis(since),
        serving: None,
        sha256: None,
    })
}

pub(crate) fn gate(n: u8) -> Edit {
    Edit::PutGate(GateReport {
        rollout: RolloutId::from_bytes([n; 32]),
        state: SlotState::Committed,
        reason: None,
        sha256: None,
        soaked: Duration::from_secs(1),
        at: START,
    })
}

/// A member with its store.
pub(crate) struct Node {
    pub(crate) n: u8,
    pub(crate) fleet: Fleet,
    pub(crate) store: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Node {
    /// A member that holds the root's and its own certificate.
    pub(crate) fn member(n: u8) -> Self {
        let mut node = Self::stranger(n);
        node.publish(certificate(0, &Role::ALL));
        node.publish(certificate(n, MEMBER));
        node
    }

    /// A member of a cell.
    pub(crate) fn member_in(path: &str, n: u8) -> Self {
        let mut node = Self::stranger(n);
        node.publish(certificate(0, &Role::ALL));
        node.publish(certificate_in(path, n, MEMBER, u64::from(n) + 1, 1));
        node
    }

    /// The certificate by which a member first came to be one.
    pub(crate) fn first_certificate(n: u8) -> Object {
        if n == 0 { certificate(0, &Role::ALL) } else { certificate(n, &[Role::Device, Role::Release, Role::Deploy]) }
    }

    /// A node without any certificate.
    pub(crate) fn stranger(n: u8) -> Self {
        let (genesis, mesh) = genesis();
        let fleet = Fleet::open(&genesis, mesh, id(n), []).unwrap();
        Self { n, fleet, store: BTreeMap::new() }
    }

    pub(crate) fn publish(&mut self, object: Object) -> Vec<Effect> {
        let effects = self.fleet.publish(object, START).unwrap();
        self.keep(&effects);
        effects
    }

    pub(crate) fn write(&mut self, kind: DocKind, now: Timestamp, edits: &[Edit]) -> Vec<Effect> {
        let effects = self.fleet.write(&key(self.n), kind, now, edits).unwrap();
        self.keep(&effects);
        effects
    }

    pub(crate) fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let effects = self.fleet.handle(event, now);
        self.keep(&effects);
        effects
    }

    pub(crate) fn keep(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Persist(writes) = effect else { continue };
            for write in writes {
                match &write.value {
                    Some(value) => self.store.insert(write.key.clone(), value.clone()),
                    None => self.store.remove(&write.key),
                };
            }
        }
    }

    /// Stops and starts again from its store.
    pub(crate) fn restart(&mut self) {
        let (genesis, mesh) = genesis();
        self.fleet = Fleet::open(&genesis, mesh, id(self.n), self.store.clone()).unwrap();
    }

    pub(crate) fn digest(&mut self, now: Timestamp) -> [u8; 32] {
        self.fleet.view(now).digest()
    }

    pub(crate) fn view(&mut self) -> std::sync::Arc<FleetView> {
        self.fleet.view(START)
    }
}

/// The hash of a link of a node's `authority` document, as a store holds it.
pub(crate) fn hash_at(node: &Node, author: NodeId, epoch: u32, seq: u64) -> ChangeHash {
    let links = node.store.iter().filter_map(|(key, value)| {
        sedge_fleet::testing::stored_link(&Write { key: key.clone(), value: Some(value.clone()) })
    });
    let doc = sedge_fleet::testing::doc_id(author, DocKind::Authority, epoch);
    let link = links.into_iter().find(|link| link.doc == doc && link.seq == seq).unwrap();
    sedge_fleet::testing::hash(&link.raw)
}

/// The hash of a link of an `authority` document that counts.
pub(crate) fn counting_hash(node: &Node, author: NodeId, epoch: u32, seq: u64) -> Option<ChangeHash> {
    sedge_fleet::testing::counting_hash(
        &node.fleet,
        &sedge_fleet::testing::doc_id(author, DocKind::Authority, epoch),
        seq,
    )
}

/// What the network does with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Deliver,
    Lose,
    Repeat,
    Delay,
}

/// Nodes, and frames on their way.
pub(crate) struct Net {
    pub(crate) nodes: BTreeMap<u8, Node>,
    pub(crate) frames: VecDeque<(u8, u8, Vec<u8>)>,
    pub(crate) closed: Vec<(u8, u8, CloseReason)>,
    pub(crate) now: Timestamp,
    pub(crate) bytes: usize,
    links: BTreeSet<(u8, u8)>,
}

impl Net {
    pub(crate) fn new(nodes: impl IntoIterator<Item = Node>) -> Self {
        let nodes = nodes.into_iter().map(|node| (node.n, node)).collect();
        Self { nodes, frames: VecDeque::new(), closed: vec![], now: START, bytes: 0, links: BTreeSet::new() }
    }

    pub(crate) fn node(&mut self, n: u8) -> &mut Node {
        self.nodes.get_mut(&n).unwrap()
    }

    pub(crate) fn connect(&mut self, a: u8, b: u8) {
        self.links.extend([(a, b), (b, a)]);
        for (one, other) in [(a, b), (b, a)] {
            let now = self.now;
            let effects = self.node(one).handle(Event::Connected { peer: id(other) }, now);
            self.carry(one, effects);
        }
    }

    pub(crate) fn disconnect(&mut self, a: u8, b: u8) {
        self.links.remove(&(a, b));
        self.links.remove(&(b, a));
        self.frames.retain(|(from, to, _)| (*from, *to) != (a, b) && (*from, *to) != (b, a));
        let now = self.now;
        self.node(a).handle(Event::Disconnected { peer: id(b) }, now);
        self.node(b).handle(Event::Disconnected { peer: id(a) }, now);
    }

    pub(crate) fn write(&mut self, n: u8, kind: DocKind, edits: &[Edit]) {
        let now = self.now;
        let effects = self.node(n).write(kind, now, edits);
        self.carry(n, effects);
    }

    /// A node publishes an object.
    pub(crate) fn publish(&mut self, n: u8, object: Object) {
        let effects = self.node(n).publish(object);
        self.carry(n, effects);
    }

    /// A node wants a cell.
    pub(crate) fn want(&mut self, n: u8, path: &str) {
        let now = self.now;
        let effects = self.node(n).fleet.want([cell(path)], now);
        self.node(n).keep(&effects);
        self.carry(n, effects);
    }

    pub(crate) fn inject(&mut self, from: u8, to: u8, frame: Vec<u8>) {
        self.frames.push_back((from, to, frame));
    }

    pub(crate) fn carry(&mut self, from: u8, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { peer, frame } => {
                    let Some(to) = self.nodes.keys().copied().find(|n| id(*n) == peer) else { continue };
                    if self.links.contains(&(from, to)) {
                        self.bytes += frame.len();
                        self.frames.push_back((from, to, frame));
                    }
                }
                Effect::Close { peer, reason } => {
                    let to = *self.nodes.keys().find(|n| id(**n) == peer).unwrap();
                    self.closed.push((from, to, reason));
                    self.disconnect(from, to);
                }
                _ => {}
            }
        }
    }

    /// Delivers one frame, as fate has it; false where none is on its way.
    pub(crate) fn step(&mut self, fate: Fate) -> bool {
        let Some((from, to, frame)) = self.frames.pop_front() else { return false };
        match fate {
            Fate::Lose => return true,
            Fate::Delay => {
                self.frames.push_back((from, to, frame));
                return true;
            }
            Fate::Repeat => self.frames.push_back((from, to, frame.clone())),
            Fate::Deliver => {}
        }
        let now = self.now;
        let effects = self.node(to).handle(Event::Received { peer: id(from), frame }, now);
        self.carry(to, effects);
        true
    }

    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.step(Fate::Deliver) {
                return;
            }
        }
        panic!("frames without end");
    }

    pub(crate) fn tick(&mut self) {
        self.now = self.now.plus(Duration::from_secs(1));
        let now = self.now;
        for n in self.nodes.keys().copied().collect::<Vec<_>>() {
            let effects = self.node(n).handle(Event::Tick, now);
            self.carry(n, effects);
        }
    }

    /// Lets seconds pass on a network that loses nothing.
    pub(crate) fn run(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.tick();
            self.settle();
        }
    }

    pub(crate) fn digests(&mut self) -> BTreeSet<[u8; 32]> {
        let now = self.now;
        self.nodes.values_mut().map(|node| node.digest(now)).collect()
    }

    pub(crate) fn assert_agreed(&mut self) {
        assert_eq!(self.digests().len(), 1, "nodes hold different views");
    }

    /// As [`Self::assert_agreed`], one node left out.
    pub(crate) fn assert_agreed_but(&mut self, but: u8) {
        let now = self.now;
        let digests: BTreeSet<_> =
            self.nodes.values_mut().filter(|node| node.n != but).map(|node| node.digest(now)).collect();
        assert_eq!(digests.len(), 1, "nodes hold different views");
    }
}
