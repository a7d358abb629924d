//! `sedge mesh`, and what `sedge node` says of trust.

use std::path::Path;

use sedge_agent::api::{
    LabelRequest, MeshShown, Named, NodeDetail, ProposedRoots, Request, RevokeRequest, Revoked, RootsShown,
    RotateRequest,
};

use super::ask;
use super::node::detail_text;
use crate::failure::Failure;
use crate::grammar::{LabelArgs, RevokeArgs, TrustCommand};
use crate::paint::{Paint, Tone};
use crate::screen::Screen;
use crate::table::{Table, cell};
use crate::words::{now, show_age};

/// Carries out a command of `sedge mesh`.
pub(crate) async fn run(home: &Path, command: TrustCommand, screen: &Screen) -> Result<(), Failure> {
    let request = match command {
        TrustCommand::Show => Request::MeshShow,
        TrustCommand::Approve { id } => Request::MeshApprove { id },
        TrustCommand::Rotate(args) => Request::MeshRotate(RotateRequest {
            add: args.add,
            remove: args.remove,
            good_until: args.good_until,
            threshold: args.threshold,
            release_approvals: args.release_approvals,
            deploy_approvals: args.deploy_approvals,
        }),
    };
    let shown: MeshShown = ask(home, &request).await?;
    screen.show(&shown, text)
}

/// `sedge node revoke`
pub(crate) async fn revoke(home: &Path, args: RevokeArgs, screen: &Screen) -> Result<(), Failure> {
    let RevokeArgs { node, reason, good_until, last_enrolled, proposed } = args;
    let request = Request::NodeRevoke(RevokeRequest { node, reason, good_until, last_enrolled, proposed });
    let revoked: Revoked = ask(home, &request).await?;
    screen.show(&revoked, |revoked, _| {
        let name = revoked.name.as_ref().map_or_else(|| revoked.node.short(), ToString::to_string);
        if revoked.counts {
            format!("{name} is revoked, for ever: its key is no member's any more. To let the machine back in, join it anew from an empty home.")
        } else {
            let (signed, needed) = (revoked.signed, revoked.needed);
            format!("Signed; {signed} of {needed} roots have. It counts once the others run `sedge node revoke {name}` too.")
        }
    })
}

/// `sedge node label`
pub(crate) async fn label(home: &Path, args: LabelArgs, screen: &Screen) -> Result<(), Failure> {
    let labels = args.labels.into_iter().map(|edit| (edit.key, edit.value)).collect();
    let request = Request::NodeLabel(LabelRequest { node: args.node, labels, cell: args.cell });
    let detail: NodeDetail = ask(home, &request).await?;
    screen.show(&detail, detail_text)
}

fn text(mesh: &MeshShown, paint: Paint) -> String {
    let RootsShown { version, threshold, release_approvals, deploy_approvals, .. } = &mesh.roots;
    let mut lines = vec![
        format!("{}  {}  {} members", paint.tone(Tone::Strong, mesh.name.as_str()), mesh.id, mesh.members),
        format!(
            "roots, version {version}: {} of {} must agree; a release takes {}, a deployment {}",
            threshold,
            mesh.roots.keys.len(),
            authorities(*release_approvals),
            authorities(*deploy_approvals),
        ),
        format!("an authority last spoke {}", show_age(mesh.verified_time, now())),
        String::new(),
        table("ROOT", &mesh.roots.keys, paint),
    ];
    if !mesh.revoked.is_empty() {
        lines.extend([String::new(), table("REVOKED", &mesh.revoked, paint)]);
    }
    lines.extend(mesh.proposed.iter().map(proposed));
    lines.extend(mesh.pending_revocations.iter().map(|pending| {
        let (node, by) = (who(&pending.node), names(&pending.signed_by));
        format!(
            "\nThe revocation {} of {node}, {}, is signed by {by}, and lacks {}: `sedge node revoke {node}`.",
            pending.id.short(),
            pending.kept,
            roots(pending.lacks)
        )
    }));
    lines.join("\n")
}

fn proposed(proposal: &ProposedRoots) -> String {
    let RootsShown { version, keys, threshold, release_approvals, deploy_approvals, .. } = &proposal.roots;
    let leaving: String =
        proposal.leaving.iter().map(|root| format!("; {} leaves, {}", who(&root.node), root.kept)).collect();
    format!(
        "\nProposed as version {version}, {}: {threshold} of {}{leaving}; a release takes {}, a deployment {}.\nSigned by {}; lacks {} of the \
         present ones and {} of its own: `sedge mesh approve` there.",
        proposal.roots.id.short(),
        names(keys),
        authorities(*release_approvals),
        authorities(*deploy_approvals),
        names(&proposal.signed_by),
        proposal.lacks_old,
        proposal.lacks_new,
    )
}

fn table(head: &'static str, nodes: &[Named], paint: Paint) -> String {
    let mut table = Table::new([head, "ID"]);
    for node in nodes {
        table.row([cell(who(node)), cell(node.id)]);
    }
    table.render(paint)
}

fn who(node: &Named) -> String {
    node.name.as_ref().map_or_else(|| node.id.short(), ToString::to_string)
}

fn names(nodes: &[Named]) -> String {
    nodes.iter().map(who).collect::<Vec<_>>().join(", ")
}

fn authorities(n: u8) -> String {
    if n == 1 { "one authority".to_owned() } else { format!("{n} authorities") }
}

fn roots(n: usize) -> String {
    if n == 1 { "one more root".to_owned() } else { format!("{n} more roots") }
}
