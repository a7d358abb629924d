//! `answers-match`: every node answers alike, and as it should where that is known.

use anyhow::{Context, Result, bail};
use sedge_statement::{Probe, Tensor};

use super::Story;

impl Story<'_> {
    pub(super) async fn answers_match(&mut self) -> Result<String> {
        let digest = self.first.clone().context("no release")?;
        let mut given = true;
        for case in &self.material.cases {
            given &= case.expected.is_some();
            let mut expected = case.expected.clone();
            for node in self.mesh.all() {
                let name = self.mesh.name(node);
                let (answer, outputs) = self.mesh.infer(node, &self.material.slot, &case.input).await?;
                if answer.sha256.to_string() != digest {
                    bail!("{name} answered with {}, not with {digest:.10}", answer.sha256.short());
                }
                match &expected {
                    Some(probe) => {
                        probe.judge(&outputs).with_context(|| format!("{name} on {}", case.name))?;
                    }
                    // Where nothing is given, the first node's answer is what the others are held to.
                    None => expected = Some(as_expected(outputs)),
                }
            }
        }
        let cases: Vec<&str> = self.material.cases.iter().map(|case| case.name.as_str()).collect();
        let against = if given { "as given" } else { "alike across nodes (no outputs are given for this model)" };
        Ok(format!("{} nodes answer {} {against}", self.mesh.nodes.len(), cases.join(", ")))
    }
}

fn as_expected(outputs: Vec<Tensor>) -> Probe {
    Probe::of_tensors("", Vec::new(), outputs)
}
