//! `answers-match`: every node answers alike, and as it should where that is known, in both slots.

use anyhow::{Context, Result, bail};

use super::Story;
use crate::demo::material::Case;

impl Story<'_> {
    pub(super) async fn answers_match(&mut self) -> Result<String> {
        let digest = self.first.clone().context("no release")?;
        let other_digest = self.other_digest.clone().context("no release for the other slot")?;
        for case in &self.material.cases {
            self.all_answer(&self.material.slot, case, &digest).await?;
        }
        self.all_answer(&self.other.slot, &self.other.case, &other_digest).await?;
        let given = self.material.cases.iter().all(|case| case.expected.is_some());
        let cases: Vec<&str> = self.material.cases.iter().map(|case| case.name.as_str()).collect();
        let against = if given { "as given" } else { "alike across nodes (no outputs are given for this model)" };
        let (nodes, cases, slot) = (self.mesh.nodes.len(), cases.join(", "), &self.material.slot);
        let (other, other_case) = (&self.other.slot, &self.other.case.name);
        Ok(format!("{nodes} nodes answer {cases} {against} in {slot}, and {other_case} as given in {other}"))
    }

    /// Asks every node: the digest must be the release's, the answer the expected one, and the same everywhere.
    async fn all_answer(&self, slot: &str, case: &Case, digest: &str) -> Result<()> {
        let mut first = None;
        for node in self.mesh.all() {
            let name = self.mesh.name(node);
            let (answer, said) = self.mesh.infer(node, slot, &case.input).await?;
            if answer.sha256.to_string() != digest {
                bail!("{name} answered with {}, not with {digest:.10}", answer.sha256.short());
            }
            if let Some(probe) = &case.expected {
                said.judge(probe).with_context(|| format!("{name} on {}", case.name))?;
            }
            match &first {
                Some(first) => said.is_as(first).with_context(|| format!("{name} on {}", case.name))?,
                None => first = Some(said),
            }
        }
        Ok(())
    }
}
