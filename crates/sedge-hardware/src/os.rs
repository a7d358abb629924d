//! The operating system, for people.

use crate::root::{Root, tidy};

/// `Ubuntu 22.04.4 LTS, Linux 5.15.136-tegra, JetPack 6 (L4T R36.3.0)`; what cannot be read is left out.
pub(crate) fn describe(root: Root<'_>) -> String {
    let kernel = root.read("proc/sys/kernel/osrelease").map(|release| tidy(&release)).filter(|text| !text.is_empty());
    let parts = [distribution(root), kernel.map(|release| format!("Linux {release}")), jetpack(root)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { std::env::consts::OS.to_owned() } else { tidy(&parts.join(", ")) }
}

fn distribution(root: Root<'_>) -> Option<String> {
    let text = ["etc/os-release", "usr/lib/os-release"].iter().find_map(|path| root.read(path))?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
        let name = tidy(line.trim().trim_matches(['"', '\'']));
        (!name.is_empty()).then_some(name)
    };
    value("PRETTY_NAME").or_else(|| value("NAME"))
}

/// `# R36 (release), REVISION: 3.0, …` of `/etc/nv_tegra_release`, with the JetPack that it belongs to.
fn jetpack(root: Root<'_>) -> Option<String> {
    let text = root.read("etc/nv_tegra_release")?;
    let line = text.lines().next()?;
    let digits = |text: &str| text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').take(8).collect::<String>();
    let release: u32 = digits(line.strip_prefix("# R")?).parse().ok()?;
    let revision = digits(line.split_once("REVISION:")?.1.trim_start());
    let l4t = format!("L4T R{release}.{revision}");
    let jetpack = match release {
        32 => 4,
        35 => 5,
        36 => 6,
        38 | 39 => 7,
        _ => return Some(l4t),
    };
    Some(format!("JetPack {jetpack} ({l4t})"))
}
