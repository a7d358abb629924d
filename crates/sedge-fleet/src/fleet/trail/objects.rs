//! Whether objects that stand alone count.

use sedge_statement::{
    Certificate, Entry as EntryBody, NodeId, Object, ObjectId, ObjectKind, Revocation, Roll, RootVersion, Timestamp,
};

use super::Fleet;
use crate::trail::{Entry, Order, Place, Said, Standing};

impl Fleet {
    /// The genesis and every object, each with where it stands at `now`.
    pub(super) fn objects_said(&self, now: Timestamp) -> Vec<Entry> {
        let genesis = &self.genesis;
        let place = Place::Object(ObjectId::from_bytes(*self.mesh.as_bytes()));
        let order = Order { at: genesis.created_at, by: self.founding.signer(), place };
        let (roots, threshold) = (genesis.roots.len(), genesis.threshold);
        let said = Said::Genesis { name: genesis.name.clone(), roots, threshold };
        let mut entries = vec![Entry { order, said, standing: Standing::Counts }];
        entries.extend(self.objects.iter().map(|(id, object)| {
            let (at, said, standing) = self.object_said(id, object, now);
            Entry { order: Order { at, by: object.signer(), place: Place::Object(*id) }, said, standing }
        }));
        entries
    }

    fn object_said(&self, id: &ObjectId, object: &Object, now: Timestamp) -> (Timestamp, Said, Standing) {
        let unreadable = |why: String| (Timestamp::default(), Said::Unreadable, Standing::Unreadable(why));
        match object.kind() {
            ObjectKind::CERTIFICATE => match object.body::<Certificate>() {
                Ok(certificate) => {
                    let standing = self.certificate_standing(id, &certificate, now);
                    (certificate.not_before, Said::Certificate(Box::new(certificate)), standing)
                }
                Err(error) => unreadable(error.to_string()),
            },
            ObjectKind::REVOCATION => match object.body::<Revocation>() {
                Ok(Revocation { subject, reason, at, .. }) => {
                    let standing = self.revocation_standing(id, object, &subject);
                    (at, Said::Revocation { subject, reason }, standing)
                }
                Err(error) => unreadable(error.to_string()),
            },
            ObjectKind::ROOTS => match object.body::<RootVersion>() {
                Ok(version) => {
                    let (keys, threshold) = (version.roots.len(), version.threshold);
                    let said = Said::Roots { id: version.id(), version: version.version, keys, threshold };
                    (version.at, said, self.roots_standing(id, object, &version))
                }
                Err(error) => unreadable(error.to_string()),
            },
            // These two bear no time.
            ObjectKind::ROLL => match object.body::<Roll>() {
                Ok(roll) => {
                    let said = Said::Roll { certificates: roll.certificates.len() };
                    (Timestamp::default(), said, self.plain_standing(id, object, "no revocation names it"))
                }
                Err(error) => unreadable(error.to_string()),
            },
            ObjectKind::ENTRY => match object.body::<EntryBody>() {
                Ok(entered) => {
                    let standing = self.plain_standing(id, object, "the one named did not certify its signer");
                    (Timestamp::default(), Said::Entered { under: entered.issuer }, standing)
                }
                Err(error) => unreadable(error.to_string()),
            },
            // Its time, if it bears one, is a later version's to read.
            kind => {
                let why = "of a kind that this version does not know; it is kept and passed on";
                (Timestamp::default(), Said::Unknown(kind), Standing::Unreadable(why.to_owned()))
            }
        }
    }

    fn certificate_standing(&self, id: &ObjectId, certificate: &Certificate, now: Timestamp) -> Standing {
        let membership = &self.membership;
        if let Err(refusal) = membership.judge(id, certificate) {
            return Standing::NotAllowed(refusal.to_string());
        }
        if membership.revoked(&certificate.subject).is_some() {
            return Standing::Revoked("its subject is revoked".to_owned());
        }
        match membership.certificate(&certificate.subject) {
            Some(counting) if counting != certificate => Standing::Superseded(format!(
                "revision {} of its subject's certificate, by {}, counts",
                counting.revision,
                counting.issuer.short()
            )),
            Some(_) if !membership.is_member(&certificate.subject, now) => {
                Standing::Waits(format!("it begins at {}", certificate.not_before))
            }
            _ => match certificate.not_after {
                Some(end) if end <= now => Standing::Superseded(format!("it ended at {end}")),
                _ => Standing::Counts,
            },
        }
    }

    fn revocation_standing(&self, id: &ObjectId, object: &Object, subject: &NodeId) -> Standing {
        if self.membership.counts(id) {
            return Standing::Counts;
        }
        if !self.membership.is_in_effect(id, object) {
            return self.powerless(object, "its signer may revoke nobody");
        }
        if self.membership.revoked(subject).is_some() {
            return Standing::Superseded("another revocation of that node counts".to_owned());
        }
        Standing::Waits("its signer stands not above that node, and not enough roots signed the same".to_owned())
    }

    fn roots_standing(&self, id: &ObjectId, object: &Object, version: &RootVersion) -> Standing {
        let current = self.membership.roots();
        if version.id() == current.id {
            return Standing::Counts;
        }
        if self.membership.followed().any(|(_, id)| id == version.id()) {
            return Standing::Superseded(format!("version {} of the roots counts", current.version));
        }
        if !self.membership.is_in_effect(id, object) {
            return self.powerless(object, "its signer is no root");
        }
        if self.membership.proposed().any(|proposal| proposal.version == *version) {
            return Standing::Waits("not enough roots signed it".to_owned());
        }
        Standing::NotAllowed("it follows no version of the roots that counts".to_owned())
    }

    fn plain_standing(&self, id: &ObjectId, object: &Object, why: &str) -> Standing {
        if self.membership.is_in_effect(id, object) { Standing::Counts } else { self.powerless(object, why) }
    }

    fn powerless(&self, object: &Object, why: &str) -> Standing {
        if self.membership.revoked(&object.signer()).is_some() {
            return Standing::Revoked("its signer is revoked, and this is not among what was kept".to_owned());
        }
        Standing::NotAllowed(why.to_owned())
    }
}
