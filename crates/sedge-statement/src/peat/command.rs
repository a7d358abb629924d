//! An update command of Peat's, parsed.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::error::{JsonPath, PeatDefect, PeatError, shown};
use super::field::Object;
use super::json;
use super::manifest::PeatManifest;
use crate::{
    Action, DeploymentDraft, Downgrade, GatePolicy, ModelId, NodeId, NodeName, NodeNames, Priority, Selector, SlotName,
    WaveSize,
};

/// How long a node watches a new model: as `sedge deploy` has it.
const PROBATION: Duration = Duration::from_secs(3);
/// When the rollout ends: as `sedge deploy` has it.
const DEADLINE: Duration = Duration::from_secs(7 * 24 * 3600);

/// A node that a command names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeatTarget {
    /// By its id.
    Id(NodeId),
    /// By its name.
    Name(NodeName),
}

impl fmt::Display for PeatTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

/// An update command of Peat's: what it says, and the JSON that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct PeatCommand {
    json: Map<String, Value>,
    id: Uuid,
    manifest: PeatManifest,
    targets: Vec<PeatTarget>,
    priority: Priority,
    action: Action,
    fallback: Option<ModelId>,
}

impl PeatCommand {
    /// Reads a command.
    ///
    /// # Errors
    /// See [`PeatError`].
    pub fn read(text: &str) -> Result<Self, PeatError> {
        json::read(text).and_then(Self::from_value)
    }

    pub(super) fn from_value(value: Value) -> Result<Self, PeatError> {
        let at = JsonPath::default();
        let Value::Object(json) = value else {
            return Err(PeatDefect::WrongType { found: "no object".to_owned(), wanted: "an object" }.at(&at));
        };
        let object = Object::new(&json, &at);
        object.check_keys()?;
        let field = object.required("command_id", "a UUID")?;
        let text = field.text()?;
        let id = Uuid::try_parse(text).map_err(|_| PeatDefect::Uuid { found: shown(text) }.at(&field.at))?;
        object.required("manifest", "a manifest")?.object()?;
        let manifest = PeatManifest::at(json["manifest"].clone(), &at.field("manifest"))?;
        let targets = targets(&object)?;
        let priority = match object.optional("priority") {
            Some(field) => {
                let n = u8::try_from(field.whole(1, 5)?).expect("at most five");
                Priority::try_from(n).expect("the range was checked")
            }
            None => Priority::default(),
        };
        let loads = object.required("auto_load", "true or false")?.flag()?;
        let fallback = object.optional("rollback_model_id").map(|field| field.name()).transpose()?;
        object.optional("timestamp").map_or(Ok(()), |field| field.time())?;
        let action = if loads { Action::Activate } else { Action::StageOnly };
        Ok(Self { id, manifest, targets, priority, action, fallback, json })
    }

    /// Its id: two deployments of one id are one.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The model that it means.
    pub fn manifest(&self) -> &PeatManifest {
        &self.manifest
    }

    /// The nodes that it names, in its order; none for every node that can run the model.
    pub fn targets(&self) -> &[PeatTarget] {
        &self.targets
    }

    /// The place of a target in the document, for messages.
    pub fn target_path(&self, index: usize) -> JsonPath {
        JsonPath::default().field("target_nodes").index(index)
    }

    /// Which fetch comes first.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Activate or stage.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The model that it names as fallback. A slot here goes back to what it served by itself.
    pub fn fallback(&self) -> Option<&ModelId> {
        self.fallback.as_ref()
    }

    /// The JSON, every field equal to what was read.
    pub fn to_json(&self) -> Value {
        Value::Object(self.json.clone())
    }

    /// The deployment that it means, by the policy of a plain `sedge deploy`: one canary, then all others.
    ///
    /// `names` are the targets' names, resolved; none for the whole mesh.
    pub fn deployment(&self, slot: SlotName, names: &BTreeSet<NodeName>) -> DeploymentDraft {
        let selector = match NodeNames::term(names.clone()) {
            Some(term) => Selector::try_from(vec![term]).expect("one term is a selector"),
            None => Selector::whole_mesh(),
        };
        DeploymentDraft {
            slot,
            selector,
            action: self.action,
            downgrade: Downgrade::Refuse,
            priority: self.priority,
            waves: vec![WaveSize::Count(1)],
            gate: GatePolicy::default(),
            probation: PROBATION,
            deadline_in: DEADLINE,
            start_within: None,
        }
    }
}

fn targets(object: &Object<'_>) -> Result<Vec<PeatTarget>, PeatError> {
    let mut seen = BTreeSet::new();
    let mut targets = Vec::new();
    for field in object.required("target_nodes", "a list of nodes")?.list(NodeNames::MAX)? {
        let text = field.text()?;
        let target = match text.parse() {
            Ok(id) => PeatTarget::Id(id),
            Err(_) => PeatTarget::Name(field.name()?),
        };
        if !seen.insert(target.clone()) {
            return Err(PeatDefect::Again { found: shown(text) }.at(&field.at));
        }
        targets.push(target);
    }
    Ok(targets)
}
