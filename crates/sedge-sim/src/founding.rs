//! A fleet of cells on the day on which it begins.

use sedge_statement::Frontier;

use crate::realm::Realm;
use crate::villain::{Character, Villain};
use crate::{Broken, Charter, Dice, Seat, Weather, World};

impl World {
    /// Founds a fleet: everybody holds everybody's certificate, is started and wired, and some seats are taken by villains.
    pub(crate) fn found(
        seed: u64,
        realm: &Realm,
        weather: Weather,
        villains: &[(Seat, Character)],
    ) -> Result<Self, Broken> {
        let mut world = Self::vacant(seed, realm.charter(), realm.seats().count(), weather);
        let (certificates, serials) = realm.certificates(&world.charter);
        world.start(Seat::ROOT)?;
        for certificate in certificates {
            world.publish_at(Seat::ROOT, certificate)?;
        }
        let records = world.node(Seat::ROOT).store.clone();
        for (n, (seat, character)) in (20..).zip(villains) {
            let id = world.id(*seat);
            let path = world.node(Seat::ROOT).fleet.as_ref().map(|root| root.certificate_path(id)).unwrap_or_default();
            let mut villain = Villain::new(*character, *seat, &world.charter, path, Dice::new(seed, n));
            let near = realm.devices().filter(|other| realm.cell_of(*other) == realm.cell_of(*seat) && other != seat);
            let near = near.map(|other| Charter::key(other).node_id()).collect();
            let all = serials.iter().map(|(issuer, serial)| (Charter::key(*issuer).node_id(), *serial));
            villain.learn(near, serials.get(seat).copied().unwrap_or(0), Frontier(all.collect()));
            world.villains.insert(*seat, villain);
            world.forgers.insert(id);
            world.network.unheed(*seat);
        }
        world.truth.serials = serials;
        world.truth.realm = Some(realm.clone());
        for seat in world.seats().into_iter().filter(|seat| *seat != Seat::ROOT) {
            if !world.villains.contains_key(&seat) {
                world.node_mut(seat).store.clone_from(&records);
                world.start(seat)?;
            }
        }
        let pairs = realm.pairs(&mut world.dice);
        world.lay(pairs);
        Ok(world)
    }
}
