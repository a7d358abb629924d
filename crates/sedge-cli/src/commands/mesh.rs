//! `sedge init`, `invite`, `join` and `enroll`

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use sedge_agent::api::{Approved, EnrollApprove, Invitation, InviteRequest, Request};
use sedge_agent::{InitOptions, JoinOptions};
use sedge_statement::{EnrolApproval, NodeName, Ticket};
use serde_json::json;

use super::ask;
use crate::failure::Failure;
use crate::grammar::{ApproveArgs, EnrollCommand, InitArgs, InviteArgs, JoinArgs, MeshCommand};
use crate::screen::Screen;
use crate::words;

/// The longest approval or request read from a file, bytes.
const MAX_APPROVAL: u64 = 1 << 20;
/// The longest ticket read from the standard input, bytes.
const MAX_TICKET: u64 = 4096;

/// Carries out one of the three.
pub(crate) async fn run(home: &Path, command: MeshCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        MeshCommand::Init(args) => init(home, args, screen).await,
        MeshCommand::Invite(args) => invite(home, args, screen).await,
        MeshCommand::Join(args) => join(home, args, screen).await,
        MeshCommand::Enroll(EnrollCommand::Request { name }) => request(home, name, screen),
        MeshCommand::Enroll(EnrollCommand::Approve(args)) => approve(home, args, screen).await,
    }
}

async fn init(home: &Path, args: InitArgs, screen: &Screen) -> Result<(), Failure> {
    let node = args.node.map_or_else(machine_name, Ok)?;
    let made = sedge_agent::init(home, InitOptions { name: args.name, node }).await?;
    let value = json!({
        "mesh": {"id": made.mesh, "name": made.name},
        "node": {"id": made.node, "name": made.node_name},
    });
    screen.show(&value, |_, _| {
        format!(
            "Made the mesh {} ({}); this node is its root, {} ({}).\nStart its agent with `sedge agent run`.",
            made.name,
            made.mesh.short(),
            made.node_name,
            made.node.short()
        )
    })
}

async fn invite(home: &Path, args: InviteArgs, screen: &Screen) -> Result<(), Failure> {
    let request = InviteRequest {
        cell: args.cell,
        roles: BTreeSet::from_iter(args.role),
        labels: BTreeMap::from_iter(args.label),
        uses: args.uses,
        expires_in: args.expires,
    };
    let (uses, expires_in) = (request.uses, request.expires_in);
    let invitation: Invitation = ask(home, &Request::Invite(request)).await?;
    // The ticket stands alone on the standard output, so that it can be piped to whoever joins.
    screen.show(&invitation, |invitation, _| invitation.ticket.clone())?;
    let nodes = if uses == 1 { "one node".to_owned() } else { format!("{uses} nodes") };
    let length = words::show_duration(expires_in);
    screen.remark(&format!(
        "Good for {nodes} and for {length}: there, `sedge join TICKET`. This agent must be reachable."
    ));
    Ok(())
}

async fn join(home: &Path, args: JoinArgs, screen: &Screen) -> Result<(), Failure> {
    let joined = match (args.ticket, args.approval) {
        (_, Some(file)) => {
            let approval: EnrolApproval = read(&file)?.parse().map_err(|error| {
                Failure::usage(format!("the approval {error}"), "Give the file that `sedge enroll approve` wrote.")
            })?;
            sedge_agent::join_by_approval(home, approval)?
        }
        (ticket, None) => {
            let text = ticket.unwrap_or_default();
            let text = if text == "-" { read_ticket()? } else { text };
            let ticket: Ticket = text.trim().parse().map_err(|error| {
                Failure::usage(format!("the ticket {error}"), "Copy the whole line that `sedge invite` printed.")
            })?;
            let name = args.name.map_or_else(machine_name, Ok)?;
            sedge_agent::join(home, JoinOptions { ticket, name, nearby: !args.no_mdns }).await?
        }
    };
    let value = json!({
        "mesh": {"id": joined.mesh, "name": joined.mesh_name},
        "node": {"id": joined.node, "name": joined.name, "cell": joined.cell},
        "issuer": joined.issuer,
    });
    screen.show(&value, |_, _| {
        format!(
            "Joined the mesh {} ({}) as {} ({}) in the cell {}.\nStart its agent with `sedge agent run`.",
            joined.mesh_name,
            joined.mesh.short(),
            joined.name,
            joined.node.short(),
            joined.cell
        )
    })
}

fn request(home: &Path, name: Option<NodeName>, screen: &Screen) -> Result<(), Failure> {
    let name = name.map_or_else(machine_name, Ok)?;
    let request = sedge_agent::enroll_request(home, name)?;
    let value = json!({"request": request.to_string(), "node": {"id": request.node, "name": request.name}});
    // It stands alone on the standard output, so that it can be written to a file.
    screen.show(&value, |_, _| request.to_string())?;
    screen.remark("Carry it to an enroller: there, `sedge enroll approve FILE`.");
    Ok(())
}

async fn approve(home: &Path, args: ApproveArgs, screen: &Screen) -> Result<(), Failure> {
    let request = EnrollApprove {
        request: read(&args.request)?,
        cell: args.cell,
        roles: BTreeSet::from_iter(args.role),
        labels: BTreeMap::from_iter(args.label),
    };
    let approved: Approved = ask(home, &Request::EnrollApprove(request)).await?;
    screen.show(&approved, |approved, _| approved.approval.clone())?;
    screen.remark(&format!("{} is enrolled. Carry this back: there, `sedge join --approval FILE`.", approved.name));
    Ok(())
}

/// Reads a file that another node wrote.
fn read(file: &Path) -> Result<String, Failure> {
    let wrong = |error: std::io::Error| {
        Failure::failed(format!("{}: {error}", file.display()), "Give a file that can be read.")
    };
    let mut text = String::new();
    let file = std::fs::File::open(file).map_err(wrong)?;
    file.take(MAX_APPROVAL).read_to_string(&mut text).map_err(wrong)?;
    Ok(text)
}

fn read_ticket() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().take(MAX_TICKET).read_to_string(&mut text).map_err(|error| {
        Failure::failed(format!("the ticket could not be read: {error}"), "Pipe what `sedge invite` printed.")
    })?;
    Ok(text)
}

/// This machine's name as a node's: lower case, and `-` for whatever may not stand in one.
fn machine_name() -> Result<NodeName, Failure> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name_from(&host).ok_or_else(|| {
        Failure::usage(
            format!("this machine's name, {host:?}, gives no node's name"),
            "Choose one with --node or --name.",
        )
    })
}

fn name_from(host: &str) -> Option<NodeName> {
    let first = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let kept: String = first.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    kept.trim_matches('-').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machines_name_becomes_a_nodes_name_where_it_can() {
        let name = |host| name_from(host).map(|n| n.to_string());
        assert_eq!(name("Robot_1.lab.example").as_deref(), Some("robot-1"));
        assert_eq!(name("jetson-07").as_deref(), Some("jetson-07"));
        assert_eq!(name("..."), None);
        assert_eq!(name(""), None);
    }
}
