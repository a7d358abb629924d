//! Whether what a document says counts.

use sedge_statement::{Approved, ControlAction, DocKind, GateReport, NodeId, ReleaseId, RolloutId};

use super::Fleet;
use crate::FleetView;
use crate::chain::Chain;
use crate::trail::{Said, Spoken, Standing, Within};
use crate::view::{Agreement, Stated};

impl Fleet {
    /// Where a statement of a document stands: as its chain lets it, then as its author may say it, then as others' statements have it.
    pub(super) fn standing(&self, chain: &Chain, spoken: &Spoken, view: &FleetView) -> Standing {
        let doc = chain.id();
        match &spoken.within {
            Within::Past => return self.past(chain),
            Within::Unreadable(_) if spoken.seq > chain.len() => return self.past(chain),
            Within::Unreadable(why) => return Standing::Unreadable(why.clone()),
            Within::Replaced(seq) => {
                return Standing::Superseded(format!("link {seq} of the same document says otherwise"));
            }
            Within::Holds => {}
        }
        if !view.members.contains_key(&doc.author) && !view.revoked.contains_key(&doc.author) {
            return Standing::NotAllowed("its author holds no certificate that is valid yet".to_owned());
        }
        let refused = Stated::of(&spoken.said).and_then(|what| self.fold.refused(doc, &what));
        if let Some(why) = refused {
            return Standing::NotAllowed(why.to_owned());
        }
        match &spoken.said {
            Said::Release { id, .. } if view.releases.contains_key(id) => Standing::Counts,
            Said::Deployment { id, release, .. } => deployment(id, release, view),
            Said::Approval(of) => approval(of, doc.author, view),
            Said::Control { rollout, action, count, .. } => control(rollout, *action, *count, doc.author, view),
            Said::Evidence(report) if doc.kind == DocKind::Gate => evidence(report, doc.author, view),
            _ => Standing::NotAllowed("more than is read of one document".to_owned()),
        }
    }

    /// Why a link past the last that counts does not. What counts of a revoked author is fixed by what revoked it, whatever forks there are.
    fn past(&self, chain: &Chain) -> Standing {
        if self.membership.revoked(&chain.id().author).is_some() {
            Standing::PastLastGood(chain.len())
        } else {
            Standing::BehindFork(chain.len() + 1)
        }
    }
}

fn deployment(id: &RolloutId, release: &ReleaseId, view: &FleetView) -> Standing {
    let Some(published) = view.deployments.get(id) else {
        return Standing::NotAllowed("more than is read of one document".to_owned());
    };
    if !view.releases.contains_key(release) {
        return Standing::Waits(format!("release {} is not held yet", release.short()));
    }
    let lacks = |agreement: &Agreement, what: &str| {
        (!agreement.is_reached())
            .then(|| Standing::Waits(format!("{} of {} agree to {what}", agreement.given.len(), agreement.needed)))
    };
    lacks(&published.agreement, "it")
        .or_else(|| lacks(&published.release_agreement, "its release"))
        .unwrap_or(Standing::Counts)
}

fn approval(of: &Approved, author: NodeId, view: &FleetView) -> Standing {
    let counts = match of {
        Approved::Rollout(id) => match view.deployments.get(id) {
            None => return Standing::Waits(format!("rollout {} is not held yet", id.short())),
            Some(published) => published.agreement.given.contains(&author),
        },
        Approved::Release(id) if !view.releases.contains_key(id) => {
            return Standing::Waits(format!("release {} is not held yet", id.short()));
        }
        // For which cells it counts hangs on the deployment.
        Approved::Release(_) => true,
    };
    if counts {
        Standing::Counts
    } else {
        Standing::NotAllowed("its author's cell does not cover the deployment's".to_owned())
    }
}

/// A cancel and a halt hold for ever; of pauses and resumes the last does.
fn control(rollout: &RolloutId, action: ControlAction, count: u32, author: NodeId, view: &FleetView) -> Standing {
    let Some(published) = view.deployments.get(rollout) else {
        return Standing::Waits(format!("rollout {} is not held yet", rollout.short()));
    };
    let lasting = |action| matches!(action, ControlAction::Cancel | ControlAction::Halt);
    if lasting(action) {
        return Standing::Counts;
    }
    let mut later = published.given.iter().filter(|given| {
        lasting(given.action) || (given.count, given.action, given.by.author) > (count, action, author)
    });
    match later.next_back() {
        None => Standing::Counts,
        Some(later) => Standing::Superseded(format!("a {} came after it", later.action)),
    }
}

fn evidence(report: &GateReport, author: NodeId, view: &FleetView) -> Standing {
    match view.gates.get(&report.rollout).and_then(|reports| reports.get(&author)) {
        Some(counting) if counting == report => Standing::Counts,
        Some(counting) if counting.state.is_failure() => {
            Standing::Superseded("its author reported a failure, which stays".to_owned())
        }
        Some(_) => Standing::Superseded("its author reported again".to_owned()),
        None => Standing::NotAllowed("more than is read of one document".to_owned()),
    }
}
