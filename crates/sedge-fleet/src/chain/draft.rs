//! Writing the next link of one's own chain.

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{AutomergeError, ObjType, ROOT, ScalarValue};
use sedge_statement::Timestamp;

use super::{Chain, Handover};
use crate::precheck::{self, Expected, Refusal};
use crate::schema::{COMPLETE_AFTER, PREVIOUS};

/// Why a link could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DraftError {
    /// Automerge refuses the edits.
    #[error("automerge: {0}")]
    Automerge(#[from] AutomergeError),
    /// The link would not be accepted by anybody: too long, or too many operations.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Automerge does not take the links before it, which it took when they were written.
    #[error("automerge refuses the links before it")]
    Unusable,
}

impl Chain {
    /// Makes the next link without adopting it; none where the edits change nothing.
    pub(crate) fn draft(
        &self,
        now: Timestamp,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
    ) -> Result<Option<Vec<u8>>, DraftError> {
        let mut scratch = self.automerge().map_err(|_| DraftError::Unusable)?.clone();
        scratch.set_actor(automerge::ActorId::from(self.actor));
        let mut transaction = scratch.transaction();
        edit(&mut transaction)?;
        let seconds = i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX);
        let (Some(_), _) = transaction.commit_with(CommitOptions::default().with_time(seconds)) else {
            return Ok(None);
        };
        let raw = scratch.get_last_local_change().expect("a change was just committed").raw_bytes().to_vec();
        let expected = Expected { actor: &self.actor, seq: self.len() + 1, previous: self.head() };
        precheck::check(&raw, expected, &mut self.shape.clone())?;
        Ok(Some(raw))
    }
}

/// Writes what a later epoch's first link says.
pub(crate) fn put_handover(doc: &mut impl Transactable, handover: Handover) -> Result<(), AutomergeError> {
    let previous = doc.put_object(ROOT, PREVIOUS, ObjType::Map)?;
    let head = handover.head.map_or(ScalarValue::Null, |head| ScalarValue::Bytes(head.as_bytes().to_vec()));
    doc.put(&previous, "head", head)?;
    doc.put(&previous, "seq", handover.seq)?;
    doc.put(ROOT, COMPLETE_AFTER, handover.complete_after)
}
