//! Everything that the audit trail is made of, as one file that proves itself.
//!
//! Goals: whoever has the file and the mesh's id needs nothing else, no agent, no home and no trust in who wrote it; any byte changed is found; one
//! state has one encoding; versions to come read this one. Non-goals: proving that nothing was left out. A chain of links cannot lose one in the middle,
//! and an epoch not the one before it, but links at the end of a document, whole documents and single objects can be missing, as on a node that
//! has not heard of them yet. What nodes say of themselves is not in it.
//!
//! Layout: `"sedge/archive\0"` ‖ version, 2 bytes, little-endian ‖ postcard of
//!
//! | field | what |
//! |---|---|
//! | genesis | the signed genesis object |
//! | roots | which version of the roots was followed as which: number, id; rising |
//! | objects | every object that stands alone, by rising id |
//! | evidence | of forks, by rising document |
//! | documents | `authority` and `gate` documents, rising: name, and its links in stretches that each end in a signed head |

mod open;

use sedge_statement::{DocId, DocKind, Object, RootsId, codec};
use serde::{Deserialize, Serialize};

use super::Fleet;
use crate::chain::Chain;
use crate::fork::Side;
use crate::segment::MAX_SEGMENT_BYTES;

pub use open::{Archive, ArchiveError};

const MAGIC: &[u8] = b"sedge/archive\0";
const VERSION: u16 = 1;

/// The largest archive that is read, bytes: as much as authorities at their bounds in a mesh of a few can come to, many times what years of a
/// thousand nodes do.
pub const MAX_ARCHIVE_BYTES: usize = 256 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Body {
    genesis: Vec<u8>,
    roots: Vec<(u32, RootsId)>,
    objects: Vec<Vec<u8>>,
    evidence: Vec<Vec<u8>>,
    documents: Vec<Document>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    doc: DocId,
    stretches: Vec<Side>,
}

impl Fleet {
    /// All that the audit trail is made of; see the layout above.
    pub fn archive(&self) -> Vec<u8> {
        let kept = self.documents.all_chains().filter(|chain| is_archived(chain.id().kind));
        let evidence = self.documents.forks_by_document();
        let body = Body {
            genesis: self.founding.to_bytes(),
            roots: self.membership.followed().collect(),
            objects: self.objects.iter().map(|(_, object)| Object::to_bytes(object)).collect(),
            evidence: evidence.map(|(_, bytes)| bytes.to_vec()).collect(),
            documents: kept.map(|chain| Document { doc: chain.id().clone(), stretches: stretches(chain) }).collect(),
        };
        [MAGIC, &VERSION.to_le_bytes(), &codec::encode(&body)].concat()
    }
}

/// Whether a document says anything that the trail tells.
fn is_archived(kind: DocKind) -> bool {
    !crate::schema::places(kind).is_empty()
}

/// All links that are held, in as few stretches as heads allow.
fn stretches(chain: &Chain) -> Vec<Side> {
    let mut stretches = Vec::new();
    let mut first = 1;
    while let Some(end) = longest(chain, first) {
        stretches.push(chain.stretch(first, end));
        first = end + 1;
    }
    stretches
}

/// Where the longest stretch from a link on ends.
fn longest(chain: &Chain, first: u64) -> Option<u64> {
    let (mut bytes, mut end) = (0, None);
    for (seq, link) in chain.links_from(first) {
        bytes += link.raw.len();
        if bytes > MAX_SEGMENT_BYTES && end.is_some() {
            break;
        }
        if link.head.is_some() {
            end = Some(seq);
        }
    }
    end
}
