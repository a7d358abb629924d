//! `enrolled`: a mesh is made, others join it with tickets, and all know all.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use sedge_agent::api::{Invitation, Node};

use super::{NEWS, ROOT, Story, VICTIM};
use crate::demo::until::{so_or, until};

/// What the victim may fetch a second: its large artifact takes some seconds, so that it can be killed in between.
const SLOW: &str = "16MiB";

impl Story<'_> {
    pub(super) async fn enrolled(&mut self) -> Result<String> {
        let name = self.mesh.name(ROOT).to_owned();
        self.mesh.tell(ROOT, &["init", "--name", "demo", "--node", &name]).await?;
        self.mesh.nodes[VICTIM].flags = vec!["--download-limit".to_owned(), SLOW.to_owned()];
        self.mesh.start(ROOT).await?;
        let field = self.field();
        for node in self.mesh.all().skip(1) {
            let mut invite = vec!["invite", "--role", "device"];
            if node == field {
                invite.extend(["--role", "deploy", "--role", "release"]);
            }
            let invitation: Invitation = self.mesh.ask(ROOT, &invite).await?;
            let name = self.mesh.name(node).to_owned();
            self.mesh.tell(node, &["join", &invitation.ticket, "--name", &name]).await?;
            self.mesh.start(node).await?;
        }
        for node in self.mesh.all() {
            self.knows_everybody(node).await?;
        }
        self.a_device_may_not_invite().await?;
        let joined = self.mesh.nodes.len() - 1;
        Ok(format!(
            "{} made the mesh, {joined} joined with tickets, and every node knows every other",
            self.mesh.name(ROOT)
        ))
    }

    async fn knows_everybody(&self, node: usize) -> Result<()> {
        let wanted: BTreeSet<&str> = self.mesh.nodes.iter().map(|n| n.name.as_str()).collect();
        until(&format!("{} knowing everybody", self.mesh.name(node)), NEWS, async || {
            let nodes: Vec<Node> = self.mesh.ask(node, &["node", "list"]).await?;
            let names: BTreeSet<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
            let linked = nodes.iter().filter(|n| n.connected).count();
            Ok(so_or(names == wanted && linked > 1, || format!("it knows {names:?}, {linked} of them connected")))
        })
        .await
    }

    /// A mesh that anybody may let others into would prove nothing.
    async fn a_device_may_not_invite(&self) -> Result<()> {
        // With two nodes the only other one is the field node, which may deploy and release, but not enroll either.
        match self.mesh.tell(VICTIM, &["invite"]).await {
            Ok(()) => bail!("{} may only run models, and yet it invited another node", self.mesh.name(VICTIM)),
            Err(error) => match error.downcast_ref::<crate::demo::node::Refused>() {
                Some(refused) if refused.status == 3 => Ok(()),
                _ => Err(error),
            },
        }
    }
}
