//! How a node becomes a member: the root certifies it, and hands it the path.

use std::time::Duration;

use sedge_statement::Object;

use crate::schedule::Act;
use crate::{Broken, Charter, Seat, World};

/// How long one who found the root down waits before it asks again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

impl World {
    /// Has the root certify the node at a seat, and starts that with its path. Where the root is down, or dies of it, asks again later.
    ///
    /// # Errors
    /// Where a fleet refuses a certificate of the root's.
    pub fn join(&mut self, seat: Seat) -> Result<(), Broken> {
        if seat == Seat::ROOT && !self.is_up(seat) {
            self.start(seat)?;
        }
        if !self.certify(seat)? {
            self.plan_act(ASK_AGAIN, Act::Join(seat));
            return Ok(());
        }
        if self.is_up(seat) {
            return Ok(());
        }
        let id = self.id(seat);
        let path = self.node(Seat::ROOT).fleet.as_ref().map(|root| root.certificate_path(id)).unwrap_or_default();
        self.start(seat)?;
        // The root's own certificate first, or the node's has no issuer.
        path.into_iter().rev().try_for_each(|object| self.publish(seat, object).map(|_| ()))
    }

    /// Answers whether the root lives, and its store holds a certificate for the seat.
    fn certify(&mut self, seat: Seat) -> Result<bool, Broken> {
        let (now, id) = (self.clock(Seat::ROOT), self.id(seat));
        let Some(root) = &mut self.node_mut(Seat::ROOT).fleet else { return Ok(false) };
        if !root.certificate_path(id).is_empty() {
            return Ok(true);
        }
        let issuer = Charter::key(Seat::ROOT).node_id();
        let last = root.view(now).frontier.0.get(&issuer).copied().unwrap_or(0);
        let certificate = self.charter.certificate(seat, last + 1);
        self.publish(Seat::ROOT, certificate)
    }

    /// Publishes an object at a seat; answers whether it was persisted there and the node lives.
    fn publish(&mut self, seat: Seat, object: Object) -> Result<bool, Broken> {
        Ok(self.publish_at(seat, object)? && self.is_up(seat))
    }

    /// Publishes an object at a seat; answers whether it was persisted there, whether or not the node lived on.
    pub(crate) fn publish_at(&mut self, seat: Seat, object: Object) -> Result<bool, Broken> {
        let now = self.clock(seat);
        let Some(fleet) = &mut self.node_mut(seat).fleet else { return Ok(false) };
        let effects = fleet.publish(object, now).map_err(|error| Broken::Publish(seat, error.into()))?;
        Ok(self.carry_out(seat, effects)?.persisted)
    }
}
