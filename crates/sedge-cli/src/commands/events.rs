//! `sedge events`

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use sedge_agent::api::{Event, EventPage, EventsAfter, EventsExported, EventsRequest, EventsVerified, Request};
use sedge_agent::{Client, verify_events};
use sedge_statement::{MeshId, Timestamp};

use super::or_empty;
use crate::failure::{Exit, Failure};
use crate::grammar::EventsArgs;
use crate::paint::{Paint, Tone};
use crate::screen::Screen;
use crate::table::{Table, cell, toned};

/// The longest archive that is read, bytes; the same as is accepted, and one more to tell.
const MAX_READ: u64 = sedge_agent::MAX_ARCHIVE_BYTES as u64 + 1;

/// Carries out the command.
pub(crate) async fn run(home: &Path, args: EventsArgs, screen: &Screen) -> Result<Exit, Failure> {
    let EventsArgs { follow, since, export: to, verify: of, mesh } = args;
    if let Some(file) = of {
        return verify(&file, mesh, since, screen);
    }
    let mut client = Client::connect(home).await?;
    if let Some(file) = to {
        return export(&mut client, &file, screen).await;
    }
    let (events, revision) = list(&mut client, since).await?;
    if !follow {
        screen.show(&events, |events, paint| text(events, paint))?;
        return Ok(Exit::Done);
    }
    for event in events {
        tell(event, screen)?;
    }
    stay(&mut client, revision, since, screen).await
}

/// All that there is at one moment, page by page.
async fn list(client: &mut Client, since: Option<Timestamp>) -> Result<(Vec<Event>, u64), Failure> {
    let mut events = Vec::new();
    let mut request = EventsRequest { since, from: None, at: None };
    loop {
        let page: EventPage = client.ask(&Request::Events(request.clone())).await?;
        events.extend(page.events);
        match page.next {
            None => return Ok((events, page.revision)),
            next => request = EventsRequest { from: next, at: Some(page.revision), ..request },
        }
    }
}

/// Tells what comes, until nobody reads on or it is interrupted. Everything is awaited from the agent, nothing is polled for.
async fn stay(client: &mut Client, mut after: u64, since: Option<Timestamp>, screen: &Screen) -> Result<Exit, Failure> {
    while screen.is_read() {
        let request = Request::EventsAfter(EventsAfter { after, since });
        let page = tokio::select! {
            page = client.ask::<EventPage>(&request) => page?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
            () = screen.left() => break,
        };
        after = page.revision;
        for event in page.events {
            tell(event, screen)?;
        }
    }
    Ok(Exit::Done)
}

fn tell(event: Event, screen: &Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return screen.print(&event);
    }
    screen.line(&line(&screen.tamed(event)?))
}

/// Has the trail exported, proves it here, and only then puts it under its name.
async fn export(client: &mut Client, file: &Path, screen: &Screen) -> Result<Exit, Failure> {
    let (archive, end) = client.export_events().await?;
    verify_events(&archive, Some(end.mesh))?;
    write(file, &archive).map_err(|error| {
        Failure::failed(format!("{}: {error}", file.display()), "Give a path that can be written, with room for it.")
    })?;
    let exported: EventsExported = end;
    screen.show(&exported, |exported, _| {
        let (path, mesh) = (file.display(), exported.mesh);
        format!(
            "{} bytes in {path}. Anybody proves them with `sedge events --verify {path} --mesh {mesh}`.",
            exported.bytes
        )
    })?;
    Ok(Exit::Done)
}

/// Whole or not at all.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut fresh = tempfile::NamedTempFile::new_in(dir)?;
    fresh.write_all(bytes)?;
    fresh.as_file().sync_all()?;
    fresh.persist(file)?;
    Ok(())
}

fn verify(file: &Path, mesh: Option<MeshId>, since: Option<Timestamp>, screen: &Screen) -> Result<Exit, Failure> {
    let mut verified: EventsVerified = verify_events(&read(file)?, mesh)?;
    let all = verified.events.len();
    verified.events.retain(|event| since.is_none_or(|since| event.at >= since));
    screen.show(&verified, |verified, paint| text(&verified.events, paint))?;
    screen.remark(&format!("Every signature and every chain of {all} entries holds, for mesh {}.", verified.mesh));
    if mesh.is_none() {
        screen.remark("Nothing here says that this is your mesh: compare its id, or give --mesh.");
    }
    Ok(Exit::Done)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let remedy = "Check that the path is a file that can be read.";
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", file.display()), remedy);
    // Asked before it is opened: opening a pipe waits for whoever writes to it.
    if !std::fs::metadata(file).map_err(failed)?.is_file() {
        return Err(Failure::usage(format!("{}: is not a regular file", file.display()), remedy));
    }
    let mut bytes = Vec::new();
    File::open(file).map_err(failed)?.take(MAX_READ).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn text(events: &[Event], paint: Paint) -> String {
    if events.is_empty() {
        return "Nothing was said in that time.".to_owned();
    }
    let mut table = Table::new(["SAID AT", "BY", "WHAT", "", "WHERE", "IS"]);
    for event in events {
        let tone = if event.why.is_none() { Tone::Plain } else { Tone::Bad };
        table.row([
            cell(event.at),
            cell(who(event)),
            cell(&event.kind),
            cell(&event.what),
            cell(place(event)),
            toned(tone, judgement(event)),
        ]);
    }
    table.render(paint)
}

fn line(event: &Event) -> String {
    let (at, by, kind, what) = (event.at, who(event), &event.kind, &event.what);
    format!("{at} {by} {kind}: {what} [{}] {}", place(event), judgement(event))
}

fn who(event: &Event) -> String {
    event.name.as_ref().map_or_else(|| event.by.short(), ToString::to_string)
}

fn place(event: &Event) -> String {
    match (&event.document, event.link) {
        (Some(document), Some(link)) => format!("{document}:{link}"),
        _ => or_empty(event.object.map(|object| object.short())),
    }
}

fn judgement(event: &Event) -> String {
    event.why.as_ref().map_or_else(|| event.standing.clone(), |why| format!("{}: {why}", event.standing))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::screen::hostile::{WORDS, is_shown_harmless};

    #[test]
    fn what_was_said_is_shown_on_its_line_and_obeyed_by_no_terminal() {
        let event = json!({
            "at": "2026-01-01T00:00:00Z", "by": "ab".repeat(32), "name": null, "kind": "halt", "what": WORDS,
            "about": null, "object": null, "document": "authority/ab", "link": 1, "standing": "superseded", "why": WORDS,
        });
        is_shown_harmless(&json!([event]), 2, |events: &Vec<Event>, paint| text(events, paint));
        is_shown_harmless(&event, 2, |event: &Event, _| line(event));
    }
}
