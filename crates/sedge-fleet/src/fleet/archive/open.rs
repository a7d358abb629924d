//! Opening an archive, believing nothing.
//!
//! Every signature is verified and every hash chain followed by the code that judges what peers send; what then stands in the fleet is what a node
//! would hold that had heard all of it. The first thing that does not hold ends it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sedge_statement::codec::{self, CodecError};
use sedge_statement::{DocId, Genesis, GenesisError, MeshId, NodeId, Object, ObjectError, ObjectId, Scope, Timestamp};

use super::{Body, Document, MAGIC, MAX_ARCHIVE_BYTES, VERSION, is_archived};
use crate::FleetView;
use crate::chain::{AdoptError, Chain, Link};
use crate::documents::{Documents, predecessor};
use crate::fleet::{Fleet, OpenError};
use crate::fork::EvidenceError;
use crate::segment::{Segment, SegmentError};
use crate::trail::Entry;

/// Why an archive is not to be believed: the first place in it that does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Not an archive at all. Check which file it is.
    #[error("it is no archive of Sedge's")]
    NotAnArchive,
    /// Written by a newer Sedge: read it with that.
    #[error("it has version {0}, and this program knows versions up to {VERSION}")]
    Newer(u16),
    /// It was cut, lengthened or damaged where no signature reaches, or is too long.
    #[error("it is {0}")]
    Codec(#[from] CodecError),
    /// The genesis makes no mesh.
    #[error("the genesis is {0}")]
    Genesis(#[from] GenesisError),
    /// It is of another mesh than the one that was asked for.
    #[error("it is of mesh {0}")]
    OtherMesh(MeshId),
    /// Things are not in their one order, or twice there.
    #[error("{what} {n} is out of order")]
    Order {
        /// What.
        what: &'static str,
        /// Which, from one.
        n: usize,
    },
    /// An object's signature does not hold.
    #[error("object {n} is {source}")]
    Object {
        /// Which, from one.
        n: usize,
        /// Why.
        source: ObjectError,
    },
    /// An object that no node keeps.
    #[error("object {0} is none that a node keeps")]
    NotKept(ObjectId),
    /// The versions of the roots are not those that enough roots signed.
    #[error("version {0} of the roots is not the one that enough roots signed")]
    Roots(u32),
    /// Evidence that proves no fork.
    #[error("evidence {n}: {source}")]
    Evidence {
        /// Which, from one.
        n: usize,
        /// Why.
        source: EvidenceError,
    },
    /// A document of a kind or scope that no archive holds, or without a link.
    #[error("document {0} has no place in an archive, or no links")]
    OutOfPlace(DocId),
    /// A head's signature does not hold, or links do not lead up to it.
    #[error("document {doc}, from link {seq} on: {source}")]
    Links {
        /// The document.
        doc: DocId,
        /// Where the stretch begins.
        seq: u64,
        /// Why.
        source: SegmentError,
    },
    /// A link does not follow the one before it: one between them is missing.
    #[error("document {doc}: link {seq} does not follow the one before it")]
    Broken {
        /// The document.
        doc: DocId,
        /// Which.
        seq: u64,
    },
    /// A link that no node takes.
    #[error("document {doc}: {source}")]
    Refused {
        /// The document.
        doc: DocId,
        /// Which link, and why.
        source: AdoptError,
    },
    /// The epoch before it is missing, not whole, or not the one that it names.
    #[error("document {0} does not follow the epoch before it")]
    Unfollowed(DocId),
    /// More of a document than a node keeps once a fork of it is proven.
    #[error("document {0} goes on behind a fork that ends it")]
    BehindFork(DocId),
}

/// An archive of which everything holds.
#[derive(Debug)]
pub struct Archive {
    fleet: Fleet,
}

impl Archive {
    /// Opens an archive and proves all of it; with `mesh`, that it is of that mesh.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub fn open(bytes: &[u8], mesh: Option<MeshId>) -> Result<Self, ArchiveError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ArchiveError::NotAnArchive)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(ArchiveError::NotAnArchive)?;
        match u16::from_le_bytes(*version) {
            VERSION => {}
            0 => return Err(ArchiveError::NotAnArchive),
            newer => return Err(ArchiveError::Newer(newer)),
        }
        let body: Body = codec::decode(rest, MAX_ARCHIVE_BYTES)?;
        let founding = Object::restore(&body.genesis, Genesis::NO_MESH).map_err(GenesisError::from)?;
        let id = MeshId::from_bytes(*founding.id().as_bytes());
        if mesh.is_some_and(|mesh| mesh != id) {
            return Err(ArchiveError::OtherMesh(id));
        }
        // Nobody's: it is read, and never writes.
        let nobody = NodeId::from_bytes([0; 32]);
        let mut fleet = Fleet::open(&body.genesis, id, nobody, []).map_err(|error| match error {
            OpenError::Genesis(error) => ArchiveError::Genesis(error),
            OpenError::Record { .. } => unreachable!("there are no records"),
        })?;
        fleet.prove_objects(&body)?;
        fleet.prove_evidence(body.evidence)?;
        fleet.prove_documents(body.documents)?;
        Ok(Self { fleet })
    }

    /// The mesh that it is of.
    pub fn mesh(&self) -> MeshId {
        self.fleet.mesh
    }

    /// The audit trail, as a node that holds the same would tell it.
    pub fn trail(&mut self, now: Timestamp) -> Vec<Entry> {
        self.fleet.trail(now)
    }

    /// What the mesh says by it, less what nodes say of themselves.
    pub fn view(&mut self, now: Timestamp) -> Arc<FleetView> {
        self.fleet.view(now)
    }
}

impl Fleet {
    fn prove_objects(&mut self, body: &Body) -> Result<(), ArchiveError> {
        let mut objects: BTreeMap<ObjectId, (Object, usize)> = BTreeMap::new();
        for (bytes, n) in body.objects.iter().zip(1..) {
            let object = Object::open(bytes, self.mesh).map_err(|source| ArchiveError::Object { n, source })?;
            let id = object.id();
            if objects.last_key_value().is_some_and(|(last, _)| *last >= id) {
                return Err(ArchiveError::Order { what: "object", n });
            }
            objects.insert(id, (object, bytes.len()));
        }
        let ids: Vec<ObjectId> = objects.keys().copied().collect();
        for (version, id) in &body.roots {
            self.membership.remember_adopted(*version, *id);
        }
        self.restore_objects(objects);
        if let Some(id) = ids.into_iter().find(|id| !self.objects.contains(id)) {
            return Err(ArchiveError::NotKept(id));
        }
        let followed: Vec<_> = self.membership.followed().collect();
        if followed != body.roots {
            let known = followed.iter().zip(&body.roots).take_while(|(known, said)| known == said).count();
            return Err(ArchiveError::Roots(u32::try_from(known + 1).unwrap_or(u32::MAX)));
        }
        Ok(())
    }

    fn prove_evidence(&mut self, all: Vec<Vec<u8>>) -> Result<(), ArchiveError> {
        let mut last: Option<DocId> = None;
        for (bytes, n) in all.into_iter().zip(1..) {
            let evidence =
                Documents::open_evidence(&bytes, self.mesh).map_err(|source| ArchiveError::Evidence { n, source })?;
            let doc = evidence.doc().clone();
            if last.as_ref().is_some_and(|last| *last >= doc) {
                return Err(ArchiveError::Order { what: "evidence", n });
            }
            let kept = self.documents.accept(evidence);
            if kept.map_err(|source| ArchiveError::Refused { doc: doc.clone(), source })?.is_none() {
                return Err(ArchiveError::OutOfPlace(doc));
            }
            last = Some(doc);
        }
        Ok(())
    }

    fn prove_documents(&mut self, documents: Vec<Document>) -> Result<(), ArchiveError> {
        if let Some(at) = documents.windows(2).position(|pair| pair[0].doc >= pair[1].doc) {
            return Err(ArchiveError::Order { what: "document", n: at + 2 });
        }
        // The later epochs first: of a revoked author each says how the one before it ends.
        for document in documents.into_iter().rev() {
            self.prove_document(document)?;
        }
        match self.documents.all_chains().find(|chain| !self.follows(chain)) {
            Some(chain) => Err(ArchiveError::Unfollowed(chain.id().clone())),
            None => Ok(()),
        }
    }

    fn prove_document(&mut self, Document { doc, stretches }: Document) -> Result<(), ArchiveError> {
        if stretches.is_empty() || !is_archived(doc.kind) || doc.scope != Scope::Mesh {
            return Err(ArchiveError::OutOfPlace(doc));
        }
        let mut links: Vec<Link> = Vec::new();
        for stretch in stretches {
            let seq = links.len() as u64 + 1;
            if stretch.head.doc != doc {
                return Err(ArchiveError::OutOfPlace(doc));
            }
            let segment = Segment::open(self.mesh, stretch.head, seq, stretch.links)
                .map_err(|source| ArchiveError::Links { doc: doc.clone(), seq, source })?;
            if segment.previous() != links.last().map(|link| link.hash) {
                return Err(ArchiveError::Broken { doc, seq });
            }
            links.extend(segment.into_links());
        }
        let held = links.len() as u64;
        let mut chain = self.documents.beginning(&doc);
        let refused = |source| ArchiveError::Refused { doc: doc.clone(), source };
        chain.restore(links).map_err(refused)?;
        self.documents.end_restored(&mut chain);
        chain.automerge().map_err(refused)?;
        if chain.held() != held || (chain.len() > 0 && self.documents.is_over(&doc)) {
            return Err(ArchiveError::BehindFork(doc));
        }
        self.documents.insert(chain);
        Ok(())
    }

    /// Whether an epoch continues the one before it. Of one whose links do not count nobody asks.
    fn follows(&self, chain: &Chain) -> bool {
        let Some(before) = predecessor(chain.id()).filter(|_| chain.len() > 0) else { return true };
        let before = self.documents.chain(&before);
        before.is_some_and(|before| {
            before.is_full()
                && chain.handover().map(|told| (told.seq, told.head)) == Some((before.len(), before.head()))
        })
    }
}
