//! Where a node stands, and what it is labelled.

use sedge_statement::{Certificate, Role};

use crate::api::{ApiError, LabelRequest, NodeDetail};
use crate::core::Core;
use crate::queries::member;

impl Core {
    /// Issues a node's next certificate, with other labels or in another cell, and waits until it counts here.
    pub(crate) async fn relabel(&self, request: LabelRequest) -> Result<NodeDetail, ApiError> {
        let _turn = self.authoring.lock().await;
        let view = self.view();
        let own = self.authority(&view, Role::Enroll)?;
        let id = member(&view, &request.node)?;
        let before = &view.members[&id];
        let cell = request.cell.unwrap_or_else(|| before.cell.clone());
        for cell in [&before.cell, &cell] {
            if !own.cell.covers(cell) {
                return Err(ApiError::refused(
                    format!("this node may enrol in cell {} and below, not in {cell}", own.cell),
                    "Do it on a node whose cell covers both where the node is and where it goes.",
                ));
            }
        }
        let free = [Role::Device, Role::Observe];
        let others = before.roles.iter().find(|role| !free.contains(role) && !own.may(**role));
        if let Some(role) = others {
            return Err(ApiError::refused(
                format!("{} has the role `{role}`, which this node cannot give again", before.name),
                "Do it on a node that has it.",
            ));
        }
        let mut labels = before.labels.clone();
        for (key, value) in request.labels {
            match value {
                Some(value) => drop(labels.insert(key, value)),
                None => drop(labels.remove(&key)),
            }
        }
        if (&labels, &cell) == (&before.labels, &before.cell) {
            return Err(ApiError::usage(
                format!("{} has these labels and this cell already", before.name),
                "Give KEY=VALUE to set a label, KEY- to remove one, --cell PATH to move the node.",
            ));
        }
        let revision = before.revision.saturating_add(1);
        let (not_before, not_after) = (before.not_before.max(own.not_before), own.not_after);
        let certificate = Certificate { labels, cell, revision, not_before, not_after, ..before.clone() };
        let object = self.issue(&view, certificate).await?;
        let serial = object.body::<Certificate>().map_or(0, |certificate| certificate.serial);
        let me = self.me();
        let counts = |c: &Certificate| (c.issuer, c.serial) == (me, serial);
        if !self.view().members.get(&id).is_some_and(counts) {
            return Err(ApiError::refused(
                format!("the new certificate of {} does not count: one issued nearer to a root does", before.name),
                "Do it on the node that enrolled it, or on one above.",
            ));
        }
        self.node(&id.to_string())
    }
}
