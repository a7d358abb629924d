//! Two members of one mesh: the node under test, and a hostile one whose key signs whatever the fuzzer makes.

use std::collections::BTreeMap;

use sedge_fleet::{Edit, Effect, Event, Fleet, MAX_FRAME_BYTES, Write};
use sedge_statement::{
    Blake3, CellPath, Certificate, ChangeHash, DocId, DocKind, Genesis, MeshId, NodeId, Object, Role, Scope, SecretKey,
    SignedHead, Timestamp, codec,
};
use serde::{Deserialize, Serialize};

/// What a node's store holds.
pub(crate) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// The time at which everything happens.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1 << 40);

/// The frames of `sedge/sync/1`, as far as they are made or taken apart here; the others only keep their numbers.
#[derive(Serialize, Deserialize)]
enum Frame {
    Hello,
    Digest,
    Vector,
    Set,
    Links { cause: Cause, head: SignedHead, first_seq: u64, links: Vec<Vec<u8>> },
}

#[derive(Serialize, Deserialize)]
enum Cause {
    New,
}

/// All that a run starts from.
pub(crate) struct World {
    genesis: Vec<u8>,
    pub(crate) mesh: MeshId,
    me: NodeId,
    evil: SecretKey,
    /// What the node under test holds before anything hostile comes: both certificates.
    pub(crate) records: Records,
    /// The frames of the hostile node while it was still honest, in order.
    pub(crate) frames: Vec<Vec<u8>>,
    /// The links among them: the first and the second change of one document.
    pub(crate) links: Vec<Vec<u8>>,
    /// The links that begin the document's next epoch.
    pub(crate) later: Vec<Vec<u8>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let key = |n| SecretKey::from_bytes(&[n; 32]);
        let (root, me, evil) = (key(1), key(2).node_id(), key(3));
        let genesis = Genesis {
            name: "acme".parse().expect("a mesh's name"),
            roots: [root.node_id()].into(),
            threshold: 1,
            nonce: [0; 16],
            created_at: Timestamp::from_millis(0),
        };
        let (genesis, mesh) = genesis.sign(&root);
        let mut world = Self {
            genesis: genesis.to_bytes(),
            mesh,
            me,
            evil,
            records: Records::new(),
            frames: Vec::new(),
            links: Vec::new(),
            later: Vec::new(),
        };
        let mut fleet = world.fleet(me, Records::new());
        let mut records = Records::new();
        for (serial, subject) in [(1, me), (2, world.evil())] {
            let certificate = certificate(subject, root.node_id(), serial);
            let object = Object::sign(&root, mesh, &certificate);
            let effects = fleet.publish(object, NOW).expect("a root's certificate is taken");
            store(&effects, &mut records);
        }
        world.records = records;
        world.converse();
        world.later = world.next_epoch();
        world
    }

    /// The hostile node's id.
    pub(crate) fn evil(&self) -> NodeId {
        self.evil.node_id()
    }

    /// The node under test, as restored from its records.
    pub(crate) fn open(&self, records: Records) -> Fleet {
        self.fleet(self.me, records)
    }

    fn fleet(&self, me: NodeId, records: Records) -> Fleet {
        Fleet::open(&self.genesis, self.mesh, me, records).expect("what a fleet wrote, it opens")
    }

    /// Lets the two talk until nothing is left to say, and keeps what the hostile one said.
    fn converse(&mut self) {
        let (me, evil) = (self.me, self.evil());
        let mut nodes = [self.fleet(me, self.records.clone()), self.fleet(evil, self.records.clone())];
        let mut queue = Vec::new();
        queue.extend(sends(0, nodes[0].handle(Event::Connected { peer: evil }, NOW)));
        queue.extend(sends(1, nodes[1].handle(Event::Connected { peer: me }, NOW)));
        for size in [1, 2] {
            self.deliver(&mut nodes, &mut queue);
            let held = Edit::PutArtifact { blake3: Blake3::from_bytes([7; 32]), size };
            let effects = nodes[1].write(&self.evil, DocKind::Node, NOW, &[held]).expect("a member may write");
            queue.extend(sends(1, effects));
        }
        self.deliver(&mut nodes, &mut queue);
        assert_eq!(self.links.len(), 2, "an honest node passes on each of its changes once");
    }

    fn deliver(&mut self, nodes: &mut [Fleet; 2], queue: &mut Vec<(usize, Vec<u8>)>) {
        let ids = [self.me, self.evil()];
        while !queue.is_empty() {
            let (from, frame) = queue.remove(0);
            if from == 1 {
                if let Ok(Frame::Links { links, .. }) = codec::decode(&frame, MAX_FRAME_BYTES) {
                    self.links.extend(links);
                }
                self.frames.push(frame.clone());
            }
            let effects = nodes[1 - from].handle(Event::Received { peer: ids[from], frame }, NOW);
            queue.extend(sends(1 - from, effects));
        }
    }

    /// What the hostile node says once its first epoch is full.
    fn next_epoch(&self) -> Vec<Vec<u8>> {
        let (me, evil) = (self.me, self.evil());
        let mut nodes = [self.fleet(me, self.records.clone()), self.fleet(evil, self.records.clone())];
        let hello = nodes[0].handle(Event::Connected { peer: evil }, NOW);
        nodes[1].handle(Event::Connected { peer: me }, NOW);
        for (_, frame) in sends(0, hello) {
            nodes[1].handle(Event::Received { peer: me, frame }, NOW);
        }
        let mut size = 0;
        loop {
            size += 1;
            let held = Edit::PutArtifact { blake3: Blake3::from_bytes([7; 32]), size };
            let effects = nodes[1].write(&self.evil, DocKind::Node, NOW, &[held]).expect("a member may write");
            let said = sends(1, effects).into_iter().filter_map(|(_, frame)| {
                match codec::decode(&frame, MAX_FRAME_BYTES).expect("a node says whole frames") {
                    Frame::Links { head, links, .. } if head.doc.epoch > 0 => Some(links),
                    _ => None,
                }
            });
            let links: Vec<Vec<u8>> = said.flatten().collect();
            if !links.is_empty() {
                return links;
            }
        }
    }

    /// A frame of the hostile node's own links from `first_seq` on, whose signature holds.
    pub(crate) fn links_frame(&self, kind: DocKind, epoch: u32, first_seq: u64, links: Vec<Vec<u8>>) -> Vec<u8> {
        let scope = if kind == DocKind::Node { Scope::Cell(CellPath::root()) } else { Scope::Mesh };
        let doc = DocId { author: self.evil(), kind, scope, epoch };
        let last = links.last().map(|link| change_hash(link)).expect("at least one link");
        let seq = first_seq + links.len() as u64 - 1;
        let head = SignedHead::sign(&self.evil, self.mesh, doc, seq, last, NOW);
        codec::encode(&Frame::Links { cause: Cause::New, head, first_seq, links })
    }
}

fn certificate(subject: NodeId, issuer: NodeId, serial: u64) -> Certificate {
    Certificate {
        subject,
        name: format!("node-{serial}").parse().expect("a node's name"),
        roles: [Role::Release, Role::Deploy, Role::Device].into(),
        cell: CellPath::root(),
        labels: BTreeMap::new(),
        architecture: "x86_64".parse().expect("an architecture"),
        class: "x86-64".parse().expect("a class of hardware"),
        issuer,
        serial,
        revision: 1,
        not_before: Timestamp::from_millis(0),
        not_after: None,
    }
}

/// Carries out what is to be stored.
pub(crate) fn store(effects: &[Effect], records: &mut Records) {
    for effect in effects {
        let Effect::Persist(writes) = effect else { continue };
        for Write { key, value } in writes {
            match value {
                Some(value) => drop(records.insert(key.clone(), value.clone())),
                None => drop(records.remove(key)),
            }
        }
    }
}

fn sends(from: usize, effects: Vec<Effect>) -> Vec<(usize, Vec<u8>)> {
    let frames = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send { frame, .. } => Some((from, frame)),
        _ => None,
    });
    frames.collect()
}

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const BEFORE_CONTENT: usize = 8;

/// The chunk of an Automerge change with this content, checksum and length made to fit.
pub(crate) fn chunk(content: &[u8]) -> Vec<u8> {
    let mut hashed = vec![1];
    let mut rest = content.len();
    while rest >= 0x80 {
        hashed.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    hashed.push(rest as u8);
    hashed.extend(content);
    [&MAGIC[..], &sha256(&hashed)[..4], &hashed].concat()
}

/// The content of such a chunk.
pub(crate) fn content(chunk: &[u8]) -> &[u8] {
    let length = chunk[BEFORE_CONTENT + 1..].iter().position(|byte| byte & 0x80 == 0).expect("a length ends");
    &chunk[BEFORE_CONTENT + 1 + length + 1..]
}

fn change_hash(chunk: &[u8]) -> ChangeHash {
    ChangeHash::from_bytes(sha256(&chunk[BEFORE_CONTENT..]))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    *sedge_statement::Sha256::of(bytes).as_bytes()
}
