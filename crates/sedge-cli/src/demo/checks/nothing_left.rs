//! `nothing-left`: every agent ends when told to, no process remains, no file remains.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{NEWS, Story};
use crate::demo::until::{so_or, until};

impl Story<'_> {
    pub(super) async fn nothing_left(&mut self) -> Result<String> {
        let running: Vec<usize> = self.mesh.all().filter(|node| self.mesh.nodes[*node].runs()).collect();
        for node in &running {
            self.mesh.tell(*node, &["agent", "stop"]).await?;
        }
        for node in &running {
            self.mesh.nodes[*node].wait().await?;
        }
        let dir = self.mesh.dir().to_owned();
        until("no process being left", NEWS, async || {
            let left = processes_of(&dir);
            Ok(so_or(left.is_empty(), || format!("{} still run: {}", left.len(), left.join(", "))))
        })
        .await?;
        let sockets = self.mesh.nodes.iter().filter(|node| node.home.join("agent.sock").exists()).count();
        if sockets > 0 {
            bail!("{sockets} agents left a socket behind");
        }
        if self.keep {
            return Ok(format!(
                "{} agents stopped, no process is left; --keep leaves {}",
                running.len(),
                dir.display()
            ));
        }
        fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
        if dir.exists() {
            bail!("{} is still there", dir.display());
        }
        Ok(format!("{} agents stopped, no process is left, {} is gone", running.len(), dir.display()))
    }
}

/// Processes that were started with something under `dir`, by what the system says of all there are. Where it does not
/// say (no `/proc`), the agents' own ends, already awaited, are all there is to know.
fn processes_of(dir: &Path) -> Vec<String> {
    let dir = dir.to_string_lossy();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbered = entries.flatten().filter(|e| e.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
    let lines = numbered.filter_map(|e| {
        let line = fs::read(e.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(dir.as_ref()).then(|| format!("{} ({})", line.trim(), e.file_name().to_string_lossy()))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_names_the_directory_is_found_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        // It reads from a pipe that nobody writes to, and so stays until it is killed.
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read line"])
            .arg(dir.path())
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // The system shows a new program's arguments a moment after it began.
        let begun = std::time::Instant::now();
        while processes_of(dir.path()).len() != 1 {
            assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", processes_of(dir.path()));
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(processes_of(dir.path()).is_empty());
    }
}
