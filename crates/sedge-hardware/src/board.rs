//! Boards that name themselves in the device tree: Jetsons and Raspberry Pis.

use crate::root::Root;

/// A Jetson's system on a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tegra {
    /// As the device tree's `compatible` has it.
    chip: &'static str,
    /// The class of boards.
    pub(crate) class: &'static str,
    /// The accelerator's name, with the compute capability that models are compiled for.
    pub(crate) accelerator: &'static str,
}

const TEGRAS: [Tegra; 5] = [
    Tegra { chip: "nvidia,tegra210", class: "jetson-nano", accelerator: "NVIDIA Tegra X1 GPU, compute 5.3" },
    Tegra { chip: "nvidia,tegra186", class: "jetson-tx2", accelerator: "NVIDIA Tegra X2 GPU, compute 6.2" },
    Tegra { chip: "nvidia,tegra194", class: "jetson-xavier", accelerator: "NVIDIA Xavier GPU, compute 7.2" },
    Tegra { chip: "nvidia,tegra234", class: "jetson-orin", accelerator: "NVIDIA Orin GPU, compute 8.7" },
    Tegra { chip: "nvidia,tegra264", class: "jetson-thor", accelerator: "NVIDIA Thor GPU, compute 11.0" },
];

/// What the board says of itself: its model, where it has a device tree.
pub(crate) fn model(root: Root<'_>) -> Option<String> {
    root.read_device_tree("model").into_iter().next()
}

/// The Jetson that this is, if it is one. The chip alone does not make it: televisions and consoles have those too.
pub(crate) fn jetson(root: Root<'_>) -> Option<Tegra> {
    if !model(root)?.contains("Jetson") {
        return None;
    }
    let compatible = root.read_device_tree("compatible");
    TEGRAS.into_iter().find(|tegra| compatible.iter().any(|word| word == tegra.chip))
}

/// The class of a board that is known.
pub(crate) fn class(root: Root<'_>) -> Option<String> {
    let model = model(root)?;
    if let Some(tegra) = jetson(root) {
        return Some(tegra.class.to_owned());
    }
    if model.contains("Jetson") {
        return Some("jetson".to_owned());
    }
    raspberry_pi(model.strip_prefix("Raspberry Pi")?.trim_start())
}

/// `5 Model B Rev 1.0` is a `raspberry-pi-5`, `Compute Module 4 Rev 1.1` a `raspberry-pi-cm4`.
fn raspberry_pi(rest: &str) -> Option<String> {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).take(4).collect::<String>();
    let (kind, digits) = if let Some(module) = rest.strip_prefix("Compute Module") {
        ("cm", number(module.trim_start()))
    } else if let Some(zero) = rest.strip_prefix("Zero") {
        let digits = number(zero.trim_start());
        (if digits.is_empty() { "zero" } else { "zero-" }, digits)
    } else {
        ("", number(rest))
    };
    let tail = format!("{kind}{digits}");
    Some(if tail.is_empty() { "raspberry-pi".to_owned() } else { format!("raspberry-pi-{tail}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pis_are_classed_by_their_kind_and_number() {
        for (model, class) in [
            ("5 Model B Rev 1.0", "raspberry-pi-5"),
            ("4 Model B Rev 1.4", "raspberry-pi-4"),
            ("400 Rev 1.0", "raspberry-pi-400"),
            ("Compute Module 4 Rev 1.1", "raspberry-pi-cm4"),
            ("Zero 2 W Rev 1.0", "raspberry-pi-zero-2"),
            ("Zero W Rev 1.1", "raspberry-pi-zero"),
            ("Model B Rev 2", "raspberry-pi"),
        ] {
            assert_eq!(raspberry_pi(model).as_deref(), Some(class));
        }
    }
}
