//! What those who rule do while it storms: nodes are moved and revoked, and the roots rotate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sedge_statement::{Approvals, CellPath, Kept, Object, Revocation, RootVersion};

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
    /// Has a node certified in another cell: by its enroller, or by a root where that is a thief.
    pub(crate) fn move_node(&mut self, seat: Seat, to: usize) -> Result<(), Broken> {
        let issuer = self.ruler(to);
        let serial = self.truth.serials.get(&issuer).copied().unwrap_or(0) + 1;
        let post = Post { cell: Realm::cell(to), issuer, ..self.charter.post(seat) };
        let certificate = Charter::body(self.id(seat), seat, post, (serial, 2));
        let object = Object::sign(&Charter::key(issuer), self.charter.mesh(), &certificate);
        if self.publish_at(issuer, object)? {
            self.truth.serials.insert(issuer, serial);
            self.truth.moved.insert(seat, Realm::cell(to));
        } else {
            self.plan_act(TRY_AGAIN, Act::Move { seat, to });
        }
        Ok(())
    }

    /// Has a node's word taken back by who certified it; by a root where that is a thief, or where it is the thief.
    pub(crate) fn revoke(&mut self, seat: Seat) -> Result<(), Broken> {
        let post = self.charter.post(seat);
        let by = if self.villains.contains_key(&post.issuer) { Seat::ROOT } else { post.issuer };
        let (now, id) = (self.clock(by), self.id(seat));
        let Some(fleet) = &self.node(by).fleet else {
            self.plan_act(TRY_AGAIN, Act::Revoke(seat));
            return Ok(());
        };
        // Of a thief nothing counts but what the true owner of its key had done.
        let kept = match self.villains.contains_key(&seat) {
            true => Kept { certificates: self.truth.serials.get(&seat).copied().unwrap_or(0), ..Kept::default() },
            false => fleet.kept_of(id, now),
        };
        let revocation = Revocation { subject: id, kept, reason: "lost".into(), at: now };
        let object = Object::sign(&Charter::key(by), self.charter.mesh(), &revocation);
        if self.publish_at(by, object)? {
            self.truth.revoked.insert(seat);
            self.network.unheed(seat);
        } else {
            self.plan_act(TRY_AGAIN, Act::Revoke(seat));
        }
        Ok(())
    }

    /// Has a root sign the version of the roots without the last of them.
    pub(crate) fn rotate(&mut self, root: Seat) -> Result<(), Broken> {
        let [first, second, last] = ROOTS;
        let (now, leaver) = (self.clock(root), self.id(last));
        let Some(fleet) = &self.node(root).fleet else {
            self.plan_act(TRY_AGAIN, Act::Rotate(root));
            return Ok(());
        };
        let version = self.truth.rotation.clone().unwrap_or_else(|| RootVersion {
            version: 1,
            previous: self.charter.mesh().into(),
            roots: [first, second].map(|root| Charter::key(root).node_id()).into(),
            threshold: 2,
            approvals: Approvals::default(),
            leaving: BTreeMap::from([(leaver, fleet.kept_of(leaver, now))]),
            at: now,
        });
        self.truth.rotation = Some(version.clone());
        let object = Object::sign(&Charter::key(root), self.charter.mesh(), &version);
        if self.publish_at(root, object)? {
            // It counts once both have signed; what the one who leaves says meanwhile may be lost.
            self.truth.revoked.insert(last);
            self.network.unheed(last);
        } else {
            self.plan_act(TRY_AGAIN, Act::Rotate(root));
        }
        Ok(())
    }

    /// Who certifies in a cell: its enroller, unless that is a thief.
    fn ruler(&self, cell: usize) -> Seat {
        let enroller = self.truth.realm.as_ref().map_or(Seat::ROOT, |realm| realm.enroller(cell));
        if self.villains.contains_key(&enroller) { Seat::ROOT } else { enroller }
    }
}
