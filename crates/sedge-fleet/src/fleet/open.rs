//! Restoring a fleet from its records.
//!
//! A record was written only after every check, by this node, to a disk that only it writes. So what has to be found at a start is damage,
//! not malice: whoever can forge these records can also read the key beside them. What is proven anew is
//!
//! - of an object, that its bytes give the digest that is its name: no signature is verified again, since the digest covers it;
//! - of a document, each record's own checksum, the links' hashes up to the last signed head, that head's signature, and the whole check of
//!   every link, which also gives what the document says. One signature covers all before it;
//! - of evidence, all of it, and before any document: what a fork cut off was not checked when it came, and is not now.
//!
//! Automerge is given this node's own documents, to write on; others' when their next link comes. It had every link before the link was stored.
//!
//! What is damaged is left out with a [`FindingKind::Damaged`], removed from the store with the next event, and asked for again, since others hold
//! it too. Only this node's own documents refuse to open: a node that forgets what it wrote would write it differently, and fork.

use std::collections::BTreeMap;

use sedge_statement::{
    DocId, Genesis, GenesisError, HeadError, MeshId, NodeId, Object, ObjectError, ObjectId, ObjectKind, RootsId,
};

use super::Fleet;
use super::scopes::Wants;
use super::trail::Trails;
use crate::chain::{AdoptError, Chain, Link};
use crate::documents::{Documents, is_in_use};
use crate::finding::Findings;
use crate::fork::{Evidence, EvidenceError};
use crate::objects::{Objects, Room};
use crate::record::{self, Key};
use crate::view::Fold;
use crate::{Finding, FindingKind, Membership, Write};

/// Why a fleet does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The genesis is not this mesh's. Without it nothing can be judged: join again.
    #[error("the genesis is {0}")]
    Genesis(#[from] GenesisError),
    /// A record of this node's own document is damaged. Restore the home from a copy, or join anew under a new key; or remove all of that
    /// document's records, where neighbours hold it too and will be heard before the next write.
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
            Some(Key::Roots(version)) => write!(f, "version {version} of the roots"),
            None => self.0.iter().take(16).try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// A link's place in its chain, and what its record came to.
type StoredLink = (u64, Result<Link, RecordError>);

/// Records sorted by what they are, and those that are damaged.
struct Sorted {
    mesh: MeshId,
    documents: BTreeMap<DocId, Vec<StoredLink>>,
    objects: BTreeMap<ObjectId, (Object, usize)>,
    forks: Vec<(ObjectId, Vec<u8>)>,
    roots: BTreeMap<u32, RootsId>,
    damage: Vec<Damage>,
    /// The keys of records that are whole and count for nothing any more.
    needless: Vec<Vec<u8>>,
}

/// Records that are left out.
struct Damage {
    keys: Vec<Vec<u8>>,
    doc: Option<DocId>,
    what: String,
}

impl Fleet {
    /// Restores a fleet from what was persisted: nothing, at the first start.
    ///
    /// Damaged records that others hold too are left out, with findings.
    ///
    /// # Errors
    /// [`OpenError::Record`] names a record that cannot be left out.
    pub fn open(
        genesis: &[u8],
        mesh: MeshId,
        me: NodeId,
        records: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, OpenError> {
        let founding = Object::restore(genesis, Genesis::NO_MESH).map_err(GenesisError::from)?;
        let genesis = Genesis::open(genesis, mesh)?;
        let mut sorted = Sorted::new(mesh);
        for (key, value) in records {
            sorted.add(key, value)?;
        }
        let mut fleet = Self {
            mesh,
            me,
            membership: Membership::new(genesis.clone(), mesh),
            genesis,
            founding,
            objects: Objects::default(),
            documents: Documents::default(),
            findings: Findings::default(),
            debris: Vec::new(),
            peers: BTreeMap::new(),
            wants: Wants::default(),
            digests: BTreeMap::new(),
            fold: Fold::default(),
            trails: Trails::default(),
            unfolded: true,
            settled: (0, 0),
        };
        for (version, id) in std::mem::take(&mut sorted.roots) {
            fleet.membership.remember_adopted(version, id);
        }
        // Before the documents: what is kept of a revoked author says how many of its links were ever checked.
        fleet.restore_objects(std::mem::take(&mut sorted.objects));
        let adopted = fleet.membership.take_adopted();
        fleet.debris.extend(adopted.iter().map(|(version, id)| record::roots(*version, id)));
        fleet.documents = sorted.restore_documents(me, std::mem::take(&mut fleet.documents))?;
        // Of cells that were wanted for a while, and of an older store's authors in other cells.
        let needless = fleet.forget_misplaced();
        fleet.debris.extend(needless);
        fleet.debris.extend(sorted.needless.into_iter().map(|key| Write { key, value: None }));
        for Damage { keys, doc, what } in sorted.damage {
            fleet.findings.note(Finding::new(FindingKind::Damaged, me, doc, what));
            fleet.debris.extend(keys.into_iter().map(|key| Write { key, value: None }));
        }
        Ok(fleet)
    }

    /// Objects were acceptable in the order they came, which the store does not keep: all go in, and are judged together.
    pub(super) fn restore_objects(&mut self, objects: BTreeMap<ObjectId, (Object, usize)>) {
        for (id, (object, bytes)) in objects {
            // Both of two that say the same are stored where a power cut came between the second and the removal of the first.
            let needless = match self.objects.room(&id, &object, bytes) {
                Room::Said => true,
                Room::None => !Objects::is_of_known_kind(&object),
                Room::Free | Room::InPlaceOf(_) => false,
            };
            if needless {
                self.debris.push(Write { key: record::object_key(&id), value: None });
                continue;
            }
            let restored = match object.kind() {
                ObjectKind::CERTIFICATE => self.membership.restore(&object).is_ok(),
                ObjectKind::REVOCATION => {
                    object.body().map(|r| self.membership.put_revocation(id, object.signer(), r)).is_ok()
                }
                ObjectKind::ROOTS => object.body().map(|v| self.membership.put_roots(object.signer(), v)).is_ok(),
                ObjectKind::ROLL => object.body().map(|roll| self.membership.put_roll(roll)).is_ok(),
                ObjectKind::ENTRY => object.body().map(|e| self.membership.put_entry(object.signer(), e)).is_ok(),
                _ => true,
            };
            if restored {
                self.objects.insert(id, object, bytes);
            } else {
                let detail = "a stored object is not accepted any more";
                self.findings.note(Finding::new(FindingKind::BadCertificate, object.signer(), None, detail));
            }
        }
        self.judge();
        // No document is here yet that this could take anything of.
        let _ = self.documents.limit(self.membership.all_revoked());
    }
}

impl Sorted {
    fn new(mesh: MeshId) -> Self {
        Self {
            mesh,
            documents: BTreeMap::new(),
            objects: BTreeMap::new(),
            forks: Vec::new(),
            roots: BTreeMap::new(),
            damage: Vec::new(),
            needless: Vec::new(),
        }
    }

    fn add(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), OpenError> {
        match record::parse_key(&key) {
            // Of a later version, perhaps: to be refused rather than removed.
            None => return Err(OpenError::Record { key, source: RecordError::Key }),
            Some(Key::Link(doc, seq)) => {
                let link = record::parse_link(&key, &doc, seq, &value).ok_or(RecordError::Damaged);
                self.documents.entry(doc).or_default().push((seq, link));
            }
            Some(Key::Object(id)) => match Object::restore(&value, self.mesh) {
                Ok(object) if object.id() == id => drop(self.objects.insert(id, (object, value.len()))),
                Ok(_) => self.leave_out(key, RecordError::Name),
                Err(error) => self.leave_out(key, error.into()),
            },
            Some(Key::Fork(id)) if Evidence::id(&value) == id => self.forks.push((id, value)),
            Some(Key::Fork(_)) => self.leave_out(key, RecordError::Name),
            Some(Key::Roots(version)) => match value.try_into() {
                Ok(id) => drop(self.roots.insert(version, RootsId::from_bytes(id))),
                Err(_) => self.leave_out(key, RecordError::Damaged),
            },
        }
        Ok(())
    }

    fn leave_out(&mut self, key: Vec<u8>, error: RecordError) {
        let what = format_args!("{} in the store: {error}", Name(&key)).to_string();
        self.damage.push(Damage { keys: vec![key], doc: None, what });
    }

    /// Takes in the evidence, then rebuilds every chain as far as that lets it count.
    fn restore_documents(&mut self, me: NodeId, mut documents: Documents) -> Result<Documents, OpenError> {
        self.restore_evidence(&mut documents);
        // The later epochs first: one that counts replaces those before it, and one of a cell those of the whole mesh.
        for (doc, mut links) in std::mem::take(&mut self.documents).into_iter().rev() {
            links.sort_by_key(|(seq, _)| *seq);
            let keys: Vec<u64> = links.iter().map(|(seq, _)| *seq).collect();
            let over = !is_in_use(&doc) || documents.is_over(&doc);
            let (chain, damage) =
                if over { (None, None) } else { restore(&doc, links, self.mesh, documents.beginning(&doc)) };
            if let Some((seq, source)) = &damage
                && doc.author == me
            {
                return Err(OpenError::Record { key: record::link_key(&doc, *seq), source: *source });
            }
            let mut kept = 0;
            if let Some(mut chain) = chain {
                // It is what the next link is written with.
                if doc.author == me
                    && let Err(error) = chain.automerge()
                {
                    return Err(OpenError::Record { key: record::link_key(&doc, chain.len()), source: error.into() });
                }
                chain.seal();
                let held = chain.held();
                kept = if documents.restore(chain, doc.author == me) { held } else { 0 };
            }
            let gone = keys.into_iter().filter(|seq| *seq > kept).map(|seq| record::link_key(&doc, seq)).collect();
            match damage {
                Some((seq, source)) => {
                    let what = format_args!("link {seq} in the store: {source}").to_string();
                    self.damage.push(Damage { keys: gone, doc: Some(doc), what });
                }
                None => self.needless.extend(gone),
            }
        }
        Ok(documents)
    }

    /// Takes in the evidence that counts; the rest of it was stored by an earlier version.
    fn restore_evidence(&mut self, documents: &mut Documents) {
        let forks = std::mem::take(&mut self.forks);
        for (id, bytes) in &forks {
            let opened = Documents::open_evidence(bytes, self.mesh).map_err(RecordError::from);
            if let Err(error) = opened.and_then(|evidence| Ok(documents.accept(evidence)?)) {
                self.leave_out(record::fork_key(id), error);
            }
        }
        let needless = forks.iter().filter(|(id, _)| documents.evidence(id).is_none());
        self.needless.extend(needless.map(|(id, _)| record::fork_key(id)));
    }
}

/// Rebuilds one chain, as far as its records and a signed head go; and says which link's record is damaged, if one is.
fn restore(
    doc: &DocId,
    links: Vec<(u64, Result<Link, RecordError>)>,
    mesh: MeshId,
    beginning: Chain,
) -> (Option<Chain>, Option<(u64, RecordError)>) {
    let mut list: Vec<Link> = Vec::with_capacity(links.len());
    let mut damage = None;
    for ((seq, link), wanted) in links.into_iter().zip(1u64..) {
        match link {
            Ok(link) if seq == wanted => list.push(link),
            Ok(_) => damage = Some((seq, RecordError::Gap)),
            Err(error) => damage = Some((seq, error)),
        }
        if damage.is_some() {
            break;
        }
    }
    // Only the last head is verified: its signature covers all links before it, and the other heads serve to cut stretches.
    while let Some(last) = list.last() {
        let seq = list.len() as u64;
        let error = match last.signed(doc, seq).map(|head| head.verify(mesh)) {
            None => RecordError::NoHead,
            Some(Err(error)) => error.into(),
            Some(Ok(())) => {
                let mut chain = beginning;
                return match chain.restore(list) {
                    Ok(()) => (Some(chain), damage),
                    Err(error) => (None, damage.or(Some((seq, error.into())))),
                };
            }
        };
        damage.get_or_insert((seq, error));
        list.pop();
    }
    (None, damage)
}
