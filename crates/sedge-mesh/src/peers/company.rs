//! Who is there: what presence told of members, and how old it is.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_statement::{Gauges, NodeId, Scope, Timestamp};
use tokio::time::Instant;

use super::roster::Roster;
use crate::presence::{Age, Brief, MAX_HEARD, MAX_LINKED, MAX_SCOPES, Presence};

/// For how many messages' time a node counts as there without a further sign of it: several hops of an unlucky way.
const FRESH: u32 = 12;
/// For how many messages' time it is told of at all.
const TOLD: u32 = 60;

/// What a member last said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// When, by this node's clock.
    pub at: Timestamp,
    /// How long it had run.
    pub uptime: Duration,
    /// What its machine said.
    pub gauges: Gauges,
    /// The latest time that an authority had proven to it to be past: how new its view of the authorities was.
    pub verified: Timestamp,
}

/// When this node and a neighbour last held the same of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The digest of what both held.
    pub digest: [u8; 32],
    /// When, by this node's clock.
    pub at: Timestamp,
    /// With whom.
    pub with: NodeId,
}

/// How new this node's own view is: what its presence tells, and what is held against others'.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The latest time that an authority has proven to be past.
    pub verified: Timestamp,
    /// When the newest link of each authority was made, by that authority's clock.
    pub authorities: BTreeMap<NodeId, Timestamp>,
    /// The digest of each scope that is held.
    pub digests: BTreeMap<Scope, [u8; 32]>,
}

/// What is known of one member's being there.
#[derive(Debug)]
struct Signs {
    /// Its last sign of life, whoever told of it.
    alive: Instant,
    /// Who told of that; none where it was the member itself.
    by: Option<NodeId>,
    own: Option<Own>,
}

/// What a neighbour said itself.
#[derive(Debug)]
struct Own {
    at: Instant,
    linked: BTreeSet<NodeId>,
    said: Presented,
}

/// Everybody that was heard of.
#[derive(Debug)]
pub(super) struct Company {
    /// How often presence is told.
    pulse: Duration,
    began: Instant,
    counter: u64,
    gauges: Gauges,
    standing: Standing,
    signs: BTreeMap<NodeId, Signs>,
    agreed: BTreeMap<Scope, Agreed>,
}

impl Company {
    pub(super) fn new(pulse: Duration, now: Instant) -> Self {
        let (signs, agreed) = (BTreeMap::new(), BTreeMap::new());
        let (gauges, standing) = (Gauges::default(), Standing::default());
        Self { pulse, began: now, counter: 0, gauges, standing, signs, agreed }
    }

    pub(super) fn pulse(&self) -> Duration {
        self.pulse
    }

    pub(super) fn set_gauges(&mut self, gauges: Gauges) {
        self.gauges = gauges;
    }

    pub(super) fn set_standing(&mut self, standing: Standing) {
        self.agreed.retain(|scope, _| standing.digests.contains_key(scope));
        self.standing = standing;
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(super) fn agreed(&self) -> &BTreeMap<Scope, Agreed> {
        &self.agreed
    }

    /// What another node last said of itself.
    pub(super) fn presented(&self, node: &NodeId) -> Option<&Presented> {
        Some(&self.signs.get(node)?.own.as_ref()?.said)
    }

    /// What this node would say now.
    pub(super) fn own(&self, now: Instant, wall: Timestamp) -> Presented {
        let uptime = now.saturating_duration_since(self.began);
        Presented { at: wall, uptime, gauges: self.gauges, verified: self.standing.verified }
    }

    /// How long ago a member gave its last sign of life, whoever told of it.
    pub(super) fn silent_for(&self, node: &NodeId, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.signs.get(node)?.alive))
    }

    /// Whether a member was heard of lately: somebody reaches it.
    pub(super) fn is_about(&self, node: &NodeId, now: Instant) -> bool {
        self.silent_for(node, now).is_some_and(|silent| silent < self.pulse * FRESH)
    }

    /// Whether enough time has passed for everybody to have been heard of.
    pub(super) fn knows(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= self.pulse * FRESH
    }

    /// Whether two neighbours lately said that they are connected with a third one, or with one another.
    pub(super) fn share_a_neighbour(&self, one: &NodeId, linked: &BTreeSet<NodeId>, now: Instant) -> bool {
        let lately = |node: &NodeId| {
            let own = self.signs.get(node)?.own.as_ref()?;
            (now.saturating_duration_since(own.at) < self.pulse * 3).then_some(&own.linked)
        };
        let Some(theirs) = lately(one) else { return false };
        linked.iter().any(|other| {
            let says_so = || lately(other).is_some_and(|of_other| of_other.contains(one));
            other != one && (theirs.contains(other) && says_so())
        })
    }

    /// A member gave a sign of life to this node itself.
    pub(super) fn is_alive(&mut self, node: NodeId, now: Instant) {
        let signs = self.signs.entry(node).or_insert(Signs { alive: now, by: None, own: None });
        (signs.alive, signs.by) = (now, None);
    }

    /// Forgets whoever is no member any more.
    pub(super) fn keep(&mut self, roster: &Roster) {
        self.signs.retain(|node, _| roster.contains(node));
    }

    /// Takes what a member said. What it names that is no member is passed over, so that nothing grows beyond the roster.
    pub(super) fn heard(
        &mut self,
        from: NodeId,
        message: Presence,
        (roster, me): (&Roster, NodeId),
        now: Instant,
        wall: Timestamp,
    ) {
        if !roster.contains(&from) || from == me {
            return;
        }
        let linked: BTreeSet<NodeId> = message.linked.iter().filter_map(|brief| roster.find(*brief)).collect();
        let of_linked = linked.iter().map(|node| (*node, self.pulse / 2));
        let of_heard = message.heard.iter().filter_map(|(brief, age)| Some((roster.find(*brief)?, age.passed())));
        for (node, age) in of_linked.chain(of_heard).filter(|(node, _)| ![me, from].contains(node)) {
            let Some(alive) = now.checked_sub(age) else { continue };
            let signs = self.signs.entry(node).or_insert(Signs { alive, by: Some(from), own: None });
            if alive > signs.alive {
                (signs.alive, signs.by) = (alive, Some(from));
            }
        }
        for (scope, digest) in &self.standing.digests {
            if message.holds.contains(&(Brief::scope(scope), Brief::digest(digest))) {
                self.agreed.insert(scope.clone(), Agreed { digest: *digest, at: wall, with: from });
            }
        }
        self.is_alive(from, now);
        if let Some(signs) = self.signs.get_mut(&from) {
            let uptime = Duration::from_secs(message.uptime.into());
            let said = Presented { at: wall, uptime, gauges: message.gauges, verified: message.verified };
            signs.own = Some(Own { at: now, linked, said });
        }
    }

    /// What this node says to `listener`: of those whom it knows from the listener it does not tell it.
    pub(super) fn message(&mut self, listener: NodeId, linked: &BTreeSet<NodeId>, now: Instant) -> Presence {
        self.counter += 1;
        let salt = self.counter;
        let mut near: Vec<NodeId> = linked.iter().copied().filter(|node| *node != listener).collect();
        near.sort_by_key(|node| super::table::shuffled(salt, node));
        let mut heard: Vec<(NodeId, Duration)> = self
            .signs
            .iter()
            .filter(|(node, signs)| **node != listener && signs.by != Some(listener) && !linked.contains(node))
            .map(|(node, signs)| (*node, now.saturating_duration_since(signs.alive)))
            .filter(|(_, silent)| *silent < self.pulse * TOLD)
            .collect();
        // Neighbours for whom there is no room among those are told of here.
        heard.extend(near.iter().skip(MAX_LINKED).map(|node| (*node, Duration::ZERO)));
        // Of a large fleet each message tells of others.
        heard.sort_by_key(|(node, _)| super::table::shuffled(salt, node));
        let holds = self.standing.digests.iter().take(MAX_SCOPES);
        Presence {
            counter: self.counter,
            uptime: u32::try_from(now.saturating_duration_since(self.began).as_secs()).unwrap_or(u32::MAX),
            gauges: self.gauges,
            verified: self.standing.verified,
            holds: holds.map(|(scope, digest)| (Brief::scope(scope), Brief::digest(digest))).collect(),
            linked: near.iter().take(MAX_LINKED).map(|node| Brief::node(*node)).collect(),
            heard: heard.into_iter().take(MAX_HEARD).map(|(node, age)| (Brief::node(node), Age::of(age))).collect(),
        }
    }
}
