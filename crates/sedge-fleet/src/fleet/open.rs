//! Restoring a fleet from its records.

use std::collections::BTreeMap;

use sedge_statement::{DocId, Genesis, GenesisError, HeadError, MeshId, NodeId, Object, ObjectError, ObjectId};

use super::Fleet;
use crate::chain::{AdoptError, Chain, Link};
use crate::documents::Documents;
use crate::finding::Findings;
use crate::fork::EvidenceError;
use crate::objects::Objects;
use crate::record::{self, Key};
use crate::{Finding, FindingKind, Membership};

/// Why a fleet does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The genesis is not this mesh's. Without it nothing can be judged: join again.
    #[error("the genesis is {0}")]
    Genesis(#[from] GenesisError),
    /// A record is damaged. Remove the record named, or all of its document's: sync brings back what others hold.
    #[error("record {} is damaged: {source}", Name(key))]
    Record {
        /// Its key.
        key: Vec<u8>,
        /// What is wrong with it.
        source: RecordError,
    },
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The key is of no known form.
    #[error("unknown key")]
    Key,
    /// The value is not what was written.
    #[error("its bytes changed")]
    Damaged,
    /// The object does not verify.
    #[error("{0}")]
    Object(#[from] ObjectError),
    /// The evidence does not verify.
    #[error("{0}")]
    Evidence(#[from] EvidenceError),
    /// The value is not what its key names.
    #[error("not what its key names")]
    Name,
    /// A link before it is missing.
    #[error("the link before it is missing")]
    Gap,
    /// The chain up to it does not hold.
    #[error("{0}")]
    Chain(#[from] AdoptError),
    /// No head of the author's covers it.
    #[error("no signed head covers it")]
    NoHead,
    /// The head does not verify.
    #[error("{0}")]
    Head(#[from] HeadError),
}

struct Name<'a>(&'a [u8]);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match record::parse_key(self.0) {
            Some(Key::Link(doc, seq)) => write!(f, "link {seq} of {doc}"),
            Some(Key::Object(id)) => write!(f, "object {}", id.short()),
            Some(Key::Fork(id)) => write!(f, "evidence {}", id.short()),
            None => self.0.iter().take(16).try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// Records sorted by what they are.
#[derive(Default)]
struct Sorted {
    links: BTreeMap<DocId, BTreeMap<u64, Link>>,
    objects: BTreeMap<ObjectId, (Object, usize)>,
    forks: Vec<(ObjectId, Vec<u8>)>,
}

impl Fleet {
    /// Restores a fleet from what was persisted: nothing, at the first start.
    ///
    /// # Errors
    /// [`OpenError::Record`] names the first record that does not hold.
    pub fn open(
        genesis: &[u8],
        mesh: MeshId,
        me: NodeId,
        records: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, OpenError> {
        let genesis = Genesis::open(genesis, mesh)?;
        let mut sorted = Sorted::default();
        for (key, value) in records {
            sorted.add(&key, value, mesh).map_err(|source| OpenError::Record { key, source })?;
        }
        let mut documents = Documents::default();
        for (doc, links) in sorted.links {
            let last = links.keys().next_back().copied().unwrap_or(0);
            let chain = restore(&doc, links, mesh).map_err(|(seq, source)| OpenError::Record {
                key: record::link_key(&doc, seq.unwrap_or(last)),
                source,
            })?;
            documents.restore(doc, chain);
        }
        for (id, bytes) in sorted.forks {
            let cut = |documents: &mut Documents| -> Result<(), RecordError> {
                documents.accept(Documents::open_evidence(&bytes, mesh)?)?;
                Ok(())
            };
            cut(&mut documents).map_err(|source| OpenError::Record { key: record::fork_key(&id), source })?;
        }
        let mut fleet = Self {
            mesh,
            me,
            membership: Membership::new(genesis.clone(), mesh),
            genesis,
            objects: Objects::default(),
            documents,
            findings: Findings::default(),
            peers: BTreeMap::new(),
            digest: None,
            view: None,
        };
        fleet.restore_objects(sorted.objects);
        Ok(fleet)
    }

    /// Certificates were acceptable in the order they came, which the store does not keep: any that now is goes in, until none is left.
    fn restore_objects(&mut self, mut waiting: BTreeMap<ObjectId, (Object, usize)>) {
        loop {
            let before = waiting.len();
            waiting.retain(|_, (object, bytes)| self.keep(object.clone(), *bytes).is_err());
            if waiting.len() == before {
                break;
            }
        }
        for (object, _) in waiting.into_values() {
            let detail = "a stored object is not accepted any more";
            self.findings.note(Finding::new(FindingKind::BadCertificate, object.signer(), None, detail));
        }
    }
}

impl Sorted {
    fn add(&mut self, key: &[u8], value: Vec<u8>, mesh: MeshId) -> Result<(), RecordError> {
        match record::parse_key(key).ok_or(RecordError::Key)? {
            Key::Link(doc, seq) => {
                let link = record::parse_link(key, &doc, &value).ok_or(RecordError::Damaged)?;
                self.links.entry(doc).or_default().insert(seq, link);
            }
            Key::Object(id) => {
                let object = Object::open(&value, mesh)?;
                if object.id() != id {
                    return Err(RecordError::Name);
                }
                self.objects.insert(id, (object, value.len()));
            }
            Key::Fork(id) => {
                if crate::fork::Evidence::id(&value) != id {
                    return Err(RecordError::Name);
                }
                self.forks.push((id, value));
            }
        }
        Ok(())
    }
}

/// Rebuilds one chain. The last head's signature covers all links before it; the others are needed only to cut stretches.
fn restore(doc: &DocId, links: BTreeMap<u64, Link>, mesh: MeshId) -> Result<Chain, (Option<u64>, RecordError)> {
    let mut list = Vec::with_capacity(links.len());
    for ((seq, link), wanted) in links.into_iter().zip(1u64..) {
        if seq != wanted {
            return Err((Some(seq), RecordError::Gap));
        }
        if link.head.as_ref().is_some_and(|head| (&head.doc, head.seq, head.head) != (doc, seq, link.hash)) {
            return Err((Some(seq), RecordError::Name));
        }
        list.push(link);
    }
    let head = list.last().and_then(|link| link.head.clone()).ok_or((None, RecordError::NoHead))?;
    head.verify(mesh).map_err(|error| (None, error.into()))?;
    let mut chain = Chain::new(doc.clone(), None);
    chain.restore(list).map_err(|error| match error {
        AdoptError::Link { seq, .. } => (Some(seq), RecordError::Chain(error)),
        _ => (None, RecordError::Chain(error)),
    })?;
    if chain.head() == Some(head.head) { Ok(chain) } else { Err((None, RecordError::Name)) }
}
