//! What is wrong here, and what to do about it.

use std::time::Duration;

use sedge_statement::ByteSize;

use crate::api::Diagnosis;
use crate::core::Core;
use crate::queries::name_of;

/// Below this much free space updates soon cannot be fetched.
const LITTLE_SPACE: ByteSize = ByteSize::mib(512);
/// How long neighbours may differ in what they hold of the authorities: presence is told every ten seconds, and news travels in less.
const STALE: Duration = Duration::from_secs(5 * 60);

impl Core {
    /// Looks at everything that commonly goes wrong; what is well is listed too, so that one sees what was looked at.
    pub(crate) fn doctor(&self) -> Vec<Diagnosis> {
        let mut found = vec![self.disk(), self.peers_found(), self.membership(), self.roots(), self.backends()];
        found.push(self.own_view());
        found.extend(self.stale_neighbours());
        found.extend(self.slots_found());
        found.extend(self.statements());
        found
    }

    fn disk(&self) -> Diagnosis {
        match rustix::fs::statvfs(&self.home) {
            Ok(stat) => {
                let free = ByteSize(stat.f_bavail.saturating_mul(stat.f_frsize));
                let finding = format!("{free} free at {}", self.home.display());
                let remedy = "Free space there: updates are refused before the disk is full.";
                diagnose("disk", free >= LITTLE_SPACE, finding, remedy)
            }
            Err(error) => {
                diagnose("disk", false, format!("{}: {error}", self.home.display()), "Check the file system.")
            }
        }
    }

    fn peers_found(&self) -> Diagnosis {
        if !self.mesh.is_online() {
            let finding = "this node keeps radio silence".to_owned();
            return diagnose("peers", false, finding, "End it with `sedge agent online`.");
        }
        let others = self.view().members.len().saturating_sub(1);
        let connected = self.mesh.peers().iter().filter(|p| p.connected).count();
        let finding = format!("{connected} connected, of {others} other members");
        let remedy = "See that a member runs and UDP gets through to it; name it with --peer ADDR where it is on another network, \
                      or give --relay URL of a relay that both reach.";
        diagnose("peers", connected > 0 || others == 0, finding, remedy)
    }

    /// Whether what this node knows of the authorities is what others know.
    fn own_view(&self) -> Diagnosis {
        let others = self.view().members.len().saturating_sub(1);
        let ran = self.mesh.presence_of(self.me()).map_or(Duration::ZERO, |own| own.uptime);
        let (ok, finding) = match self.stale_ms().map(Duration::from_millis) {
            _ if others == 0 => (true, "there is no other member to compare with".to_owned()),
            Some(ago) => {
                let finding = format!("a neighbour held the same of what the whole mesh holds {} s ago", ago.as_secs());
                (ago < STALE, finding)
            }
            None if ran < STALE => (true, "no neighbour was compared with yet".to_owned()),
            None => (
                false,
                "no neighbour was found to hold the same of what the whole mesh holds since the start".to_owned(),
            ),
        };
        let remedy = "What authorities said since then is not known here; nothing new starts past its `start_by`, and models serve on. See \
                      under `peers` whether members are reached, and give this node another one with --peer ADDR, of another cell where it can be.";
        diagnose("authorities", ok, finding, remedy)
    }

    /// Neighbours that know less of the authorities than this node does.
    fn stale_neighbours(&self) -> Vec<Diagnosis> {
        let (view, now) = (self.view(), crate::core::now());
        let ours = self.mesh.standing().verified;
        // News needs a moment to travel.
        if now.since(ours) < STALE {
            return Vec::new();
        }
        let stale = |peer: sedge_mesh::PeerStatus| {
            let said = peer.presence.filter(|said| now.since(said.at) < STALE && said.verified < ours)?;
            let finding = format!(
                "the newest word of an authority that {} holds is of {}, and this node holds one of {ours}",
                name_of(&view, peer.id),
                said.verified
            );
            let remedy = "Something keeps it from syncing, or it keeps itself from it: see `sedge doctor` and `sedge status` there, and \
                          give it another neighbour with --peer ADDR.";
            Some(diagnose("stale", false, finding, remedy))
        };
        self.mesh.peers().into_iter().filter_map(stale).collect()
    }

    fn membership(&self) -> Diagnosis {
        let view = self.view();
        match view.members.get(&self.me()) {
            Some(c) if c.is_current(crate::core::now()) => {
                let roles: Vec<&str> = c.roles.iter().map(|role| role.word()).collect();
                let finding = format!("{} in cell {} with the roles {}", c.name, c.cell, roles.join(", "));
                diagnose("certificate", true, finding, "")
            }
            Some(_) => {
                let remedy = "It still syncs and serves; ask an enroller for a new certificate, and check the clock.";
                diagnose("certificate", false, "outside its dates".to_owned(), remedy)
            }
            None if view.revoked.contains_key(&self.me()) => {
                let remedy =
                    "Models here serve on, and nothing new comes. Where that is right, join anew from an empty home.";
                diagnose("certificate", false, "this node's key is revoked".to_owned(), remedy)
            }
            None => diagnose("certificate", false, "none".to_owned(), "Join anew from an empty home."),
        }
    }

    fn roots(&self) -> Diagnosis {
        let view = self.view();
        let (keys, threshold) = (view.roots.keys.len(), usize::from(view.roots.threshold));
        let finding = format!("{keys} root keys, {threshold} must agree");
        let mut roots = diagnose("roots", true, finding, "");
        // Not a fault: every mesh begins so. Advice all the same.
        if keys == 1 {
            roots.remedy = "Make two more with `sedge mesh rotate --add NODE --add NODE`: where the only root is lost, nobody can ever act \
                            as one. Until then back up its identity/secret.key."
                .to_owned();
        } else if keys == threshold {
            roots.remedy = "Add one more with `sedge mesh rotate --add NODE`: where any of these is lost, the others cannot replace it.".to_owned();
        }
        roots
    }

    fn backends(&self) -> Diagnosis {
        let facts = self.host.backends().facts();
        let names: Vec<String> =
            facts.iter().map(|f| format!("{} {} ({})", f.backend, f.version, f.providers.join(", "))).collect();
        diagnose("backends", !facts.is_empty(), names.join("; "), "Install a build with an embedded backend.")
    }

    fn slots_found(&self) -> impl Iterator<Item = Diagnosis> {
        self.shown_slots().into_iter().map(|shown| {
            let report = shown.report;
            let serving =
                report.sha256.map_or_else(|| "nothing serves".to_owned(), |d| format!("{} serves", d.short()));
            let reason = report.reason.map(|r| format!(": {r}")).unwrap_or_default();
            let finding = format!("{} is {}, {serving}{reason}", report.slot, report.state);
            let remedy = "`sedge rollout explain ROLLOUT NODE` gives the chain of reasons.";
            diagnose(
                "slot",
                !report.state.is_failure() && (report.sha256.is_some() || reason.is_empty()),
                finding,
                remedy,
            )
        })
    }

    fn statements(&self) -> Vec<Diagnosis> {
        let view = self.view();
        let remedy = "Find out who has that node's key; until then what it says is not taken into account.";
        view.findings.iter().map(|f| diagnose("statement", false, f.to_string(), remedy)).collect()
    }
}

fn diagnose(check: &str, ok: bool, finding: String, remedy: &str) -> Diagnosis {
    let remedy = if ok { String::new() } else { remedy.to_owned() };
    Diagnosis { check: check.to_owned(), ok, finding, remedy }
}
