//! Tickets issued here: what each gives, and the certificates that came of it.

use std::collections::{BTreeMap, BTreeSet};

use sedge_statement::codec;
use sedge_statement::{Blake3, CellPath, LabelKey, LabelValue, NodeId, Role, TicketSecret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::store::{Kind, Store, StoreError};

/// The most uses of one ticket, which also bounds its record.
pub(crate) const MAX_USES: u32 = 1000;
/// How many addresses of its issuer a ticket names.
pub(crate) const MAX_ADDRESSES: usize = 8;
/// How many relays it names, and so how many a node may be given.
pub(crate) const MAX_RELAYS: usize = 4;
/// The largest record, bytes: a thousand certificates with every label there can be are far below it.
const MAX_RECORD: usize = 8 << 20;

/// What a ticket gives. Kept under the digest of its secret, so that the record cannot be redeemed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) cell: CellPath,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) labels: BTreeMap<LabelKey, LabelValue>,
    pub(crate) uses: u32,
    pub(crate) expires: Timestamp,
    /// Certificate objects issued for it, by subject. A node that asks again lost the answer and gets the same one; a
    /// certificate that a power cut kept from being published is published at the next start.
    pub(crate) issued: BTreeMap<NodeId, Vec<u8>>,
}

/// Why a ticket gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoGrant {
    /// Not issued here, or its record is gone.
    Unknown,
    /// Too late.
    Expired,
    /// Every use is taken.
    Used,
}

/// Keeps a new ticket's grant.
pub(crate) fn keep(store: &Store, secret: &TicketSecret, grant: &Grant) -> Result<(), StoreError> {
    store.put(Kind::Ticket, &secret.digest(), Some(&codec::encode(grant)))
}

/// Takes one use for `peer` and keeps the certificate that `issue` makes, synced before it returns.
pub(crate) fn redeem(
    store: &Store,
    secret: &TicketSecret,
    peer: NodeId,
    now: Timestamp,
    issue: impl FnOnce(&Grant) -> Vec<u8>,
) -> Result<Result<Vec<u8>, NoGrant>, StoreError> {
    store.update(Kind::Ticket, &secret.digest(), |record| {
        let Some(mut grant) = record.as_deref().and_then(read) else { return (Err(NoGrant::Unknown), record) };
        if let Some(certificate) = grant.issued.get(&peer) {
            return (Ok(certificate.clone()), record);
        }
        if now >= grant.expires {
            return (Err(NoGrant::Expired), record);
        }
        if grant.issued.len() >= grant.uses as usize {
            return (Err(NoGrant::Used), record);
        }
        let certificate = issue(&grant);
        grant.issued.insert(peer, certificate.clone());
        (Ok(certificate), Some(codec::encode(&grant)))
    })
}

/// Keeps a certificate object that was issued without a ticket, before anybody sees it.
pub(crate) fn note_issued(store: &Store, certificate: &[u8]) -> Result<(), StoreError> {
    store.put(Kind::Issued, Blake3::of(certificate).as_bytes(), Some(certificate))
}

/// Forgets a certificate object that nobody takes, so that the next one can have its serial. Nobody has seen it.
pub(crate) fn forget_issued(store: &Store, certificate: &[u8]) -> Result<(), StoreError> {
    store.put(Kind::Issued, Blake3::of(certificate).as_bytes(), None)
}

/// Every certificate object that was ever issued here.
pub(crate) fn issued(store: &Store) -> Result<Vec<Vec<u8>>, StoreError> {
    let records = store.list(Kind::Ticket)?;
    let by_ticket = records.iter().filter_map(|(_, record)| read(record)).flat_map(|grant| grant.issued.into_values());
    let otherwise = store.list(Kind::Issued)?.into_iter().map(|(_, certificate)| certificate);
    Ok(by_ticket.chain(otherwise).collect())
}

fn read(record: &[u8]) -> Option<Grant> {
    codec::decode(record, MAX_RECORD).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may unwrap")]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn replay_of_a_joining_ticket_is_refused_once_its_uses_are_taken_or_it_expired() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.redb")).unwrap();
        let secret = TicketSecret::from_bytes([1; 16]);
        let grant = Grant {
            cell: CellPath::root(),
            roles: BTreeSet::from([Role::Device]),
            labels: BTreeMap::new(),
            uses: 1,
            expires: Timestamp::from_millis(100),
            issued: BTreeMap::new(),
        };
        let (early, late) = (Timestamp::from_millis(50), Timestamp::from_millis(100));
        let ask = |n: u8, now| redeem(&store, &secret, node(n), now, |_| vec![n]).unwrap();
        assert_eq!(ask(1, early), Err(NoGrant::Unknown));
        keep(&store, &secret, &grant).unwrap();
        assert_eq!(ask(1, late), Err(NoGrant::Expired));
        assert_eq!(ask(1, early), Ok(vec![1]));
        assert_eq!(ask(2, early), Err(NoGrant::Used));
        // The same node may ask again, even late: its answer may have been lost.
        assert_eq!(redeem(&store, &secret, node(1), late, |_| vec![9]).unwrap(), Ok(vec![1]));
        assert_eq!(issued(&store).unwrap(), [vec![1]]);
    }
}
