//! `replicated`: what one node publishes, every node knows alike.

use anyhow::Result;
use sedge_agent::api::Model;

use super::{NEWS, ROOT, Story};
use crate::demo::until::{so_or, until};

impl Story<'_> {
    pub(super) async fn replicated(&mut self) -> Result<String> {
        let published = self.mesh.publish(ROOT, &self.material.first).await?;
        for node in self.mesh.all() {
            until(&format!("{} listing the release", self.mesh.name(node)), NEWS, async || {
                let models: Vec<Model> = self.mesh.ask(node, &["model", "list"]).await?;
                let known = models.iter().any(|m| {
                    m.release == published.release && m.variants.first().map(|v| v.sha256) == digest_of(&published)
                });
                Ok(so_or(known, || format!("it lists {} releases", models.len())))
            })
            .await?;
        }
        self.first = digest_of(&published).map(|digest| digest.to_string());
        let view = self.views_agree().await?;
        let (id, version) = (&published.id, &published.version);
        Ok(format!(
            "{id}:{version}, published on {}, is known everywhere; all views are {view:.10}",
            self.mesh.name(ROOT)
        ))
    }
}

fn digest_of(model: &Model) -> Option<sedge_statement::Sha256> {
    model.variants.first().map(|variant| variant.sha256)
}
