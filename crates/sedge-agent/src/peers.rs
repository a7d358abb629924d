//! Addresses of peers, remembered over a restart: a mesh whose every bridge died is found again by them.
//!
//! The record of a peer is text, a line an address, the best first: `IP:PORT SEEN WORD`, SEEN the hour it was last seen in as
//! milliseconds, WORD `proven` where a handshake succeeded there and `heard` where somebody said so. Other lines are passed over.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sedge_mesh::Sighting;
use sedge_statement::{NodeId, RelayAddress, Timestamp};

use crate::store::{Kind, Store, StoreError};

/// Addresses kept of one peer.
const MAX_ADDRESSES: usize = 16;
/// Peers kept. Of a larger fleet neighbours tell the rest.
const MAX_PEERS: usize = 1024;
/// Within this many milliseconds a date counts as the same: a peer that stays is not written again and again.
const HOUR: u64 = 3_600_000;
/// The name under which `meta` keeps the relays of the ticket that this node joined with.
const RELAYS: &str = "relays";

/// Keeps where peers were, in place of what was kept before. Of more than there is room for those stay that were reached, and last.
pub(crate) fn remember(store: &Store, sightings: impl IntoIterator<Item = Sighting>) -> Result<(), StoreError> {
    let mut by_node: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
    let mut sightings: Vec<Sighting> = sightings.into_iter().collect();
    sightings.sort_by_key(|sighting| (!sighting.proven, Reverse(sighting.seen)));
    for sighting in sightings {
        if by_node.len() == MAX_PEERS && !by_node.contains_key(&sighting.node) {
            continue;
        }
        let lines = by_node.entry(sighting.node).or_default();
        if lines.len() < MAX_ADDRESSES {
            let seen = sighting.seen.as_millis() / HOUR * HOUR;
            let word = if sighting.proven { "proven" } else { "heard" };
            lines.push(format!("{} {seen} {word}", sighting.addr));
        }
    }
    let records = by_node.into_iter().map(|(node, lines)| (node.as_bytes().to_vec(), lines.join("\n").into_bytes()));
    let records: BTreeMap<Vec<u8>, Vec<u8>> = records.collect();
    let kept: BTreeMap<Vec<u8>, Vec<u8>> = store.list(Kind::Peer)?.into_iter().collect();
    let gone = kept.keys().filter(|id| !records.contains_key(*id)).map(|id| (id.as_slice(), None));
    let changed = records.iter().filter(|(id, record)| kept.get(*id) != Some(*record));
    let changed = changed.map(|(id, record)| (id.as_slice(), Some(record.as_slice())));
    let mut writes = gone.chain(changed).peekable();
    if writes.peek().is_none() {
        return Ok(());
    }
    store.put_many(Kind::Peer, writes)
}

/// What was kept.
pub(crate) fn known(store: &Store) -> Result<Vec<Sighting>, StoreError> {
    let mut sightings = Vec::new();
    for (id, record) in store.list(Kind::Peer)? {
        let Ok(id) = <[u8; 32]>::try_from(id) else { continue };
        let node = NodeId::from_bytes(id);
        let text = String::from_utf8_lossy(&record).into_owned();
        sightings.extend(text.lines().take(MAX_ADDRESSES).filter_map(|line| read(node, line)));
    }
    Ok(sightings)
}

fn read(node: NodeId, line: &str) -> Option<Sighting> {
    let mut words = line.split(' ');
    let addr = words.next()?.parse().ok()?;
    let seen = Timestamp::from_millis(words.next()?.parse().ok()?);
    let proven = match words.next()? {
        "proven" => true,
        "heard" => false,
        _ => return None,
    };
    Some(Sighting { node, addr, seen, proven })
}

/// Keeps the relays of the ticket that this node joined with.
pub(crate) fn keep_relays(store: &Store, relays: &[RelayAddress]) -> Result<(), StoreError> {
    let lines: Vec<&str> = relays.iter().map(RelayAddress::as_str).collect();
    store.set_meta(&[(RELAYS, lines.join("\n").as_bytes())])
}

/// The relays kept.
pub(crate) fn relays(store: &Store) -> Result<Vec<RelayAddress>, StoreError> {
    let kept = store.meta(RELAYS)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&kept).lines().filter_map(|line| line.parse().ok()).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may unwrap")]
mod tests {
    use super::*;

    fn sighting(node: u8, port: u16, proven: bool) -> Sighting {
        let node = NodeId::from_bytes([node; 32]);
        Sighting { node, addr: ([10, 0, 0, 1], port).into(), seen: Timestamp::from_millis(490 * HOUR), proven }
    }

    #[test]
    fn what_was_remembered_is_known_after_a_restart_and_what_was_forgotten_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        let all = [sighting(1, 1, true), sighting(1, 2, false), sighting(2, 3, false)];
        remember(&Store::open(&path).unwrap(), all).unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(known(&store).unwrap(), all);
        remember(&store, [all[2]]).unwrap();
        assert_eq!(known(&store).unwrap(), [all[2]]);
    }

    #[test]
    fn of_too_many_peers_those_that_were_reached_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.redb")).unwrap();
        let many = (0..MAX_PEERS).map(|n| {
            let id = [&[0; 24][..], &n.to_be_bytes()].concat();
            Sighting { node: NodeId::from_bytes(id.try_into().unwrap()), ..sighting(0, 1, false) }
        });
        let reached = sighting(255, 2, true);
        remember(&store, many.chain([reached])).unwrap();
        let known = known(&store).unwrap();
        assert_eq!(known.len(), MAX_PEERS);
        assert!(known.contains(&reached));
    }

    #[test]
    fn damaged_records_are_read_as_far_as_they_go() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.redb")).unwrap();
        let good = format!("10.0.0.1:1 {} proven", 490 * HOUR);
        let record = format!("10.0.0.1:1\nnonsense\n{good}\n10.0.0.1:2 x proven\n10.0.0.1:3 7\n10.0.0.1:4 7 perhaps");
        store.put(Kind::Peer, &[1; 32], Some(record.as_bytes())).unwrap();
        store.put(Kind::Peer, b"short", Some(good.as_bytes())).unwrap();
        assert_eq!(known(&store).unwrap(), [sighting(1, 1, true)]);
    }

    #[test]
    fn the_relays_of_a_ticket_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.redb")).unwrap();
        assert_eq!(relays(&store).unwrap(), []);
        let both: Vec<RelayAddress> = ["http://10.0.0.1:3340", "https://relay.lab"].map(|r| r.parse().unwrap()).into();
        keep_relays(&store, &both).unwrap();
        assert_eq!(relays(&store).unwrap(), both);
    }
}
