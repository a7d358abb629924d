//! One name for one view.

use sedge_statement::{GateReport, SlotReport, codec};
use serde::Serialize;

use super::{ControlState, FleetView, SetBy};

const CONTEXT: &str = "sedge fleet view 4";
const MESH_CONTEXT: &str = "sedge mesh view 1";

impl FleetView {
    /// A digest of the view: equal views have equal digests on every node. Nodes that hold the same cells and agree have equal views.
    ///
    /// It covers every field but `findings`, each encoded canonically. Findings depend on who sent what to this node, and so differ rightly between nodes
    /// that agree on everything else.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&self.mesh_digest());
        put(&mut hasher, &self.held);
        put(&mut hasher, &self.profiles);
        put(&mut hasher, &self.slots.len());
        for ((node, _), report) in &self.slots {
            put(&mut hasher, &(node, slot(report)));
        }
        put(&mut hasher, &self.holders);
        *hasher.finalize().as_bytes()
    }

    /// A digest of what the whole mesh holds: equal on every node that agrees with the others, whatever cells it holds.
    pub fn mesh_digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(MESH_CONTEXT);
        put(&mut hasher, &(&self.mesh, &self.genesis, &self.certificates, &self.members, &self.frontier));
        put(&mut hasher, &(self.roots.id, &self.revoked, self.verified));
        put(&mut hasher, &self.proposed.len());
        for proposal in &self.proposed {
            put(&mut hasher, &(&proposal.version, &proposal.signers));
        }
        put(&mut hasher, &self.pending_revocations);
        put(&mut hasher, &self.releases.len());
        for (id, published) in &self.releases {
            put(&mut hasher, &(id, &published.publisher, &published.release));
        }
        put(&mut hasher, &self.deployments.len());
        for (id, published) in &self.deployments {
            put(
                &mut hasher,
                &(id, &published.author, &published.deployment, control(&published.control), published.controls),
            );
            for agreement in [&published.agreement, &published.release_agreement] {
                put(&mut hasher, &(&agreement.given, agreement.counted, agreement.needed));
            }
            put(&mut hasher, &published.given.len());
            for given in &published.given {
                put(&mut hasher, &(given.action, given.count, given.by.author, &given.by.reason, given.by.at));
            }
        }
        put(&mut hasher, &self.gates.len());
        for reports in self.gates.values() {
            put(&mut hasher, &reports.len());
            for (node, report) in reports {
                put(&mut hasher, &(node, gate(report)));
            }
        }
        *hasher.finalize().as_bytes()
    }
}

/// Every encoding begins where the one before ends, and says its own length: no two views run into the same bytes.
fn put(hasher: &mut blake3::Hasher, value: &impl Serialize) {
    hasher.update(&codec::encode(value));
}

fn control(state: &ControlState) -> impl Serialize + '_ {
    let set = |by: &'_ SetBy| Some((by.author, by.reason.clone(), by.at));
    match state {
        ControlState::Running => (0u8, None),
        ControlState::Paused(by) => (1, set(by)),
        ControlState::Cancelled(by) => (2, set(by)),
        ControlState::Halted(by) => (3, set(by)),
    }
}

fn slot(r: &SlotReport) -> impl Serialize + '_ {
    (&r.slot, &r.rollout, r.state, &r.reason, r.since, &r.serving, &r.sha256)
}

fn gate(r: &GateReport) -> impl Serialize + '_ {
    (&r.rollout, r.state, &r.reason, &r.sha256, r.soaked, r.at)
}
