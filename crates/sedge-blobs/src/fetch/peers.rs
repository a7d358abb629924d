//! What one fetch knows of its providers: who may be asked now, and who rests for what fault.

use std::collections::BTreeMap;
use std::time::Duration;

use sedge_statement::NodeId;
use tokio::time::Instant;

use super::Patience;
use super::pace::Pace;
use super::plan::Slot;

/// Providers asked at once. More add nothing for one file but connections.
const PROVIDERS_AT_ONCE: usize = 4;
/// Pieces asked of one provider at once: one arrives while the next one's request travels.
const PIECES_AT_ONCE: u32 = 2;

/// What a provider did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection came about.
    Unreachable,
    /// It does not admit us, or not to these bytes.
    Refused,
    /// It does not have these bytes, or not yet.
    Lacks,
    /// It brought less than the least over a window.
    Stalled,
    /// Another one brings much more, or waits to be tried.
    Slow,
    /// None: somebody else brought the piece meanwhile.
    Spare,
    /// The connection or stream broke.
    Broke,
    /// It says the file has another length than was signed.
    WrongLength,
    /// Its bytes do not have the hash.
    Lied,
}

#[derive(Debug, Default)]
struct Standing {
    in_flight: u32,
    delivered: bool,
    /// Bytes per second of the last piece that it brought anything of.
    rate: Option<u64>,
    strikes: u32,
    rests_until: Option<Instant>,
    out: bool,
}

/// The providers of one fetch.
#[derive(Debug)]
pub(crate) struct Peers {
    /// The candidates, best first.
    candidates: Vec<NodeId>,
    standings: BTreeMap<NodeId, Standing>,
    patience: Patience,
    jitter: u64,
}

impl Peers {
    pub(crate) fn patience(&self) -> &Patience {
        &self.patience
    }

    pub(crate) fn new(patience: Patience, seed: u64) -> Self {
        Self { candidates: Vec::new(), standings: BTreeMap::new(), patience, jitter: seed }
    }

    /// Takes the current candidates. What is known of earlier ones is kept: leaving the list heals no fault.
    pub(crate) fn update(&mut self, candidates: impl IntoIterator<Item = NodeId>) {
        self.candidates.clear();
        for peer in candidates {
            if !self.candidates.contains(&peer) {
                self.candidates.push(peer);
            }
        }
    }

    /// Who may be asked for how many pieces now: fewest faults in a row first, then in the candidates' order.
    pub(crate) fn slots(&self, now: Instant) -> Vec<Slot> {
        let fresh = Standing::default();
        let standing = |peer: &NodeId| self.standings.get(peer).unwrap_or(&fresh);
        let mut ready: Vec<&NodeId> = self
            .candidates
            .iter()
            .filter(|peer| !standing(peer).out && standing(peer).rests_until.is_none_or(|until| until <= now))
            .collect();
        // Stable: the candidates' order decides among equals.
        ready.sort_by_key(|peer| (standing(peer).in_flight == 0, standing(peer).strikes));
        ready.truncate(PROVIDERS_AT_ONCE);
        ready
            .into_iter()
            .map(|peer| {
                // A provider that never delivered gets one piece to show itself on.
                let most = if standing(peer).delivered { PIECES_AT_ONCE } else { 1 };
                Slot { peer: *peer, free: most.saturating_sub(standing(peer).in_flight) }
            })
            .collect()
    }

    /// What the best of the others brings a second, of those that could take a piece over.
    pub(crate) fn best_other(&self, than: NodeId, now: Instant) -> Option<u64> {
        let others = self.candidates.iter().filter(|peer| **peer != than).filter_map(|peer| self.standings.get(peer));
        let able = others.filter(|s| !s.out && s.delivered && s.rests_until.is_none_or(|until| until <= now));
        able.filter_map(|standing| standing.rate).max()
    }

    /// What a provider brought a second, when it was asked last.
    pub(crate) fn rate(&self, peer: NodeId) -> Option<u64> {
        self.standings.get(&peer).filter(|standing| standing.delivered)?.rate
    }

    /// Whether somebody who was never tried waits for a place.
    pub(crate) fn somebody_waits(&self) -> bool {
        let busy = self.standings.values().filter(|standing| standing.in_flight > 0).count();
        let is_new = |peer: &NodeId| {
            self.standings.get(peer).is_none_or(|s| s.strikes == 0 && s.in_flight == 0 && s.rate.is_none())
        };
        busy >= PROVIDERS_AT_ONCE && self.candidates.iter().any(is_new)
    }

    /// Takes note of how fast a piece came, however it ended.
    pub(crate) fn measured(&mut self, peer: NodeId, pace: Pace) {
        if pace.brought > 0 {
            self.standings.entry(peer).or_default().rate = Some(pace.rate());
        }
    }

    /// A piece was not needed any more.
    pub(crate) fn released(&mut self, peer: NodeId) {
        let standing = self.standings.entry(peer).or_default();
        standing.in_flight = standing.in_flight.saturating_sub(1);
    }

    /// When the next resting candidate may be asked again.
    pub(crate) fn wakes(&self, now: Instant) -> Option<Instant> {
        let rests = |peer: &NodeId| self.standings.get(peer).filter(|s| !s.out).and_then(|s| s.rests_until);
        self.candidates.iter().filter_map(rests).filter(|until| *until > now).min()
    }

    pub(crate) fn asked(&mut self, peer: NodeId) {
        self.standings.entry(peer).or_default().in_flight += 1;
    }

    pub(crate) fn delivered(&mut self, peer: NodeId) {
        let standing = self.standings.entry(peer).or_default();
        standing.in_flight = standing.in_flight.saturating_sub(1);
        standing.delivered = true;
        standing.strikes = 0;
    }

    pub(crate) fn failed(&mut self, peer: NodeId, fault: Fault, now: Instant) {
        let jitter = self.roll();
        let (first, longest) = (self.patience.rest, self.patience.longest);
        let standing = self.standings.entry(peer).or_default();
        standing.in_flight = standing.in_flight.saturating_sub(1);
        standing.delivered = false;
        standing.strikes = standing.strikes.saturating_add(1);
        standing.out |= matches!(fault, Fault::WrongLength | Fault::Lied);
        let rest = first.saturating_mul(1 << (standing.strikes - 1).min(16)).min(longest);
        standing.rests_until = Some(now + spread(rest, jitter));
    }

    /// The next of a row of numbers that looks random (splitmix64): for jitter, nothing else.
    fn roll(&mut self) -> u64 {
        self.jitter = self.jitter.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.jitter;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Half of a rest to one and a half.
fn spread(rest: Duration, jitter: u64) -> Duration {
    let per_mille = 500 + u32::try_from(jitter % 1001).unwrap_or(0);
    rest.saturating_mul(per_mille) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn asked_now(peers: &Peers, now: Instant) -> Vec<u8> {
        peers.slots(now).iter().filter(|s| s.free > 0).map(|s| s.peer.as_bytes()[0]).collect()
    }

    #[test]
    fn a_fault_rests_a_provider_and_repeated_ones_rest_it_longer_with_jitter() {
        let now = Instant::now();
        let mut peers = Peers::new(Patience::default(), 7);
        peers.update([node(1), node(2)]);
        let mut rests = Vec::new();
        for _ in 0..8 {
            peers.asked(node(1));
            peers.failed(node(1), Fault::Stalled, now);
            assert_eq!(asked_now(&peers, now), [2]);
            rests.push(peers.wakes(now).unwrap() - now);
        }
        assert!(rests[0] >= Duration::from_millis(250) && rests[0] <= Duration::from_millis(750), "{rests:?}");
        assert!(rests[6] >= Duration::from_secs(15) && rests[7] <= Duration::from_secs(45), "{rests:?}");
        assert_ne!(rests[6], rests[7], "jitter");
        assert_eq!(asked_now(&peers, now + Duration::from_secs(46)), [2, 1], "it is asked again, but last");
    }

    #[test]
    fn a_liar_is_out_even_after_it_left_the_list_and_came_back() {
        let now = Instant::now();
        let mut peers = Peers::new(Patience::default(), 7);
        peers.update([node(1)]);
        peers.asked(node(1));
        peers.failed(node(1), Fault::Lied, now);
        peers.update([]);
        peers.update([node(1)]);
        assert_eq!(peers.wakes(now), None);
        assert!(peers.slots(now + Duration::from_secs(9999)).is_empty());
    }

    #[test]
    fn a_provider_gets_a_second_piece_once_it_delivered_one() {
        let now = Instant::now();
        let mut peers = Peers::new(Patience::default(), 7);
        peers.update([node(1), node(1)]);
        assert_eq!(peers.slots(now), [Slot { peer: node(1), free: 1 }]);
        peers.asked(node(1));
        assert_eq!(peers.slots(now), [Slot { peer: node(1), free: 0 }]);
        peers.delivered(node(1));
        assert_eq!(peers.slots(now), [Slot { peer: node(1), free: 2 }]);
    }

    #[test]
    fn whoever_is_resting_out_or_unproven_is_no_measure_for_others() {
        let now = Instant::now();
        let mut peers = Peers::new(Patience::default(), 7);
        peers.update((1..=3).map(node));
        let pace = Pace { waited: Duration::from_secs(1), brought: 1000 };
        peers.measured(node(1), pace);
        assert_eq!(peers.best_other(node(2), now), None, "it never brought a whole piece");
        peers.delivered(node(1));
        assert_eq!(peers.best_other(node(2), now), Some(1000));
        assert_eq!(peers.best_other(node(1), now), None);
        peers.failed(node(1), Fault::Stalled, now);
        assert_eq!(peers.best_other(node(2), now), None);
    }

    #[test]
    fn somebody_waits_only_while_all_places_are_taken() {
        let mut peers = Peers::new(Patience::default(), 7);
        peers.update((1..=5).map(node));
        for n in 1..=4 {
            assert!(!peers.somebody_waits());
            peers.asked(node(n));
        }
        assert!(peers.somebody_waits());
        peers.failed(node(5), Fault::Unreachable, Instant::now());
        assert!(!peers.somebody_waits());
    }

    #[test]
    fn of_many_candidates_only_a_few_are_asked_at_once() {
        let mut peers = Peers::new(Patience::default(), 7);
        peers.update((1..=20).map(node));
        assert_eq!(asked_now(&peers, Instant::now()), [1, 2, 3, 4]);
    }
}
