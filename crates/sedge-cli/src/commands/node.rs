//! `sedge node`

use std::path::Path;

use sedge_agent::api::{Node, NodeDetail, Request, StatusSlot};
use sedge_statement::{ByteSize, Profile};

use super::{ask, or_empty, trust};
use crate::failure::Failure;
use crate::grammar::NodeCommand;
use crate::paint::{Paint, Tone};
use crate::screen::Screen;
use crate::table::{Table, cell, state, toned};
use crate::words::{now, show_age};

/// Carries out a command.
pub(crate) async fn run(home: &Path, command: NodeCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        NodeCommand::List => {
            let nodes: Vec<Node> = ask(home, &Request::NodeList).await?;
            screen.show(&nodes, |nodes, paint| list(nodes, paint))
        }
        NodeCommand::Show { node } => {
            let detail: NodeDetail = ask(home, &Request::NodeShow { node }).await?;
            screen.show(&detail, detail_text)
        }
        NodeCommand::Label(args) => trust::label(home, args, screen).await,
        NodeCommand::Revoke(args) => trust::revoke(home, args, screen).await,
    }
}

fn list(nodes: &[Node], paint: Paint) -> String {
    let mut table = Table::new(["NAME", "ID", "CELL", "ROLES", "LABELS", "ARCH", "CLASS", "LINK"]);
    for node in nodes {
        let link = if node.connected { toned(Tone::Good, "connected") } else { toned(Tone::Faint, "none") };
        table.row([
            cell(&node.name),
            cell(node.id.short()),
            cell(&node.cell),
            cell(roles(node)),
            cell(labels(node)),
            cell(&node.arch),
            cell(&node.class),
            link,
        ]);
    }
    table.render(paint)
}

fn roles(node: &Node) -> String {
    node.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn labels(node: &Node) -> String {
    node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

pub(super) fn detail_text(detail: &NodeDetail, paint: Paint) -> String {
    let node = &detail.node;
    let mut lines = vec![
        format!("{}  {}", paint.tone(Tone::Strong, node.name.as_str()), node.id),
        format!("cell {}  roles {}  labels {}", node.cell, or_dash(&roles(node)), or_dash(&labels(node))),
        format!("{} {}", node.arch, node.class),
    ];
    lines.extend(detail.profile.as_ref().map(profile_text));
    lines.push(match (detail.held, detail.slots.is_empty()) {
        (false, _) => format!("What it says of itself is not held here: nobody of cell {} answered yet.", node.cell),
        (true, true) => "It reports no slot.".to_owned(),
        (true, false) => slots(&detail.slots, paint),
    });
    lines.join("\n")
}

fn profile_text(profile: &Profile) -> String {
    let mut parts = vec![profile.cpu.clone(), format!("{} cores", profile.cores), profile.os.clone()];
    parts.extend(profile.memory.iter().map(|pool| format!("{} {} for models", pool.name, pool.allocatable)));
    parts.extend(profile.accelerators.iter().map(|accelerator| accelerator.name.clone()));
    parts.push(format!("disk {}", profile.disk));
    parts.extend(profile.runtimes.iter().map(|r| format!("{} {} ({})", r.backend, r.version, r.providers.join(","))));
    parts.join("; ")
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// A node's slots, as it says itself.
pub(super) fn slots(slots: &[StatusSlot], paint: Paint) -> String {
    let mut table = Table::new(["SLOT", "STATE", "SERVES", "DIGEST", "SINCE", "WHY"]);
    for slot in slots {
        let model = match (&slot.model, &slot.version) {
            (Some(model), Some(version)) => format!("{model}:{version}"),
            _ => slot.release.map(|r| r.short()).unwrap_or_default(),
        };
        let progress = slot.fetch.map(|f| format!("{} of {}", ByteSize(f.held), ByteSize(f.total)));
        table.row([
            cell(&slot.slot),
            state(slot.state),
            cell(model),
            cell(or_empty(slot.sha256.map(|s| s.short()))),
            cell(show_age(slot.since, now())),
            cell(or_empty(slot.reason.clone().or(progress))),
        ]);
    }
    table.render(paint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::screen::hostile::{WORDS, is_shown_harmless};

    #[test]
    fn what_a_node_says_of_itself_is_shown_on_its_line_and_obeyed_by_no_terminal() {
        let answer = json!({
            "id": "ab".repeat(32), "name": "robot-1", "cell": "plant", "roles": ["device"], "labels": {},
            "arch": "x86_64", "class": "generic", "connected": true, "held": true,
            "profile": {
                "architecture": "x86_64", "os": WORDS, "cpu": WORDS, "cores": 2, "disk": 1,
                "memory": [{"name": WORDS, "total": 2, "allocatable": 1}],
                "accelerators": [{"name": WORDS, "pool": "system"}],
                "runtimes": [{"backend": WORDS, "version": WORDS, "providers": [WORDS]}],
            },
            "slots": [{"slot": "detector", "state": "failed", "since": "2026-01-01T00:00:00Z", "reason": WORDS}],
        });
        is_shown_harmless(&answer, 8, detail_text);
    }
}
