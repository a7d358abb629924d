//! Objects and evidence: the set that syncs by id.

use sedge_statement::{NodeId, Object, ObjectError, ObjectId, ObjectKind, Revocation, RootVersion, Timestamp};

use super::{Effect, Fleet, send, send_all};
use crate::documents::Documents;
use crate::frame::{Cause, Frame, Item};
use crate::membership::{CertificateRefusal, EntryRefusal, RevocationRefusal, RollRefusal, RootsRefusal};
use crate::objects::Room;
use crate::record::{self, Write};
use crate::{Finding, FindingKind};

/// How many bytes of items go into one frame, beside the last.
const ITEMS_PER_FRAME: usize = 256 << 10;

/// Why an object is not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The object does not verify in this mesh.
    #[error("the object {0}")]
    Object(#[from] ObjectError),
    /// Its signer holds no certificate; publish that one first.
    #[error("its signer is not a member")]
    NotAMember,
    /// The certificate is not in effect with what is known; publish its issuer's first, or issue it otherwise.
    #[error("the certificate {0}")]
    Certificate(#[from] CertificateRefusal),
    /// The revocation is not kept; have somebody sign it who may.
    #[error("the revocation {0}")]
    Revocation(#[from] RevocationRefusal),
    /// The version of the roots is not kept; propose one that can hold, as a root.
    #[error("the version of the roots {0}")]
    Roots(#[from] RootsRefusal),
    /// The roll is not kept; publish what names it first.
    #[error("the roll {0}")]
    Roll(#[from] RollRefusal),
    /// Under whom its signer entered the mesh is not kept; publish its certificate first.
    #[error("the word of who enrolled its signer {0}")]
    Entry(#[from] EntryRefusal),
    /// Its signer has published as much as one signer may.
    #[error("its signer has published too much")]
    OverQuota,
}

impl Fleet {
    /// Adds an object made here (a certificate just issued), and sends it to every peer.
    ///
    /// # Errors
    /// See [`PublishError`]; nothing was kept.
    pub fn publish(&mut self, object: Object, _now: Timestamp) -> Result<Vec<Effect>, PublishError> {
        let bytes = object.to_bytes();
        Object::open(&bytes, self.mesh)?;
        let Some(write) = self.keep(object, bytes.len())? else { return Ok(Vec::new()) };
        let mut out = self.clear_debris();
        out.push(Effect::Persist(vec![write]));
        let frame = Frame::Items { cause: Cause::New, items: vec![Item::Object(bytes)] };
        send_all(self.others(None), &frame, &mut out);
        self.settle(&mut out);
        self.changed(&mut out);
        Ok(out)
    }

    /// Keeps a verified object; nothing to write where it is known.
    pub(super) fn keep(&mut self, object: Object, bytes: usize) -> Result<Option<Write>, PublishError> {
        let id = object.id();
        if self.objects.contains(&id) {
            return Ok(None);
        }
        let gone = match self.objects.room(&id, &object, bytes) {
            _ if self.membership.is_kept_by_name(&id, &object) => None,
            Room::Free => None,
            Room::InPlaceOf(other) => Some(other),
            Room::Said => return Ok(None),
            Room::None => return Err(PublishError::OverQuota),
        };
        match object.kind() {
            ObjectKind::CERTIFICATE => {
                // One without a path could be made by anybody, in any number: it comes again once its issuer's is here.
                self.membership.judge(&id, &object.body()?)?;
                self.membership.insert(&object)?;
            }
            ObjectKind::REVOCATION => self.membership.add_revocation(&object)?,
            ObjectKind::ROOTS => self.membership.add_roots(&object)?,
            ObjectKind::ROLL if self.is_known(&object.signer()) => self.membership.add_roll(&object)?,
            ObjectKind::ENTRY => self.membership.add_entry(&object)?,
            _ if self.is_known(&object.signer()) => {}
            _ => return Err(PublishError::NotAMember),
        }
        gone.iter().for_each(|other| self.forget(other));
        let write = Write { key: record::object_key(&id), value: Some(object.to_bytes()) };
        self.objects.insert(id, object, bytes);
        Ok(Some(write))
    }

    fn forget(&mut self, id: &ObjectId) {
        self.objects.remove(id);
        self.debris.push(Write { key: record::object_key(id), value: None });
    }

    /// Judges anew who is a member, and what takes room, where anything was added that others hang on.
    pub(super) fn judge(&mut self) {
        if self.membership.settle() {
            let membership = &self.membership;
            self.objects.recount(|id, object| membership.is_in_effect(id, object));
            self.membership.shed().iter().for_each(|id| self.forget(id));
        }
    }

    /// Brings what was kept into effect: whose word is taken back says no more, and is heard no more.
    pub(super) fn settle(&mut self, out: &mut Vec<Effect>) {
        self.judge();
        let adopted: Vec<Write> =
            self.membership.take_adopted().iter().map(|(version, id)| record::roots(*version, id)).collect();
        if !adopted.is_empty() {
            out.push(Effect::Persist(adopted));
        }
        let limited = self.documents.limit(self.membership.all_revoked());
        if !limited.is_empty() {
            out.push(Effect::Persist(limited));
        }
        self.regroup(out);
        let revoked = self.peers.iter().filter(|(id, peer)| !peer.dismissed && self.membership.revoked(id).is_some());
        for peer in revoked.map(|(id, _)| *id).collect::<Vec<NodeId>>() {
            self.dismiss(peer, out);
        }
    }

    /// Tells a revoked node so, hears it no more, and closes its connection with the next tick.
    pub(super) fn dismiss(&mut self, peer: NodeId, out: &mut Vec<Effect>) {
        let about = |object: &&Object| match object.kind() {
            ObjectKind::REVOCATION => object.body::<Revocation>().is_ok_and(|revocation| revocation.subject == peer),
            ObjectKind::ROOTS => object.body::<RootVersion>().is_ok_and(|roots| roots.leaving.contains_key(&peer)),
            _ => false,
        };
        let told = self.objects.iter().map(|(_, object)| object).filter(about);
        let items = told.map(|object| Item::Object(object.to_bytes())).collect();
        send_items(peer, Cause::CatchUp, items, out);
        if let Some(state) = self.peers.get_mut(&peer) {
            (state.heard, state.dismissed) = (false, true);
        }
    }

    /// The ids of everything that syncs as a set, in order.
    pub(super) fn item_ids(&self) -> Vec<ObjectId> {
        let objects = self
            .objects
            .iter()
            .filter(|(id, object)| self.membership.is_in_effect(id, object) && self.is_known(&object.signer()));
        let forks = self.documents.forks_of().filter(|(author, _)| self.is_known(author)).map(|(_, id)| id);
        let mut ids: Vec<ObjectId> = objects.map(|(id, _)| *id).chain(forks).collect();
        ids.sort_unstable();
        ids
    }

    fn item(&self, id: &ObjectId) -> Option<Item> {
        let object = self.objects.get(id).map(|object| Item::Object(object.to_bytes()));
        object.or_else(|| self.documents.evidence(id).map(|bytes| Item::Fork(bytes.to_vec())))
    }

    pub(super) fn on_items(
        &mut self,
        peer: NodeId,
        cause: Cause,
        items: Vec<Item>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let (mut objects, mut forks) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Object(bytes) => match Object::open(&bytes, self.mesh) {
                    Ok(object) => objects.push((object, bytes)),
                    Err(error) => self.fault(peer, format_args!("object: {error}"), out),
                },
                Item::Fork(bytes) => forks.push(bytes),
            }
        }
        let fresh = self.take_objects(objects, out);
        if !fresh.is_empty() {
            self.settle(out);
            let writes = fresh.iter().map(|(write, _)| write.clone()).collect();
            out.push(Effect::Persist(writes));
            if cause == Cause::New {
                let items: Vec<Item> = fresh.into_iter().map(|(_, bytes)| Item::Object(bytes)).collect();
                self.others(Some(peer)).into_iter().for_each(|other| send_items(other, cause, items.clone(), out));
            } else {
                self.hurry_others(peer, now);
            }
            self.changed(out);
        }
        for bytes in forks {
            self.take_fork(peer, &bytes, out);
        }
    }

    /// Takes objects in whatever order they came: again and again, while any of them made others acceptable.
    fn take_objects(&mut self, mut waiting: Vec<(Object, Vec<u8>)>, out: &mut Vec<Effect>) -> Vec<(Write, Vec<u8>)> {
        let mut fresh = Vec::new();
        loop {
            let before = fresh.len();
            let mut refused = Vec::new();
            for (object, bytes) in waiting {
                match self.keep(object.clone(), bytes.len()) {
                    Ok(Some(write)) => fresh.push((write, bytes)),
                    Ok(None) => {}
                    Err(reason) => refused.push((object, bytes, reason)),
                }
            }
            self.judge();
            if refused.is_empty() || fresh.len() == before {
                for (object, _, reason) in refused {
                    self.note_refused(&object, reason, out);
                }
                return fresh;
            }
            waiting = refused.into_iter().map(|(object, bytes, _)| (object, bytes)).collect();
        }
    }

    fn note_refused(&mut self, object: &Object, reason: PublishError, out: &mut Vec<Effect>) {
        let kind = match reason {
            PublishError::OverQuota => FindingKind::OverQuota,
            PublishError::NotAMember => return,
            // Its issuer may well be on its way, and an unknown key cannot be named: there are too many.
            PublishError::Certificate(CertificateRefusal::UnknownIssuer) => return,
            // The root that proposed it is on its way too.
            PublishError::Roots(RootsRefusal::NotARoot) => return,
            // What names it, or the certificate, is on its way too.
            PublishError::Roll(RollRefusal::NotNamed) | PublishError::Entry(EntryRefusal::NotEnrolled) => return,
            PublishError::Certificate(_) | PublishError::Object(_) => FindingKind::BadCertificate,
            PublishError::Revocation(_) | PublishError::Roots(_) | PublishError::Roll(_) | PublishError::Entry(_) => {
                FindingKind::NotAllowed
            }
        };
        if self.is_known(&object.signer()) {
            self.note(Finding::new(kind, object.signer(), None, reason), out);
        }
    }

    fn take_fork(&mut self, peer: NodeId, bytes: &[u8], out: &mut Vec<Effect>) {
        if self.documents.has_evidence(bytes) {
            return;
        }
        let evidence = match Documents::open_evidence(bytes, self.mesh) {
            Ok(evidence) => evidence,
            Err(error) => return self.fault(peer, format_args!("evidence: {error}"), out),
        };
        let author = evidence.doc().author;
        if !self.is_known(&author) || self.membership.revoked(&author).is_some() {
            return;
        }
        match self.documents.accept(evidence) {
            Ok(Some(forked)) => self.announce_fork(forked, Some(peer), out),
            Ok(None) => {}
            Err(error) => self.fault(peer, format_args!("evidence: {error}"), out),
        }
    }

    pub(super) fn on_want_items(&mut self, peer: NodeId, ids: &[ObjectId], now: Timestamp, out: &mut Vec<Effect>) {
        self.answer_items(peer, ids, now, out);
    }

    /// Sends the items named, as far as they are held and the peer's share allows; answers how many bytes that was.
    pub(super) fn answer_items(
        &mut self,
        peer: NodeId,
        ids: &[ObjectId],
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> usize {
        let (mut items, mut sent) = (Vec::new(), 0);
        for id in ids {
            let Some(item) = self.item(id) else { continue };
            let bytes = size(&item);
            if !self.peers.get_mut(&peer).is_some_and(|state| state.may_answer(bytes, now)) {
                break;
            }
            sent += bytes;
            items.push(item);
        }
        send_items(peer, Cause::CatchUp, items, out);
        sent
    }
}

fn size(item: &Item) -> usize {
    match item {
        Item::Object(bytes) | Item::Fork(bytes) => bytes.len(),
    }
}

/// Sends items in frames of a bounded size: what fills a frame, and one more, which is at most [`Object::MAX_BYTES`].
fn send_items(peer: NodeId, cause: Cause, items: Vec<Item>, out: &mut Vec<Effect>) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for item in items {
        bytes += size(&item) + 8;
        batch.push(item);
        if bytes >= ITEMS_PER_FRAME {
            send(peer, &Frame::Items { cause, items: std::mem::take(&mut batch) }, out);
            bytes = 0;
        }
    }
    if !batch.is_empty() {
        send(peer, &Frame::Items { cause, items: batch }, out);
    }
}
