//! A stretch of links under one signed head: how chains travel, and what fork evidence is made of.

use sedge_statement::{ChangeHash, DocId, HeadError, MeshId, SignedHead};

use crate::chain::Link;
use crate::precheck::{self, Place, Refusal};

/// The most bytes of links under one head, so that any fork can be proven in one object. An author signs a head for every link,
/// so honest holders can always cut a longer stretch.
pub const MAX_SEGMENT_BYTES: usize = 192 << 10;

/// Why links and a head do not belong together. The sender's fault: it could have checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The author did not sign this head.
    #[error("head: {0}")]
    Head(#[from] HeadError),
    /// A link cannot be read.
    #[error("link {seq}: {refusal}")]
    Link {
        /// Which.
        seq: u64,
        /// Why.
        refusal: Refusal,
    },
    /// The links do not follow one another up to the head.
    #[error("the links do not lead to the signed head")]
    Broken,
    /// Sequence numbers begin at one, and end before the last there is.
    #[error("no links begin at number {0}")]
    Place(u64),
    /// More than [`MAX_SEGMENT_BYTES`], or nothing at all.
    #[error("empty, or more than {MAX_SEGMENT_BYTES} bytes of links under one head")]
    Size,
}

/// The actor of a document: a digest of its author and epoch, so that it can never be chosen.
pub(crate) fn actor(doc: &DocId) -> [u8; 16] {
    let bytes = sedge_statement::codec::encode(&(&doc.author, doc.kind, &doc.scope, doc.epoch));
    let digest = blake3::derive_key("sedge document actor 1", &bytes);
    *digest.first_chunk().expect("a digest is longer than an actor")
}

/// Links whose hashes lead to a head that the author signed. What they say is not checked yet.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) head: SignedHead,
    pub(crate) links: Vec<(Place, Vec<u8>)>,
}

impl Segment {
    /// Verifies signature and hashes.
    pub(crate) fn open(
        mesh: MeshId,
        head: SignedHead,
        first_seq: u64,
        links: Vec<Vec<u8>>,
    ) -> Result<Self, SegmentError> {
        let bytes: usize = links.iter().map(Vec::len).sum();
        if links.is_empty() || bytes > MAX_SEGMENT_BYTES {
            return Err(SegmentError::Size);
        }
        if first_seq == 0 || first_seq.checked_add(links.len() as u64).is_none() {
            return Err(SegmentError::Place(first_seq));
        }
        let actor = actor(&head.doc);
        let mut checked: Vec<(Place, Vec<u8>)> = Vec::with_capacity(links.len());
        for (i, raw) in (0u64..).zip(links) {
            let seq = first_seq + i;
            let place = precheck::place(&raw, &actor).map_err(|refusal| SegmentError::Link { seq, refusal })?;
            let follows = match checked.last() {
                Some((before, _)) => place.previous == Some(before.hash),
                None => place.previous.is_some() == (seq > 1),
            };
            if place.seq != seq || !follows {
                return Err(SegmentError::Broken);
            }
            checked.push((place, raw));
        }
        let last = checked.last().expect("it is not empty").0;
        if (last.seq, last.hash) != (head.seq, head.head) {
            return Err(SegmentError::Broken);
        }
        head.verify(mesh)?;
        Ok(Self { head, links: checked })
    }

    pub(crate) fn first(&self) -> Place {
        self.links.first().expect("a segment is never empty").0
    }

    /// Its links as a chain holds them: the last with the head.
    pub(crate) fn into_links(self) -> impl Iterator<Item = Link> {
        let Self { head, links } = self;
        links.into_iter().map(move |(place, raw)| {
            let head = (place.seq == head.seq).then(|| head.proof());
            Link { raw, hash: place.hash, head }
        })
    }

    /// The hash before the first link.
    pub(crate) fn previous(&self) -> Option<ChangeHash> {
        self.first().previous
    }
}
