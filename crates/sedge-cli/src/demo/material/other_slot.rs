//! The model of a demo's second slot: the other kind than the first slot's.

use std::path::Path;

use anyhow::{Context, Result};
use sedge_statement::{Asked, Probe};

use super::{Case, Material, Publication, write};

/// A model that serves beside the first, in a slot of its own.
#[derive(Debug)]
pub(in crate::demo) struct OtherSlot {
    /// The slot, and the model's id.
    pub(in crate::demo) slot: String,
    pub(in crate::demo) model: Publication,
    /// What to ask it, and what it must answer.
    pub(in crate::demo) case: Case,
}

const TALES: &[u8] = include_bytes!("../../../../../models/tales/tales-1.0.0.gguf");
const PROBES: &[u8] = include_bytes!("../../../../../models/tales/probes/tales-1.0.0.json");

impl OtherSlot {
    /// The built-in language model, written out under `dir`.
    pub(in crate::demo) fn tales(dir: &Path) -> Result<Self> {
        let dir = &dir.join("models");
        let probe = Probe::read_all(PROBES)?.into_iter().next().context("tales has probes")?;
        let Asked::Text(trial) = &probe.asked else { unreachable!("a language model's probes are text") };
        let input = write(dir, "tales-prompt.txt", trial.prompt.as_bytes())?;
        let name = format!("{:?}", trial.prompt);
        let model = Publication {
            id: "tales".to_owned(),
            version: "1.0.0".to_owned(),
            file: write(dir, "tales-1.0.0.gguf", TALES)?,
            probes: vec![write(dir, "tales-1.0.0.probes.json", PROBES)?],
            more: Vec::new(),
        };
        Ok(Self { slot: "tales".to_owned(), model, case: Case { name, input, expected: Some(probe) } })
    }

    /// The built-in digits, for a demo whose first slot has a language model.
    pub(in crate::demo) fn digits(dir: &Path) -> Result<Self> {
        let digits = Material::digits(dir)?;
        let case = digits.cases.into_iter().next().context("digits has cases")?;
        Ok(Self { slot: digits.slot, model: digits.first, case })
    }
}
