//! Entries of the trail in words, with the names of those who said them.

use sedge_fleet::{Entry, FleetView, Place, Said};
use sedge_statement::{Approved, Certificate, NodeId, ReleaseId, RolloutId};

use crate::api::Event;
use crate::trust::named;

/// One entry as it is told.
pub(super) fn event(entry: &Entry, view: &FleetView) -> Event {
    let (kind, what, about) = said(&entry.said, view);
    let (object, document, link) = match &entry.order.place {
        Place::Object(id) | Place::Fork(id) => (Some(*id), None, None),
        Place::Link { doc, seq, .. } => (None, Some(doc.to_string()), Some(*seq)),
    };
    Event {
        at: entry.order.at,
        by: entry.order.by,
        name: named(view, entry.order.by).name,
        kind,
        what,
        about,
        object,
        document,
        link,
        standing: entry.standing.word().to_owned(),
        why: entry.standing.reason(),
    }
}

/// Its kind, what it says, and the id of what it is about.
fn said(said: &Said, view: &FleetView) -> (String, String, Option<String>) {
    let (kind, what, about) = match said {
        Said::Genesis { name, roots, threshold } => {
            let what = format!("the mesh {name}; {threshold} of {roots} roots must agree");
            ("genesis", what, Some(view.mesh.to_string()))
        }
        Said::Certificate(certificate) => {
            ("certificate", certified(certificate), Some(certificate.subject.to_string()))
        }
        Said::Revocation { subject, reason } => {
            ("revocation", because(format!("of {}", who(view, *subject)), reason), Some(subject.to_string()))
        }
        Said::Roots { id, version, keys, threshold } => {
            ("roots", format!("version {version}; {threshold} of {keys} must agree"), Some(id.to_string()))
        }
        Said::Release { id, model, version } => ("release", format!("{model}:{version}"), Some(id.to_string())),
        Said::Deployment { id, release, slot, selector } => {
            ("deployment", format!("{} into {slot} on {selector}", model(view, release)), Some(id.to_string()))
        }
        Said::Approval(Approved::Release(id)) => ("approval", format!("of {}", model(view, id)), Some(id.to_string())),
        Said::Approval(Approved::Rollout(id)) => {
            ("approval", format!("of {}", rollout(view, id)), Some(id.to_string()))
        }
        Said::Control { rollout: id, action, reason, .. } => {
            return (action.to_string(), because(rollout(view, id), reason), Some(id.to_string()));
        }
        Said::Evidence(report) => {
            let reason = report.reason.as_deref().unwrap_or_default();
            let what = because(format!("{}: {}", rollout(view, &report.rollout), report.state), reason);
            ("evidence", what, Some(report.rollout.to_string()))
        }
        Said::Fork { doc, from } => ("fork", format!("two histories of {doc} from link {from} on"), None),
        Said::Roll { certificates } => ("roll", format!("{certificates} certificates that a revocation keeps"), None),
        Said::Entered { under } => ("entry", format!("enrolled by {}", who(view, *under)), Some(under.to_string())),
        Said::Unknown(kind) => ("unknown", format!("an object of kind {}", kind.0), None),
        _ => ("unreadable", "something that does not read as what its place says".to_owned(), None),
    };
    (kind.to_owned(), what, about)
}

fn certified(certificate: &Certificate) -> String {
    let roles: Vec<&str> = certificate.roles.iter().map(|role| role.word()).collect();
    let Certificate { name, cell, revision, serial, .. } = certificate;
    format!("for {name} in {cell} as {}, revision {revision}, serial {serial}", roles.join(", "))
}

fn because(what: String, reason: &str) -> String {
    if reason.is_empty() { what } else { format!("{what} ({reason})") }
}

fn who(view: &FleetView, node: NodeId) -> String {
    named(view, node).name.map_or_else(|| node.short(), |name| name.to_string())
}

fn model(view: &FleetView, release: &ReleaseId) -> String {
    let published = view.releases.get(release).map(|published| &published.release.manifest);
    published.map_or_else(|| format!("release {}", release.short()), |m| format!("{}:{}", m.id, m.version))
}

fn rollout(view: &FleetView, id: &RolloutId) -> String {
    let published = view.deployments.get(id).map(|published| &published.deployment);
    let of = published.map(|d| format!(" of {} into {}", model(view, &d.release), d.slot)).unwrap_or_default();
    format!("rollout {}{of}", id.short())
}
