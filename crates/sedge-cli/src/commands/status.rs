//! `sedge status`

use std::path::Path;
use std::time::Duration;

use sedge_agent::Client;
use sedge_agent::api::{Request, Status, StatusAuthority, StatusPeer, StatusPresence};

use super::node::slots;
use crate::failure::Failure;
use crate::grammar::StatusArgs;
use crate::paint::{Paint, Tone};
use crate::screen::Screen;
use crate::table::{Table, cell, toned};
use crate::words::show_duration;

/// How often `--watch` looks: a person reads no faster.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Shows it once, or until interrupted.
pub(crate) async fn run(home: &Path, args: StatusArgs, screen: &Screen) -> Result<(), Failure> {
    let mut client = Client::connect(home).await?;
    let mut ticks = tokio::time::interval(WATCH_EVERY);
    loop {
        let status: Status = client.ask(&Request::Status).await?;
        if args.watch && screen.is_live() {
            // Clears the terminal, so that the newest stands where the last one stood.
            screen.line("\x1b[2J\x1b[H")?;
        }
        screen.show(&status, text)?;
        if !args.watch || !screen.is_read() {
            return Ok(());
        }
        // The first tick is at once.
        ticks.reset();
        ticks.tick().await;
    }
}

fn text(status: &Status, paint: Paint) -> String {
    let (node, mesh, sync) = (&status.node, &status.mesh, &status.sync);
    let silence = if node.offline { paint.tone(Tone::Warn, "  keeps radio silence") } else { String::new() };
    let ago = |ms: u64| format!("{} ago", show_duration(Duration::from_millis(ms)));
    let stale =
        sync.stale_ms.map_or("no neighbour agreed yet".to_owned(), |ms| format!("a neighbour agreed {}", ago(ms)));
    let behind = match sync.behind {
        0 => paint.tone(Tone::Good, "up to date"),
        n => paint.tone(Tone::Warn, &format!("behind in {n}")),
    };
    let listen: Vec<String> = node.listen.iter().map(ToString::to_string).collect();
    let mut parts = vec![
        format!(
            "{}  {}  cell {}  mesh {} ({}){silence}",
            paint.tone(Tone::Strong, node.name.as_str()),
            node.id.short(),
            node.cell,
            mesh.name,
            mesh.id.short()
        ),
        format!("listens on {}", if listen.is_empty() { "-".to_owned() } else { listen.join(", ") }),
        format!("{} documents, {behind}, {stale}, view {:.10}", sync.documents, sync.view),
    ];
    parts.push(String::new());
    parts.push(if status.slots.is_empty() { "No slot yet.".to_owned() } else { slots(&status.slots, paint) });
    if !sync.authorities.is_empty() {
        let word = |authority: &StatusAuthority| format!("{} {}", authority.name, ago(authority.newest_ms));
        let words: Vec<String> = sync.authorities.iter().map(word).collect();
        parts.insert(3, format!("newest word of the authorities: {}", words.join(", ")));
    }
    if !status.peers.is_empty() {
        parts.push(String::new());
        parts.push(peers(&status.peers, paint));
    }
    if !status.findings.is_empty() {
        parts.push(format!("\n{}", paint.tone(Tone::Warn, "Refused or ignored:")));
        parts.extend(status.findings.iter().map(|finding| format!("  {finding}")));
    }
    parts.join("\n")
}

/// What a node said of itself, and when.
pub(super) fn said(presence: &StatusPresence) -> String {
    let show = |ms| show_duration(Duration::from_millis(ms));
    let gauges = presence.gauges.to_string();
    let up = format!("up {}", show(presence.uptime_ms));
    let parts = [gauges, up, format!("said {} ago", show(presence.age_ms))];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn peers(peers: &[StatusPeer], paint: Paint) -> String {
    let mut table = Table::new(["PEER", "ID", "LINK", "LAST HEARD", "SAYS"]);
    for peer in peers {
        let link = match &peer.path {
            Some(path) => toned(Tone::Good, path),
            None if peer.connected => toned(Tone::Good, "connected"),
            None => toned(Tone::Warn, "none"),
        };
        let heard = peer.last_seen_ms.map(|ms| format!("{} ago", show_duration(Duration::from_millis(ms))));
        table.row([
            cell(super::or_empty(peer.name.as_ref())),
            cell(peer.id.short()),
            link,
            cell(heard.unwrap_or_else(|| "never".to_owned())),
            cell(peer.presence.as_ref().map(said).unwrap_or_default()),
        ]);
    }
    table.render(paint)
}
