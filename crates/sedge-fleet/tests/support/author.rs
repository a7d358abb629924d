//! A member that makes its documents by hand, link by link, and signs whatever it likes.

use sedge_fleet::testing::{Forge, Key, Op, hash, head, hello_frame, links_frame};
use sedge_fleet::{Effect, Event, FindingKind, MAX_GATE_LINKS, MAX_LINKS};
use sedge_statement::{ChangeHash, DocId, DocKind, Role, SlotState};

use super::{Net, Node, START, certificate, doc_id, id, key, mesh};

/// The hostile member.
pub(crate) const EVIL: u8 = 9;

/// One document in the making.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) doc: DocId,
    pub(crate) links: Vec<Vec<u8>>,
    next_op: u64,
}

impl Author {
    pub(crate) fn new(kind: DocKind, epoch: u32) -> Self {
        Self { doc: doc_id(id(EVIL), kind, epoch), links: vec![], next_op: 1 }
    }

    /// An epoch that says it follows another.
    pub(crate) fn after(before: &Self, complete_after: u64) -> Self {
        let mut next = Self::new(before.doc.kind, before.doc.epoch + 1);
        next.link(&handover(before.end(), complete_after));
        next
    }

    /// An epoch of as many links as one may have.
    pub(crate) fn full(kind: DocKind) -> Self {
        let mut author = Self::new(kind, 0);
        author.fill();
        author
    }

    pub(crate) fn fill(&mut self) {
        let full = if self.doc.kind == DocKind::Gate { MAX_GATE_LINKS } else { MAX_LINKS };
        while (self.links.len() as u64) < full {
            self.link(&[Op::put(&format!("filler {}", self.links.len()), "x")]);
        }
    }

    /// The number of the next link's first operation.
    pub(crate) fn next_op(&self) -> u64 {
        self.next_op
    }

    /// Sequence number and hash of the last link.
    pub(crate) fn end(&self) -> Option<(u64, ChangeHash)> {
        self.links.last().map(|raw| (self.links.len() as u64, hash(raw)))
    }

    pub(crate) fn link(&mut self, ops: &[Op]) -> &mut Self {
        self.raw(Forge::new(&self.doc, self.end(), self.next_op, ops).bytes());
        self.next_op += ops.len() as u64;
        self
    }

    /// A link whose bytes are whatever they are.
    pub(crate) fn raw(&mut self, raw: Vec<u8>) -> &mut Self {
        self.links.push(raw);
        self
    }

    /// The links from one place to another, under a head of the author's.
    pub(crate) fn page(&self, first: usize, last: usize) -> Vec<u8> {
        let seq = last as u64;
        let head = head(&key(EVIL), mesh(), &self.doc, seq, &self.links[last - 1]);
        links_frame(head, first as u64, self.links[first - 1..last].to_vec())
    }

    /// All links, in one page each of so many.
    pub(crate) fn pages(&self, of: usize) -> Vec<Vec<u8>> {
        let len = self.links.len();
        (1..=len).step_by(of).map(|first| self.page(first, len.min(first + of - 1))).collect()
    }
}

/// A member that the hostile one, and an honest carrier, are connected to.
pub(crate) fn listener(n: u8) -> Node {
    let mut node = Node::member(n);
    meet(&mut node);
    node
}

/// Connects the hostile member and an honest carrier.
pub(crate) fn meet(node: &mut Node) {
    for peer in [8, EVIL] {
        node.handle(Event::Connected { peer: id(peer) }, START);
        let path = [certificate(peer, &[Role::Device])];
        node.handle(Event::Received { peer: id(peer), frame: hello_frame(mesh(), &path) }, START);
    }
}

/// The author says frames itself.
pub(crate) fn say(node: &mut Node, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Effect> {
    hear(node, EVIL, frames)
}

/// Node 8 carries frames, in good faith.
pub(crate) fn carry(node: &mut Node, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Effect> {
    hear(node, 8, frames)
}

fn hear(node: &mut Node, from: u8, frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Effect> {
    frames.into_iter().flat_map(|frame| node.handle(Event::Received { peer: id(from), frame }, START)).collect()
}

pub(crate) fn links_of(node: &Node) -> usize {
    node.store.keys().filter(|key| key[0] == b'l').count()
}

pub(crate) fn evidence(node: &Node) -> Vec<Vec<u8>> {
    node.store.iter().filter(|(key, _)| key[0] == b'f').map(|(_, value)| value.clone()).collect()
}

/// The operations of a first link that names the epoch before; they take the first four numbers.
pub(crate) fn handover(end: Option<(u64, ChangeHash)>, complete_after: u64) -> Vec<Op> {
    let (seq, head) = end.map_or((0, (0, vec![])), |(seq, hash)| (seq, (32 << 4 | 7, hash.as_bytes().to_vec())));
    vec![
        Op::make("previous", 0),
        Op { object: 1, value: head, ..Op::put("head", "") },
        Op { object: 1, ..number("seq", seq) },
        number("complete_after", complete_after),
    ]
}

/// Sets a root key to a number.
pub(crate) fn number(name: &str, n: u64) -> Op {
    let mut bytes = Vec::new();
    let mut rest = n;
    while rest >= 0x80 {
        bytes.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    Op { value: ((bytes.len() as u64) << 4 | 3, bytes), ..Op::put(name, "") }
}

/// Says that the author holds files: the map, made by operation `map`, and one entry for each number.
pub(crate) fn artifacts(map: u64, numbers: impl IntoIterator<Item = u64>) -> Vec<Op> {
    let mut ops = vec![Op::make("artifacts", 0)];
    ops.extend(numbers.into_iter().map(|n| artifact(map, n)));
    ops
}

/// Says that the author holds one more file.
pub(crate) fn artifact(map: u64, n: u64) -> Op {
    let name = sedge_statement::Blake3::of(&n.to_le_bytes()).to_string();
    Op { object: map, ..number(&name, 1) }
}

/// Evidence on rollout `n`, whose entries stand in the map made by operation `map`; the entry is made by operation `at`.
pub(crate) fn evidence_of(map: u64, at: u64, n: u8, state: SlotState) -> Vec<Op> {
    let name = format!("{}/0", sedge_statement::RolloutId::from_bytes([n; 32]));
    vec![
        Op { object: map, ..Op::make(&name, 0) },
        Op { object: at, ..Op::put("state", state.word()) },
        Op { object: at, ..number("soaked", 1) },
        Op { object: at, ..number("at", 1) },
    ]
}

/// An element of no list, for links that nobody accepts.
pub(crate) fn nonsense() -> Op {
    Op { object: 1 << 40, key: Key::Element(7), ..Op::put("x", "1") }
}

/// Whatever two nodes that heard of a hostile author hold: once they meet they agree, fall silent, keep it over a restart, and accuse nobody
/// else.
pub(crate) fn agree(one: Node, other: Node) -> Net {
    let mut net = Net::new([one, other]);
    net.connect(1, 2);
    net.run(20);
    net.assert_agreed();
    net.bytes = 0;
    net.run(30);
    assert!(net.bytes < 10 * (34 + 40), "{} bytes where only digests are left to say", net.bytes);
    let before = net.digests();
    for n in [1, 2] {
        let found = net.node(n).view().findings.clone();
        assert!(found.iter().all(|finding| finding.about == id(EVIL)), "{found:?}");
        net.node(n).restart();
        let found = net.node(n).view().findings.clone();
        assert!(found.iter().all(|finding| finding.kind != FindingKind::Damaged), "{found:?}");
    }
    assert_eq!(net.digests(), before, "a restart changes nothing");
    assert!(net.closed.is_empty(), "{:?}", net.closed);
    net
}
