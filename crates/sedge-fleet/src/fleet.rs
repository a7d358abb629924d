//! All documents and objects of one node, and the sync protocol, without any I/O.

mod archive;
mod items;
mod links;
mod open;
mod scopes;
mod standing;
mod trail;
mod trust;
mod vector;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sedge_statement::{DocId, DocKind, Genesis, MeshId, NodeId, Object, Scope, Timestamp, codec};

use crate::chain::Chain;
use crate::documents::Documents;
use crate::finding::Findings;
use crate::frame::{Cause, Frame, Hello, Item, MAX_FRAME_BYTES, PROTOCOL};
use crate::objects::Objects;
use crate::peer::Peer;
use crate::view::{Fold, FoldInput};
use crate::{Finding, FindingKind, FleetView, Membership, Write};

pub use archive::{Archive, ArchiveError, MAX_ARCHIVE_BYTES};
pub use items::PublishError;
pub use open::{OpenError, RecordError};
use scopes::Wants;
pub use trust::{KeepError, Remnant};
pub use write::WriteError;

/// The most objects in a hello: sixteen certificates, and thirty changes of the roots with eight signatures each.
const MAX_PATH: usize = 256;

/// What happens to a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A peer is connected, and the transport has proven its id.
    Connected {
        /// The peer.
        peer: NodeId,
    },
    /// A peer is gone.
    Disconnected {
        /// The peer.
        peer: NodeId,
    },
    /// A peer sent a frame.
    Received {
        /// The peer.
        peer: NodeId,
        /// The frame, without its length.
        frame: Vec<u8>,
    },
    /// Time has passed; once a second or oftener.
    Tick,
}

/// What is to be done, in order; a `Persist` is synced before the sends behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write to the store, all or nothing.
    Persist(Vec<Write>),
    /// Send a frame.
    Send {
        /// To whom.
        peer: NodeId,
        /// The frame, without its length.
        frame: Vec<u8>,
    },
    /// Close the connection.
    Close {
        /// Of whom.
        peer: NodeId,
        /// Why.
        reason: CloseReason,
    },
    /// The view may have changed.
    Changed,
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer proved no valid certificate. It must join first.
    #[error("the peer is not a member")]
    NotAMember,
    /// The peer's key is revoked. Its owner joins anew under another.
    #[error("the peer is revoked")]
    Revoked,
    /// The peer is of another mesh.
    #[error("the peer is of another mesh")]
    OtherMesh,
    /// The peer speaks another version of the protocol; update the older one.
    #[error("the peer speaks another version of the protocol")]
    OtherProtocol,
    /// The peer sent too much that no honest node sends.
    #[error("the peer misbehaved")]
    Misbehaved,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FleetStats {
    /// Documents held.
    pub documents: usize,
    /// Documents of which a connected peer said it has more links. A peer may lie: for display only.
    pub behind: usize,
}

/// All documents and objects of one node, and its side of the sync protocol.
#[derive(Debug)]
pub struct Fleet {
    mesh: MeshId,
    me: NodeId,
    genesis: Genesis,
    /// The genesis as it was signed.
    founding: Object,
    membership: Membership,
    objects: Objects,
    documents: Documents,
    findings: Findings,
    /// Records that are damaged or count for nothing any more, to be removed with the next event.
    debris: Vec<Write>,
    peers: BTreeMap<NodeId, Peer>,
    wants: Wants,
    /// Of each scope that is held, as far as it was asked for since the last change.
    digests: BTreeMap<Scope, [u8; 32]>,
    fold: Fold,
    trails: trail::Trails,
    /// Whether anything changed since the last fold.
    unfolded: bool,
    /// By which hour of proven time, and by how many deployments, evidence was last let go.
    settled: (u64, usize),
}

impl Fleet {
    /// Takes an event and says what to do.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let mut out = self.clear_debris();
        match event {
            Event::Connected { peer } if peer != self.me => {
                self.peers.insert(peer, Peer::new(now));
                self.send_hello(peer, false, &mut out);
            }
            Event::Connected { .. } => {}
            Event::Disconnected { peer } => {
                self.peers.remove(&peer);
                self.documents.forget_peer(&peer);
            }
            Event::Received { peer, frame } => self.receive(peer, &frame, now, &mut out),
            Event::Tick => self.tick(now, &mut out),
        }
        out
    }

    /// Whether a peer may connect: it holds a valid certificate.
    pub fn admit(&self, peer: NodeId, now: Timestamp) -> bool {
        self.membership.is_member(&peer, self.time(now))
    }

    /// Whether a peer is revoked and is being told so: its session ends with the next tick.
    pub fn dismisses(&self, peer: &NodeId) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.dismissed)
    }

    /// This node's time: its clock's, and never before what an authority signed.
    fn time(&self, now: Timestamp) -> Timestamp {
        now.max(self.verified_time())
    }

    /// The latest time that a root or an authority has proven to be past: when the last link of its document that counts was made, while its
    /// certificate was valid. No device moves it, and what is taken back of an authority takes its time back too.
    pub fn verified_time(&self) -> Timestamp {
        let spoken = self.documents.chains().filter(|(doc, _)| doc.kind == DocKind::Authority);
        let times = spoken.filter_map(|(doc, chain)| Some((&doc.author, chain.made_at()?)));
        let valid = times.filter(|(author, at)| self.membership.is_authority(author, *at)).map(|(_, at)| at);
        valid.max().unwrap_or_default().max(self.membership.roots().since)
    }

    /// How much is held, and how much connected peers said they have beyond it.
    pub fn stats(&self) -> FleetStats {
        let lacking = |(doc, seq): &(&DocId, &u64)| self.documents.chain(doc).map_or(0, |chain| chain.len()) < **seq;
        let ahead = self.peers.values().flat_map(|peer| peer.ahead.iter()).filter(lacking);
        FleetStats {
            documents: self.documents.chains().count(),
            behind: ahead.map(|(doc, _)| doc).collect::<BTreeSet<_>>().len(),
        }
    }

    /// What the mesh says, as far as this node has heard. The same one again where neither a change nor time made another.
    pub fn view(&mut self, now: Timestamp) -> Arc<FleetView> {
        if !self.unfolded
            && let Some(view) = self.fold.last(&self.membership, self.time(now))
        {
            return Arc::clone(view);
        }
        let mut fold = std::mem::take(&mut self.fold);
        let view = fold.view(self.fold_input(now));
        (self.fold, self.unfolded) = (fold, false);
        view
    }

    /// See [`crate::testing::set_share`].
    #[cfg(feature = "testing")]
    pub(crate) fn set_share(&mut self, share: usize) {
        self.documents.set_share(share);
    }

    /// See [`crate::testing::counting_hash`].
    #[cfg(feature = "testing")]
    pub(crate) fn counting_hash(&self, doc: &DocId, seq: u64) -> Option<sedge_statement::ChangeHash> {
        let chain = self.documents.chain(doc).filter(|chain| seq <= chain.len())?;
        chain.hash_at(seq)
    }

    /// Everything that the view at `now` depends on.
    pub(crate) fn fold_input(&self, now: Timestamp) -> FoldInput<'_> {
        let mut findings = self.findings.list();
        findings.extend(self.documents.forked().map(|(doc, from)| {
            let detail = format_args!("two signed histories part at link {from}").to_string();
            Finding::new(FindingKind::Fork, doc.author, Some(doc.clone()), detail)
        }));
        FoldInput {
            mesh: self.mesh,
            genesis: &self.genesis,
            membership: &self.membership,
            documents: self.documents.readable(),
            held: self.known_cells(),
            findings,
            verified: self.verified_time(),
            now,
        }
    }

    /// Removes such records from the store, before anything is stored under the same keys.
    fn clear_debris(&mut self) -> Vec<Effect> {
        let debris = std::mem::take(&mut self.debris);
        if debris.is_empty() { Vec::new() } else { vec![Effect::Persist(debris)] }
    }

    fn receive(&mut self, peer: NodeId, bytes: &[u8], now: Timestamp, out: &mut Vec<Effect>) {
        let Some(state) = self.peers.get(&peer).filter(|state| !state.dismissed) else { return };
        let heard = state.heard;
        if heard && Frame::is_later(bytes) {
            return;
        }
        let frame = match Frame::from_bytes(bytes) {
            Ok(frame) => frame,
            Err(error) => return self.fault(peer, format_args!("frame: {error}"), out),
        };
        match frame {
            Frame::Hello(hello) => self.on_hello(peer, hello, now, out),
            // A frame from before a hello that was lost; the hello comes again with the next tick.
            _ if !heard => {}
            Frame::Digest { scope, digest } => self.on_digest(peer, scope, digest, now, out),
            Frame::Vector { scope, from, to, docs } => self.on_vector(peer, scope, (from, to), docs, now, out),
            Frame::Set { from, to, ids } => self.on_set(peer, from, to, ids, now, out),
            Frame::Links { cause, head, first_seq, links } => {
                self.on_links(peer, cause, head, first_seq, links, now, out);
            }
            Frame::Items { cause, items } => self.on_items(peer, cause, items, now, out),
            Frame::Want { doc, from_seq } => {
                // What the peer's share does not allow, it asks for again.
                let _ = self.send_pages(peer, &doc, from_seq, now, out);
            }
            Frame::WantItems(ids) => self.on_want_items(peer, &ids, now, out),
            Frame::Wants(cells) => self.on_wants(peer, cells, now, out),
        }
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        let dismissed = self.peers.iter().filter(|(_, peer)| peer.dismissed).map(|(id, _)| *id);
        for peer in dismissed.collect::<Vec<_>>() {
            self.close(peer, CloseReason::Revoked, out);
        }
        self.lapse_wants(now, out);
        self.forget_settled(now, out);
        self.documents.pass(now);
        self.judge_gaps(now, out);
        let due: Vec<(NodeId, bool, bool)> = self
            .peers
            .iter_mut()
            .filter_map(|(id, peer)| {
                let due = peer.is_due(&self.me, id, now);
                due.then(|| (*id, peer.heard, std::mem::take(&mut peer.news)))
            })
            .collect();
        for (peer, heard, news) in due {
            match heard {
                false => self.send_hello(peer, false, out),
                true => {
                    self.repeat_wants(peer, out);
                    if self.me > peer || news {
                        self.send_digests(peer, out);
                    }
                }
            }
        }
    }

    fn on_hello(&mut self, peer: NodeId, hello: Hello, now: Timestamp, out: &mut Vec<Effect>) {
        if hello.protocol != PROTOCOL {
            return self.close(peer, CloseReason::OtherProtocol, out);
        }
        if hello.mesh != self.mesh {
            return self.close(peer, CloseReason::OtherMesh, out);
        }
        if hello.path.len() > MAX_PATH {
            return self.fault(peer, "a path of certificates without end", out);
        }
        let items = hello.path.into_iter().map(Item::Object).collect();
        self.on_items(peer, Cause::CatchUp, items, now, out);
        if self.membership.revoked(&peer).is_some() {
            return self.dismiss(peer, out);
        }
        if !self.membership.is_member(&peer, self.time(now)) {
            return self.close(peer, CloseReason::NotAMember, out);
        }
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let first = !state.heard;
        state.heard = true;
        if !hello.heard {
            self.send_hello(peer, true, out);
        }
        if first {
            self.repeat_wants(peer, out);
            if self.me > peer {
                self.send_digests(peer, out);
            }
        }
    }

    fn send_hello(&self, peer: NodeId, heard: bool, out: &mut Vec<Effect>) {
        let path = self.certificate_path(self.me).iter().map(Object::to_bytes).collect();
        send(peer, &Frame::Hello(Hello { protocol: PROTOCOL, mesh: self.mesh, path, heard }), out);
    }

    /// Says the digest of every scope that the peer holds too.
    fn send_digests(&mut self, peer: NodeId, out: &mut Vec<Effect>) {
        self.shared(&peer).into_iter().for_each(|scope| self.send_digest(peer, scope, out));
    }

    fn send_digest(&mut self, peer: NodeId, scope: Scope, out: &mut Vec<Effect>) {
        let digest = self.digest(&scope);
        send(peer, &Frame::Digest { scope, digest }, out);
    }

    /// The digest of everything that syncs in a scope.
    fn digest(&mut self, scope: &Scope) -> [u8; 32] {
        if let Some(digest) = self.digests.get(scope) {
            return *digest;
        }
        let mut hasher = blake3::Hasher::new_derive_key("sedge sync digest 1");
        for (doc, chain) in self.told(scope) {
            hasher.update(&codec::encode(&(doc, chain.len(), chain.head())));
        }
        if *scope == Scope::Mesh {
            for id in self.item_ids() {
                hasher.update(id.as_bytes());
            }
        }
        let digest = *hasher.finalize().as_bytes();
        self.digests.insert(scope.clone(), digest);
        digest
    }

    /// The documents of a scope that are told of: those that others keep too. An author's certificate may be void since, or name another cell, and what a
    /// node holds of it would be offered to others for ever.
    fn told(&self, scope: &Scope) -> impl Iterator<Item = (&DocId, &Chain)> {
        let of_scope = self.documents.chains().filter(move |(doc, _)| doc.scope == *scope);
        of_scope.filter(|(doc, _)| self.is_known(&doc.author) && self.is_placed(doc))
    }

    /// Whether documents of this author are kept: it is a root, or holds a certificate.
    fn is_known(&self, author: &NodeId) -> bool {
        self.membership.was_ever_root(author) || self.membership.certificate(author).is_some()
    }

    /// The peers that are members, but one.
    fn others(&self, but: Option<NodeId>) -> Vec<NodeId> {
        self.peers.iter().filter(|(id, peer)| peer.heard && Some(**id) != but).map(|(id, _)| *id).collect()
    }

    /// Hurries the digests to all peers but one: they may lack what came from it.
    fn hurry_others(&mut self, but: NodeId, now: Timestamp) {
        self.peers.iter_mut().filter(|(id, _)| **id != but).for_each(|(_, peer)| peer.hurry(now));
    }

    fn changed(&mut self, out: &mut Vec<Effect>) {
        self.digests.clear();
        self.unfolded = true;
        if !out.contains(&Effect::Changed) {
            out.push(Effect::Changed);
        }
    }

    fn note(&mut self, finding: Finding, out: &mut Vec<Effect>) {
        self.unfolded = true;
        if self.findings.note(finding) && !out.contains(&Effect::Changed) {
            out.push(Effect::Changed);
        }
    }

    /// Counts a fault of a sender, and closes the connection after too many.
    fn fault(&mut self, peer: NodeId, detail: impl std::fmt::Display, out: &mut Vec<Effect>) {
        self.note(Finding::new(FindingKind::Malformed, peer, None, detail), out);
        if self.peers.get_mut(&peer).is_some_and(Peer::fault) {
            self.close(peer, CloseReason::Misbehaved, out);
        }
    }

    fn close(&mut self, peer: NodeId, reason: CloseReason, out: &mut Vec<Effect>) {
        self.peers.remove(&peer);
        self.documents.forget_peer(&peer);
        out.push(Effect::Close { peer, reason });
    }
}

fn send(peer: NodeId, frame: &Frame, out: &mut Vec<Effect>) {
    send_all([peer], frame, out);
}

/// Sends one frame to several peers.
fn send_all(peers: impl IntoIterator<Item = NodeId>, frame: &Frame, out: &mut Vec<Effect>) {
    let mut peers = peers.into_iter().peekable();
    if peers.peek().is_none() {
        return;
    }
    let frame = frame.to_bytes();
    debug_assert!(frame.len() <= MAX_FRAME_BYTES, "frames are paged");
    out.extend(peers.map(|peer| Effect::Send { peer, frame: frame.clone() }));
}
