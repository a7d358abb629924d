//! What one document says, link by link, whether or not it still holds.

use std::collections::BTreeMap;

use sedge_statement::Timestamp;

use super::Said;
use crate::chain::Chain;
use crate::precheck::{self, Expected, Shape, Touch};
use crate::schema::{self, Content, Node, Statement};
use crate::segment;

/// One statement of a document.
#[derive(Debug, Clone)]
pub(crate) struct Spoken {
    pub(crate) seq: u64,
    pub(crate) nth: u32,
    pub(crate) at: Timestamp,
    pub(crate) said: Said,
    /// The same for a statement that is repeated; none where it cannot be read.
    pub(crate) mark: Option<Mark>,
    pub(crate) within: Within,
}

/// A digest of a statement.
pub(crate) type Mark = [u8; 32];

/// Whether a statement holds inside its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Within {
    /// It is what the document says.
    Holds,
    /// This later link says otherwise.
    Replaced(u64),
    /// No link so late counts.
    Past,
    /// It is not as its place says.
    Unreadable(String),
}

/// Reads all that a chain holds. Every link is checked as when it came; of those that count none can fail.
pub(crate) fn spoken(chain: &Chain) -> Vec<Spoken> {
    let places = schema::places(chain.id().kind);
    if places.is_empty() {
        return Vec::new();
    }
    let mut all = Reading { places, shape: Shape::default(), said: Vec::new(), latest: BTreeMap::new() };
    let actor = segment::actor(chain.id());
    let mut previous = None;
    for (seq, link) in chain.links_from(1) {
        let expected = Expected { actor: &actor, seq, previous };
        let past = seq > chain.len();
        // Links past the last that counts were not checked when they came: whatever follows one that fails says nothing.
        if let Err(refusal) = precheck::check(&link.raw, expected, &mut all.shape) {
            all.unreadable(seq, &link.raw, refusal.to_string());
            break;
        }
        previous = Some(link.hash);
        match precheck::touches(&link.raw) {
            Ok(touches) => all.link(seq, &touches, past, &link.raw),
            Err(refusal) => all.unreadable(seq, &link.raw, refusal.to_string()),
        }
        if seq == chain.len() {
            all.end(seq);
        }
    }
    all.said
}

struct Reading {
    places: &'static [&'static str],
    shape: Shape,
    said: Vec<Spoken>,
    /// Which statement stands at each key, as long as links count.
    latest: BTreeMap<(&'static str, String), usize>,
}

impl Reading {
    /// Takes in what a link changed, once the shape is past it.
    fn link(&mut self, seq: u64, touches: &[Touch<'_>], past: bool, raw: &[u8]) {
        let mut nth = 0;
        for place in self.places.iter().copied() {
            for name in self.touched(place, touches) {
                let key = (place, name);
                if let Some(before) = self.latest.get(&key).filter(|_| !past) {
                    self.said[*before].within = Within::Replaced(seq);
                }
                let Some(spoken) = self.statement(&key, seq, nth, past, raw) else { continue };
                nth += 1;
                if !past {
                    self.latest.insert(key, self.said.len());
                }
                self.said.push(spoken);
            }
        }
    }

    /// The keys of a place that a link is about, each once.
    fn touched(&self, place: &str, touches: &[Touch<'_>]) -> Vec<String> {
        let Ok(Some(Node::Map(map))) = self.shape.get(&self.shape.root(), place) else { return Vec::new() };
        let mut names: Vec<String> = touches
            .iter()
            .filter(|touch| touch.object == map)
            .filter_map(|touch| Some(touch.name?.to_owned()))
            .collect();
        // An entry that is a map of its own is changed by what is done inside it.
        let inside = |node: &Node<'_, u64>| matches!(node, Node::Map(id) if touches.iter().any(|t| t.object == *id));
        names.extend(self.shape.entries(&map).filter(|(_, node)| inside(node)).map(|(name, _)| name.into_owned()));
        names.sort();
        names.dedup();
        names
    }

    /// What stands at a key now; none where nothing does.
    fn statement(
        &self,
        (place, name): &(&'static str, String),
        seq: u64,
        nth: u32,
        past: bool,
        raw: &[u8],
    ) -> Option<Spoken> {
        let Ok(Some(Node::Map(map))) = self.shape.get(&self.shape.root(), place) else { return None };
        let node = self.shape.get(&map, name).ok().flatten()?;
        Some(match schema::statement(&self.shape, place, name, &node) {
            Ok(statement) => Spoken {
                seq,
                nth,
                at: statement.at(),
                mark: Some(blake3::derive_key("sedge audit statement 1", &statement.to_bytes())),
                said: said(statement),
                within: if past { Within::Past } else { Within::Holds },
            },
            Err(defect) => {
                let within = if past { Within::Past } else { Within::Unreadable(format!("{place} {defect}")) };
                Spoken { seq, nth, at: made_at(raw), mark: None, said: Said::Unreadable, within }
            }
        })
    }

    /// Marks what went with the place that held it: a later link put something else there.
    fn end(&mut self, seq: u64) {
        let gone = self.latest.iter().filter(|((place, name), _)| {
            let Ok(Some(Node::Map(map))) = self.shape.get(&self.shape.root(), place) else { return true };
            !matches!(self.shape.get(&map, name), Ok(Some(_)))
        });
        for (_, before) in gone {
            let spoken = &mut self.said[*before];
            if spoken.within == Within::Holds {
                spoken.within = Within::Replaced(seq);
            }
        }
    }

    fn unreadable(&mut self, seq: u64, raw: &[u8], why: String) {
        let within = Within::Unreadable(format!("link {seq}: {why}"));
        self.said.push(Spoken { seq, nth: 0, at: made_at(raw), mark: None, said: Said::Unreadable, within });
    }
}

/// When a link was made, where what it says bears no time that can be read.
fn made_at(raw: &[u8]) -> Timestamp {
    precheck::made_at(raw).unwrap_or_default()
}

fn said(statement: Statement) -> Said {
    match statement {
        Statement::Release(id, release) => {
            Said::Release { id, model: release.manifest.id, version: release.manifest.version }
        }
        Statement::Deployment(id, deployment) => {
            Said::Deployment { id, release: deployment.release, slot: deployment.slot, selector: deployment.selector }
        }
        Statement::Control(control) => Said::Control {
            rollout: control.rollout,
            action: control.action,
            count: control.count,
            reason: control.reason,
        },
        Statement::Approval(approval) => Said::Approval(approval.of),
        Statement::Evidence(report) => Said::Evidence(report),
    }
}
