//! What those who rule do while it storms: nodes are moved and revoked, and the roots rotate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_fleet::Remnant;
use sedge_statement::{Approvals, CellPath, DocKind, Kept, Object, Revocation, Roll, RootVersion};

use crate::realm::{ROOTS, Realm};
use crate::schedule::Act;
use crate::{Broken, Charter, Post, Seat, World};

/// How long somebody waits who found whom it needs down.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What is true of a fleet, kept beside it.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// The fleet's plan; none where there is none.
    pub(crate) realm: Option<Realm>,
    /// How many certificates each issuer issued, a thief's own not counted.
    pub(crate) serials: BTreeMap<Seat, u64>,
    /// Where nodes stand that were moved.
    pub(crate) moved: BTreeMap<Seat, CellPath>,
    /// Whose word was taken back.
    pub(crate) revoked: BTreeSet<Seat>,
    /// The version of the roots that was proposed.
    rotation: Option<RootVersion>,
}

impl World {
    /// Has a node certified in another cell, by a root, who stands above all cells.
    pub(crate) fn move_node(&mut self, seat: Seat, to: usize) -> Result<(), Broken> {
        let issuer = Seat::ROOT;
        let serial = self.truth.serials.entry(issuer).or_default();
        *serial += 1;
        let serial = *serial;
        let post = Post { cell: Realm::cell(to), issuer, ..self.charter.post(seat) };
        let certificate = Charter::body(self.id(seat), seat, post, (serial, 2));
        let object = Object::sign(&Charter::key(issuer), self.charter.mesh(), &certificate);
        self.truth.moved.insert(seat, Realm::cell(to));
        self.find_neighbours();
        self.insist(issuer, object)
    }

    /// Lets the believed nodes of each cell have one another as neighbours, in a ring, as nodes choose them by their cells: who was moved, and who had a
    /// neighbour that nobody hears any more, finds others.
    pub(crate) fn find_neighbours(&mut self) {
        let mut cells: BTreeMap<CellPath, Vec<Seat>> = BTreeMap::new();
        for seat in self.believed() {
            cells.entry(self.cell(seat)).or_default().push(seat);
        }
        for ring in cells.into_values() {
            for (one, other) in ring.iter().copied().zip(ring.iter().copied().cycle().skip(1)) {
                let (from, to) = ((one, self.id(one)), (other, self.id(other)));
                if one != other && self.network.towards(one, to.1).is_none() {
                    self.network.lay(from, to, &mut self.timeline);
                }
            }
        }
    }

    /// Has the documents of nodes that were moved stand in their new cells, as an agent does once it hears of its move. Writes nothing where they do.
    ///
    /// # Errors
    /// See [`Self::write`].
    pub(crate) fn move_in(&mut self) -> Result<(), Broken> {
        let moved: Vec<Seat> = self.truth.moved.keys().copied().filter(|seat| self.is_up(*seat)).collect();
        for seat in moved {
            self.write(seat, DocKind::Node, &[])?;
        }
        Ok(())
    }

    /// Has a node's word taken back by who certified it; by a root where that is a thief, or where it is the thief.
    pub(crate) fn revoke(&mut self, seat: Seat) -> Result<(), Broken> {
        let post = self.charter.post(seat);
        let by = if self.villains.contains_key(&post.issuer) { Seat::ROOT } else { post.issuer };
        let is_thief = self.villains.contains_key(&seat);
        // Of a thief nothing counts but what the true owner of its key had done.
        let last = is_thief.then(|| self.truth.serials.get(&seat).copied().unwrap_or(0));
        let (now, id) = (self.clock(by), self.id(seat));
        let Some(fleet) = &self.node(by).fleet else {
            self.plan_act(TRY_AGAIN, Act::Revoke(seat));
            return Ok(());
        };
        let Remnant { kept, rolls } = fleet.kept_of(id, now, last).map_err(|error| Broken::Keep(by, error))?;
        let kept = if is_thief { Kept { certificates: kept.certificates, ..Kept::default() } } else { kept };
        let revocation = Revocation { subject: id, kept, reason: "lost".into(), at: now };
        let key = Charter::key(by);
        self.truth.revoked.insert(seat);
        self.network.unheed(seat);
        self.insist(by, Object::sign(&key, self.charter.mesh(), &revocation))?;
        self.call(by, &rolls)
    }

    /// Has a root sign the version of the roots without the last of them.
    pub(crate) fn rotate(&mut self, root: Seat) -> Result<(), Broken> {
        let [first, second, last] = ROOTS;
        let (now, leaver) = (self.clock(root), self.id(last));
        let Some(fleet) = &self.node(root).fleet else {
            self.plan_act(TRY_AGAIN, Act::Rotate(root));
            return Ok(());
        };
        let (version, rolls) = match self.truth.rotation.clone() {
            Some(version) => (version, Vec::new()),
            None => {
                let Remnant { kept, rolls } =
                    fleet.kept_of(leaver, now, None).map_err(|error| Broken::Keep(root, error))?;
                let version = RootVersion {
                    version: 1,
                    previous: self.charter.mesh().into(),
                    roots: [first, second].map(|root| Charter::key(root).node_id()).into(),
                    threshold: 2,
                    approvals: Approvals::default(),
                    leaving: BTreeMap::from([(leaver, kept)]),
                    at: now,
                };
                (version, rolls)
            }
        };
        self.truth.rotation = Some(version.clone());
        // It counts once both have signed; what the one who leaves says meanwhile may be lost.
        self.truth.revoked.insert(last);
        self.network.unheed(last);
        self.insist(root, Object::sign(&Charter::key(root), self.charter.mesh(), &version))?;
        self.call(root, &rolls)
    }

    /// Publishes the rolls that say which certificates are kept.
    fn call(&mut self, by: Seat, rolls: &[Roll]) -> Result<(), Broken> {
        let (key, mesh) = (Charter::key(by), self.charter.mesh());
        rolls.iter().try_for_each(|roll| self.insist(by, Object::sign(&key, mesh, roll)))
    }

    /// Publishes an object at a seat, later again where the node there is down or dies of it.
    pub(crate) fn insist(&mut self, seat: Seat, object: Object) -> Result<(), Broken> {
        if !self.publish_at(seat, object.clone())? {
            self.plan_act(TRY_AGAIN, Act::Publish { seat, object });
        }
        Ok(())
    }
}
