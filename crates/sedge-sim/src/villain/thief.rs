//! What needs an office that the villain has not, or should not have.

use sedge_fleet::Edit;
use sedge_fleet::testing::{self, Scribe};
use sedge_statement::{
    CellPath, Certificate, Deployment, DocKind, Frontier, Kept, Object, Revocation, Role, SecretKey, Timestamp,
};

use super::{Said, Villain};
use crate::pen::{deployment_of, release_of};
use crate::{Charter, Post, Seat};

/// How much a thief signs.
const SIGNED: usize = 12;

/// What a thief has, and has done with it.
#[derive(Debug)]
pub(super) struct Loot {
    /// The office whose key it has.
    post: Post,
    /// The serial of the last certificate.
    pub(super) serial: u64,
    /// Over which certificates its deployments are to be carried out.
    pub(super) frontier: Frontier,
    accomplices: u8,
    /// Everything that it signed, to be told again.
    signed: Vec<Object>,
}

impl Loot {
    pub(super) fn new(post: Post) -> Self {
        Self { post, serial: 0, frontier: Frontier::default(), accomplices: 0, signed: Vec::new() }
    }
}

impl Villain {
    /// A certificate for a key of its own making.
    fn accomplice(&mut self, roles: &[Role], cell: CellPath) -> Object {
        self.loot.accomplices += 1;
        let mut bytes = *self.key.to_bytes();
        bytes[31] ^= self.loot.accomplices;
        let subject = SecretKey::from_bytes(&bytes).node_id();
        let post = Post { roles: roles.iter().copied().collect(), cell, issuer: Seat::ROOT };
        let named = Seat(9000 + usize::from(self.loot.accomplices));
        let body = Charter::body(subject, named, post, (self.loot.serial, 1));
        Object::sign(&self.key, self.mesh, &Certificate { issuer: self.key.node_id(), ..body })
    }

    /// Does what it may not by its own certificate: certifies, releases and deploys.
    pub(super) fn overreach(&mut self, now: Timestamp) -> Said {
        match self.deeds % 6 {
            1 => {
                self.loot.serial = self.deeds;
                let object = self.accomplice(&[Role::Deploy], CellPath::root());
                self.to_all(&testing::objects_frame(&[object]))
            }
            3 => {
                if self.pages[0].is_empty() {
                    self.scribes[0] =
                        Scribe::new(self.key.clone(), self.mesh, DocKind::Authority, &self.loot.post.cell);
                }
                let release = release_of("digits", self.deeds % 9 + 1, "a villain's".into(), now);
                let everywhere = "cell=**".parse().expect("a valid selector");
                let drafted = deployment_of(release.id(), everywhere, self.deeds, now);
                let deployment = Deployment { frontier: self.loot.frontier.clone(), ..drafted };
                self.add(0, now, &[Edit::PutRelease(release), Edit::PutDeployment(deployment)]);
                self.tell(0, 1)
            }
            _ => Vec::new(),
        }
    }

    /// Uses an enroller's office, until that is taken away and after.
    pub(super) fn steal(&mut self, now: Timestamp) -> Said {
        if self.deeds % 4 != 1 {
            return Vec::new();
        }
        if !self.retired && self.loot.signed.len() < SIGNED {
            let object = self.misuse(now);
            self.loot.signed.push(object);
        }
        self.to_all(&testing::objects_frame(&self.loot.signed))
    }

    fn misuse(&mut self, now: Timestamp) -> Object {
        let cell = self.loot.post.cell.clone();
        match self.loot.signed.len() % 4 {
            0 => {
                self.loot.serial += 1;
                self.accomplice(&[Role::Device], cell)
            }
            1 => {
                let subject = *self.dice.pick(&self.others);
                let revocation = Revocation { subject, kept: Kept::default(), reason: "because".into(), at: now };
                Object::sign(&self.key, self.mesh, &revocation)
            }
            // More than it has.
            2 => self.accomplice(&[Role::Deploy, Role::Release], CellPath::root()),
            // The same serial for another.
            _ => self.accomplice(&[Role::Device], cell),
        }
    }
}
