//! `sedge doctor`

use std::path::Path;

use sedge_agent::api::{Diagnosis, Request};

use super::ask;
use crate::failure::{Exit, Failure};
use crate::paint::{Paint, Tone};
use crate::screen::Screen;
use crate::table::{Table, cell, toned};

/// Shows every finding; fails where one is not well.
pub(crate) async fn run(home: &Path, screen: &Screen) -> Result<Exit, Failure> {
    let found: Vec<Diagnosis> = ask(home, &Request::Doctor).await?;
    screen.show(&found, |found, paint| text(found, paint))?;
    Ok(if found.iter().all(|d| d.ok) { Exit::Done } else { Exit::Failed })
}

fn text(found: &[Diagnosis], paint: Paint) -> String {
    let mut table = Table::new(["CHECK", "IS", "FOUND", "DO"]);
    for d in found {
        let (tone, word) = if d.ok { (Tone::Good, "well") } else { (Tone::Bad, "not well") };
        table.row([cell(&d.check), toned(tone, word), cell(&d.finding), cell(&d.remedy)]);
    }
    table.render(paint)
}
