//! Small text files below a root.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// The most read of any file: `/proc/cpuinfo` of a machine with hundreds of cores fits, a log by mistake does not.
const MAX_FILE: u64 = 1 << 20;

/// The most entries of a directory that are looked at: sensors and batteries are few.
const MAX_ENTRIES: usize = 64;

/// The longest text that ends up in a profile, characters.
const MAX_TEXT: usize = 120;

/// The root of a file system, real or made up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Root<'a>(pub(crate) &'a Path);

impl Root<'_> {
    /// The beginning of a file, if it can be read; bytes that are no UTF-8 are replaced.
    pub(crate) fn read(self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        File::open(self.join(path)).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The words of a file of the device tree: each ends in a zero byte.
    pub(crate) fn read_device_tree(self, property: &str) -> Vec<String> {
        let homes = ["proc/device-tree", "sys/firmware/devicetree/base"];
        let text = homes.iter().find_map(|home| self.read(&format!("{home}/{property}"))).unwrap_or_default();
        text.split('\0').filter(|word| !word.trim().is_empty()).map(tidy).collect()
    }

    /// The names in a directory, in order; none where it cannot be read.
    pub(crate) fn list(self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.join(path)) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.take(MAX_ENTRIES).collect();
        names.sort_unstable();
        names
    }

    /// Never above the root, whatever the path says: some of it comes from files.
    fn join(self, path: &str) -> PathBuf {
        let below = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_)));
        self.0.join(below.collect::<PathBuf>())
    }
}

/// Text for people: one line without control characters, of bounded length.
pub(crate) fn tidy(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ").chars().take(MAX_TEXT).collect()
}

/// The value of the first `KEY : VALUE` line, the form of `/proc`.
pub(crate) fn field<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_climbs_stays_below_the_root() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        std::fs::write(folder.path().join("secret"), "out").unwrap();
        std::fs::write(folder.path().join("root/secret"), "in").unwrap();
        let path = folder.path().join("root");
        for climbing in ["../secret", "/secret", "./../../secret", "secret"] {
            assert_eq!(Root(&path).read(climbing).as_deref(), Some("in"), "{climbing}");
        }
    }

    #[test]
    fn text_is_tidied_to_one_bounded_line() {
        assert_eq!(tidy("  A\tB\0\u{7} C\n"), "A B C");
        assert_eq!(tidy(&"é".repeat(500)).chars().count(), MAX_TEXT);
    }
}
