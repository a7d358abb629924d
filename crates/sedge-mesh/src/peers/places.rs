//! Where one peer may be reached, and how that is known. Hints prove nothing: a handshake does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sedge_statement::{NodeId, Timestamp};

/// How many addresses of one peer are kept that the operator named or that worked.
const MAX_PROVEN: usize = 8;
/// How many addresses of one peer are kept that were only heard of.
const MAX_HINTS: usize = 8;
/// How many of these may come from one source, so that one liar leaves room for others. What this node remembers came from several.
const MAX_HINTS_OF_ONE: usize = 4;
/// After how long unseen an address is forgotten, unless the operator named it: a device that was in a drawer for a month
/// announces itself again when it comes back.
pub(crate) const FORGOTTEN_AFTER: Duration = Duration::from_secs(14 * 24 * 3600);

/// Who says that a peer is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The operator.
    Operator,
    /// A handshake that only the peer could complete.
    Handshake,
    /// The peer itself, by a connection that only it could complete.
    Itself,
    /// Another member.
    Member(NodeId),
    /// An answer on the local network, from anybody.
    Multicast,
    /// This node, before it was restarted.
    Memory,
}

impl Source {
    fn is_proof(self) -> bool {
        matches!(self, Self::Operator | Self::Handshake)
    }

    /// Whether others are told: what anybody said of somebody else is tried here, and goes no further.
    fn is_tellable(self) -> bool {
        self.is_proof() || self == Self::Itself
    }
}

/// What adding an address taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Learned {
    /// Nothing, or there is no room for it.
    Nothing,
    /// A place to try.
    Hint,
    /// A place that neighbours should know.
    News,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    addr: SocketAddr,
    source: Source,
    seen: Timestamp,
}

/// The addresses of one peer: first those that worked or that the operator named, then hints; each kind with the last seen first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places(Vec<Place>);

impl Places {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every address, in the order to try.
    pub(crate) fn all(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.0.iter().map(|place| place.addr)
    }

    /// Every address with when it was last seen, and whether it is proven.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (SocketAddr, Timestamp, bool)> + '_ {
        self.0.iter().map(|place| (place.addr, place.seen, place.source.is_proof()))
    }

    /// What others may be told: every address that is proven or that the peer named itself, with when it was last seen, and
    /// whether it is the first of all.
    pub(crate) fn tellable(&self) -> impl Iterator<Item = (SocketAddr, Timestamp, bool)> + '_ {
        let places = self.0.iter().enumerate().filter(|(_, place)| place.source.is_tellable());
        places.map(|(at, place)| (place.addr, place.seen, at == 0))
    }

    /// Whether a handshake succeeded at one of them, or the operator named it.
    pub(crate) fn is_proven(&self) -> bool {
        self.0.first().is_some_and(|place| place.source.is_proof())
    }

    pub(crate) fn first(&self) -> Option<SocketAddr> {
        self.0.first().map(|place| place.addr)
    }

    /// Adds or refreshes an address.
    pub(crate) fn add(&mut self, addr: SocketAddr, source: Source, seen: Timestamp) -> Learned {
        let known = self.0.iter_mut().find(|place| place.addr == addr);
        let before = known.as_ref().map(|place| place.source.is_tellable());
        match known {
            Some(place) => {
                place.seen = place.seen.max(seen);
                // Proof stays proof, and what the operator named is never forgotten.
                let is_better = source.is_proof() && place.source != Source::Operator;
                if is_better || (source == Source::Itself && !place.source.is_proof()) {
                    place.source = source;
                }
            }
            None => self.0.push(Place { addr, source, seen }),
        }
        self.0.sort_by_key(|place| (!place.source.is_proof(), std::cmp::Reverse(place.seen)));
        self.trim();
        let after = self.0.iter().find(|place| place.addr == addr).map(|place| place.source.is_tellable());
        match (before, after) {
            (None | Some(false), Some(true)) => Learned::News,
            (None, Some(false)) => Learned::Hint,
            _ => Learned::Nothing,
        }
    }

    /// The peer is at the first of them now, where that one is proven.
    pub(crate) fn is_there(&mut self, now: Timestamp) {
        if let Some(place) = self.0.first_mut().filter(|place| place.source.is_proof()) {
            place.seen = place.seen.max(now);
        }
    }

    /// Forgets what was not seen for long, except the best that is proven: a clock that jumps ahead must not cost a node
    /// everybody it knows.
    pub(crate) fn age(&mut self, now: Timestamp) {
        let best = self.0.first().filter(|place| place.source.is_proof()).map(|place| place.addr);
        self.0.retain(|place| {
            let is_kept = place.source == Source::Operator || Some(place.addr) == best;
            is_kept || now.since(place.seen) < FORGOTTEN_AFTER
        });
    }

    fn trim(&mut self) {
        let proven = self.0.iter().filter(|place| place.source.is_proof()).count();
        if proven > MAX_PROVEN {
            // The last seen come first, and proven places before hints.
            let oldest = self.0.iter().rposition(|place| place.source == Source::Handshake);
            self.0.remove(oldest.unwrap_or(proven - 1));
        }
        let hints = || self.0.iter().filter(|place| !place.source.is_proof());
        let of = |source| hints().filter(|place| place.source == source).count();
        let crowds = |source: &Source| *source != Source::Memory && of(*source) > MAX_HINTS_OF_ONE;
        let crowded = hints().map(|place| place.source).find(crowds);
        let crowded = crowded.or_else(|| {
            let loudest = hints().map(|place| place.source).max_by_key(|source| of(*source));
            loudest.filter(|_| hints().count() > MAX_HINTS)
        });
        if let Some(source) = crowded
            && let Some(oldest) = self.0.iter().rposition(|place| place.source == source)
        {
            self.0.remove(oldest);
        }
    }
}

/// Whether a node that was itself reached at `teller` may sensibly name this address.
pub(crate) fn is_plausible(addr: SocketAddr, teller: Option<SocketAddr>) -> bool {
    let on_this_machine = teller.is_some_and(|teller| teller.ip().is_loopback());
    let ip_is_plausible = match addr.ip() {
        IpAddr::V4(ip) => !ip.is_broadcast() && (!ip.is_loopback() || on_this_machine),
        // An address that holds only within a link says nothing without the link.
        IpAddr::V6(ip) => {
            !ip.is_unicast_link_local() && ip.to_ipv4_mapped().is_none() && (!ip.is_loopback() || on_this_machine)
        }
    };
    addr.port() != 0 && !addr.ip().is_unspecified() && !addr.ip().is_multicast() && ip_is_plausible
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn member(n: u8) -> Source {
        Source::Member(NodeId::from_bytes([n; 32]))
    }

    #[test]
    fn what_worked_comes_before_what_was_heard_and_the_last_before_the_earlier() {
        let mut places = Places::default();
        places.add(addr(1, 1), member(1), at(50));
        places.add(addr(2, 1), Source::Handshake, at(10));
        places.add(addr(3, 1), Source::Handshake, at(20));
        assert_eq!(places.all().collect::<Vec<_>>(), [addr(3, 1), addr(2, 1), addr(1, 1)]);
        assert_eq!(places.add(addr(1, 1), Source::Handshake, at(60)), Learned::News, "only heard of before");
        assert_eq!(places.add(addr(1, 1), Source::Handshake, at(70)), Learned::Nothing);
        assert_eq!(places.first(), Some(addr(1, 1)));
    }

    #[test]
    fn only_what_is_proven_or_comes_from_the_peer_itself_is_told() {
        let mut places = Places::default();
        assert_eq!(places.add(addr(1, 1), member(1), at(50)), Learned::Hint);
        assert_eq!(places.add(addr(2, 1), Source::Multicast, at(50)), Learned::Hint);
        assert_eq!(places.add(addr(3, 1), Source::Memory, at(50)), Learned::Hint);
        assert_eq!(places.tellable().count(), 0);
        assert_eq!(places.add(addr(2, 1), Source::Itself, at(50)), Learned::News);
        assert_eq!(places.add(addr(4, 1), Source::Handshake, at(40)), Learned::News);
        let told: Vec<_> = places.tellable().collect();
        assert_eq!(told, [(addr(4, 1), at(40), true), (addr(2, 1), at(50), false)]);
    }

    #[test]
    fn a_flood_of_false_addresses_displaces_neither_proof_nor_what_others_say() {
        let mut places = Places::default();
        places.add(addr(1, 1), Source::Operator, at(0));
        places.add(addr(2, 1), Source::Handshake, at(0));
        places.add(addr(3, 1), member(3), at(0));
        places.add(addr(4, 1), Source::Multicast, at(0));
        for port in 1..=10_000 {
            places.add(addr(66, port), member(66), at(u64::from(port)));
            places.add(addr(77, port), Source::Multicast, at(u64::from(port)));
        }
        let left: Vec<_> = places.all().collect();
        assert!(left.len() <= MAX_PROVEN + MAX_HINTS);
        for host in [1, 2, 3] {
            assert!(left.contains(&addr(host, 1)), "{left:?}");
        }
    }

    #[test]
    fn many_liars_displace_no_proof_and_no_memory_grows() {
        let mut places = Places::default();
        places.add(addr(2, 1), Source::Handshake, at(0));
        for n in 0..=255 {
            for port in 1..=10 {
                places.add(addr(n, port), member(n), at(100));
            }
        }
        assert_eq!(places.all().count(), 1 + MAX_HINTS);
        assert_eq!(places.first(), Some(addr(2, 1)));
    }

    #[test]
    fn as_many_hints_are_remembered_as_were_kept() {
        let mut places = Places::default();
        for host in 1..=100 {
            places.add(addr(host, 1), Source::Memory, at(0));
        }
        assert_eq!(places.all().count(), MAX_HINTS);
    }

    #[test]
    fn an_address_unseen_for_long_is_forgotten_unless_the_operator_named_it() {
        let mut places = Places::default();
        places.add(addr(1, 1), Source::Operator, at(0));
        places.add(addr(2, 1), Source::Handshake, at(0));
        places.add(addr(3, 1), Source::Handshake, at(10));
        places.age(at(5).plus(FORGOTTEN_AFTER));
        assert_eq!(places.all().collect::<Vec<_>>(), [addr(3, 1), addr(1, 1)]);
    }

    #[test]
    fn a_clock_that_jumps_ahead_leaves_the_best_proven_address() {
        let mut places = Places::default();
        places.add(addr(1, 1), Source::Handshake, at(10));
        places.add(addr(2, 1), Source::Handshake, at(0));
        places.add(addr(3, 1), Source::Itself, at(20));
        places.age(at(20).plus(FORGOTTEN_AFTER * 100));
        assert_eq!(places.all().collect::<Vec<_>>(), [addr(1, 1)]);
        places.is_there(at(30));
        assert_eq!(places.tellable().next(), Some((addr(1, 1), at(30), true)));
    }

    #[test]
    fn addresses_that_lead_nowhere_or_to_this_machine_are_not_plausible() {
        let far = Some(addr(9, 9));
        for bad in ["0.0.0.0:1", "10.0.0.1:0", "224.0.0.251:5353", "255.255.255.255:1", "127.0.0.1:1", "[::1]:1"] {
            assert!(!is_plausible(bad.parse().expect("an address"), far), "{bad}");
        }
        for bad in ["[fe80::1]:1", "[ff02::fb]:1", "[::]:1", "[::ffff:10.0.0.1]:1"] {
            assert!(!is_plausible(bad.parse().expect("an address"), far), "{bad}");
        }
        assert!(is_plausible("[fd00::1]:1".parse().expect("an address"), far));
        assert!(is_plausible(addr(1, 1), None));
        let here = Some("127.0.0.1:9".parse().expect("an address"));
        assert!(is_plausible("127.0.0.1:1".parse().expect("an address"), here));
    }
}
