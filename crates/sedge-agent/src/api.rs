//! What one asks of an agent and what it answers: the words of the control socket, of `--json` and of the library.
//!
//! Field names are a contract with scripts: fields may be added, never renamed.

mod chat;
mod peat;
mod plan;
mod rollout;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use sedge_statement::{Architecture, Blake3, MeshId, MeshName};
use sedge_statement::{
    CellPath, ControlAction, DeploymentDraft, HardwareClass, LabelKey, LabelValue, Manifest, ModelFormat, ModelId,
    ModelType, NodeId, NodeName, Profile, Quantization, ReleaseId, Role, RolloutId, Sha256, SlotName, SlotState,
    Timestamp, VariantName, Version,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use chat::{ChatEnd, ChatPart, ChatRequest, ChatUsage, InferParameters};
pub use peat::{ImportFile, ImportRequest, Imported, ImportedCommand, ImportedModel, ModelDraft};
pub use plan::{DeployPlan, Outlook, PlannedLoser, PlannedNode, PlannedOther, PlannedWave};
pub use rollout::{GivenControl, MAX_CONTROLS, RolloutTerms, WaveEvidence};
pub use trust::{
    Approvals, LabelRequest, MeshShown, Named, PendingRevocation, ProposedRoots, RevokeRequest, Revoked, RootsShown,
    RotateRequest,
};

/// One request, one line of JSON on the control socket: `{"op": …, fields…}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Request {
    /// This node, its slots, peers and sync. Answer: [`Status`].
    Status,
    /// Every member. Answer: `[`[`Node`]`…]`.
    NodeList,
    /// One member, by name or id (a prefix of at least six digits will do). Answer: [`NodeDetail`].
    NodeShow {
        /// Name, id or prefix.
        node: String,
    },
    /// Makes a ticket. Answer: [`Invitation`].
    Invite(InviteRequest),
    /// Reads, stores and publishes a model. Answer: [`Model`].
    ModelAdd(ModelAdd),
    /// Every release known. Answer: `[`[`Model`]`…]`.
    ModelList,
    /// One release, whole. Answer: [`ModelDetail`].
    ModelShow {
        /// `MODEL[:VERSION]`, or a release's id or prefix.
        model: String,
    },
    /// Proves the files of a release that this node holds, then tries the model. Answer: [`Verification`].
    ModelVerify {
        /// As for [`Request::ModelShow`].
        model: String,
    },
    /// The releases of one model, oldest first, and where each was deployed. Answer: `[`[`LogEntry`]`…]`.
    ModelLog {
        /// The model.
        id: ModelId,
    },
    /// Imports Peat's manifests and commands, all or none. Answer: `[`[`Imported`]`…]`.
    Import(ImportRequest),
    /// Every draft of this node. Answer: `[`[`ModelDraft`]`…]`.
    DraftList,
    /// One draft. Answer: [`ModelDraft`].
    DraftShow {
        /// `MODEL[:VERSION]`.
        model: String,
    },
    /// Drops a draft. Answer: the [`ModelDraft`] that it was.
    DraftForget {
        /// `MODEL[:VERSION]`.
        model: String,
    },
    /// A release, a draft or a deployed command as Peat's JSON. Answer: that JSON.
    PeatExport {
        /// As for [`Request::ModelShow`], or the id of a command.
        model: String,
    },
    /// Publishes a deployment. Answer: [`Deployed`].
    Deploy(DeployRequest),
    /// Says what a deployment would do, and publishes nothing. Answer: [`DeployPlan`].
    DeployPlan(DeployRequest),
    /// Every rollout. Answer: `[`[`RolloutSummary`]`…]`, newest first.
    RolloutList,
    /// One rollout. Answer: [`Rollout`].
    RolloutShow {
        /// Its id or a prefix of at least six digits.
        rollout: String,
        /// Answer only once the agent's revision is beyond this one, or [`WATCH_LIMIT`] has passed.
        #[serde(default)]
        after: Option<u64>,
    },
    /// Why a node does or does not do what a rollout asks. Answer: [`Explanation`].
    RolloutExplain {
        /// Its id or prefix.
        rollout: String,
        /// The node's name, id or prefix.
        node: String,
    },
    /// Pauses, resumes, cancels or halts a rollout. Answer: [`Rollout`].
    RolloutControl {
        /// Its id or prefix.
        rollout: String,
        /// What happens to it.
        action: ControlAction,
        /// Why, for people.
        #[serde(default)]
        reason: String,
    },
    /// Agrees to a rollout's deployment, and to its release where this node's role lets it. Answer: [`Rollout`].
    RolloutApprove {
        /// Its id or prefix.
        rollout: String,
    },
    /// Takes back, for ever, what a node may say. Answer: [`Revoked`].
    NodeRevoke(RevokeRequest),
    /// Gives a node other labels, or another cell. Answer: [`NodeDetail`].
    NodeLabel(LabelRequest),
    /// The mesh: its roots, who is revoked, what waits for signatures. Answer: [`MeshShown`].
    MeshShow,
    /// Proposes the next version of the roots, and signs it. Answer: [`MeshShown`].
    MeshRotate(RotateRequest),
    /// Signs the version of the roots that was proposed. Answer: [`MeshShown`].
    MeshApprove,
    /// Asks the model in a slot. Answer: [`Inference`].
    Infer {
        /// The slot.
        slot: SlotName,
        /// Tensors in the Open Inference Protocol's JSON; for a language model one text, as an element of the type `BYTES`.
        inputs: Vec<Value>,
        /// How it is to be answered.
        #[serde(default)]
        parameters: InferParameters,
    },
    /// Asks the language model in a slot for text, which comes in several lines. Answer: [`ChatEnd`].
    Chat(ChatRequest),
    /// Radio silence: all mesh traffic stops, models go on serving. Answer: `null`.
    Offline,
    /// Ends radio silence. Answer: `null`.
    Online,
    /// Stops the agent; answered before it goes. Answer: `null`.
    Stop,
    /// What is wrong, and what to do about it. Answer: `[`[`Diagnosis`]`…]`.
    Doctor,
}

/// The longest that [`Request::RolloutShow`] waits for a change.
pub const WATCH_LIMIT: Duration = Duration::from_secs(10);

/// One answer, one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Done; what, depends on the request.
    Ok(Value),
    /// Not done.
    Error(ApiError),
    /// A piece of an answer, before its end.
    Part(ChatPart),
}

/// What kind of failure, and so which exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// It was tried and failed: exit 1.
    Failed,
    /// The request makes no sense as written: exit 2.
    Usage,
    /// Not authorised, or not verified: exit 3.
    Refused,
    /// Not reached in time: exit 4.
    NotInTime,
    /// No agent runs on this home: exit 5.
    NoAgent,
}

/// One sentence of what, one of what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ApiError {
    /// Which exit status.
    pub kind: ErrorKind,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What a ticket gives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InviteRequest {
    /// The cell of whoever joins with it.
    pub cell: CellPath,
    /// Its roles; `device` where none is given.
    pub roles: BTreeSet<Role>,
    /// Its labels.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// How many nodes may join with it.
    pub uses: u32,
    /// How long it holds.
    pub expires_in: Duration,
}

/// A ticket, ready to hand over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invitation {
    /// The text for `sedge join`.
    pub ticket: String,
    /// Until when.
    pub expires: Timestamp,
}

/// A model to publish.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelAdd {
    /// The model file, an absolute path that the agent can read.
    pub file: PathBuf,
    /// Further files that the variant needs, as a `tokenizer.json`, absolute paths too.
    #[serde(default)]
    pub beside: Vec<PathBuf>,
    /// The model; from the file's name where absent.
    pub id: Option<ModelId>,
    /// The version; from the file's name where absent.
    pub version: Option<Version>,
    /// The variant's name; from format and quantization where absent.
    pub variant: Option<VariantName>,
    /// What the model is for.
    pub model_type: ModelType,
    /// Its licence, an SPDX expression or a name.
    pub license: String,
    /// Where it comes from.
    pub source: String,
    /// Probes to publish with it, already read and checked: JSON as [`sedge_statement::Probe::read_all`] takes it.
    pub probes: Vec<Value>,
    /// Anything else.
    pub metadata: BTreeMap<String, String>,
    /// The draft that the file completes, `MODEL[:VERSION]`; where absent, the one that the file fits, if there is one.
    #[serde(default)]
    pub draft: Option<String>,
}

/// A release in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Model {
    /// The model.
    pub id: ModelId,
    /// The version.
    pub version: Version,
    /// The release's digest.
    pub release: ReleaseId,
    /// Its variants.
    pub variants: Vec<ModelVariant>,
    /// Who published it.
    pub publisher: NodeName,
    /// When.
    pub published_at: Timestamp,
    /// Whether this node holds every file of it.
    pub held: bool,
}

/// A variant in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelVariant {
    /// Its name.
    pub name: VariantName,
    /// Its format.
    pub format: ModelFormat,
    /// How its weights are stored.
    pub quantization: Quantization,
    /// The size of its files, bytes.
    pub size_bytes: u64,
    /// SHA-256 of the file that is opened.
    pub sha256: Sha256,
    /// BLAKE3 of the file that is opened.
    pub blake3: Blake3,
}

/// A release, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelDetail {
    /// As in the list.
    #[serde(flatten)]
    pub model: Model,
    /// What was published.
    pub manifest: Manifest,
    /// Nodes that say they hold the file that is opened, by name.
    pub holders: Vec<NodeName>,
}

/// What proving and trying a release found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verification {
    /// The release's digest.
    pub release: ReleaseId,
    /// Each file and its SHA-256, read back from disk just now.
    pub files: Vec<VerifiedFile>,
    /// How many probes it passed; zero where it has none and only finite outputs were asked for.
    pub probes: usize,
    /// The slowest probe.
    pub latency: Duration,
}

/// A file that was read back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifiedFile {
    /// Its name.
    pub name: String,
    /// Its length, bytes.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// One release in a model's history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogEntry {
    /// The release.
    #[serde(flatten)]
    pub model: Model,
    /// Its place in the model's order.
    pub generation: String,
    /// Its rollouts, oldest first.
    pub rollouts: Vec<RolloutSummary>,
}

/// A deployment to publish.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeployRequest {
    /// `MODEL[:VERSION]`, or a release's id or prefix; the newest release where no version is given.
    pub model: String,
    /// Nodes that form a wave of their own before all others, each by name, id or prefix.
    #[serde(default)]
    pub canaries: Vec<String>,
    /// The rest.
    pub draft: DeploymentDraft,
}

/// A deployment that was published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployed {
    /// The rollout.
    pub rollout: RolloutId,
    /// The slot.
    pub slot: SlotName,
    /// The release.
    pub release: ReleaseId,
    /// How many nodes its selector names.
    pub nodes: usize,
    /// Whether another node already holds every file; until then this one must stay reachable.
    pub replicated: bool,
}

/// A rollout in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RolloutSummary {
    /// The rollout.
    pub rollout: RolloutId,
    /// The slot.
    pub slot: SlotName,
    /// The model.
    pub model: String,
    /// The release.
    pub release: ReleaseId,
    /// Its state's word.
    pub state: String,
    /// Who wished it.
    pub author: NodeName,
    /// When.
    pub created_at: Timestamp,
    /// Nodes named.
    pub total: usize,
    /// Nodes that answer with it.
    pub committed: usize,
    /// Nodes where it failed.
    pub failed: usize,
}

/// A rollout, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rollout {
    /// As in the list: rollout, slot, release, state and counts.
    #[serde(flatten)]
    pub summary: RolloutSummary,
    /// Which nodes it names.
    pub selector: String,
    /// Why it is in its state, where that needs a reason.
    pub reason: Option<String>,
    /// Who agrees to it.
    pub approvals: Approvals,
    /// Who agrees to its release.
    pub release_approvals: Approvals,
    /// Its terms, and who steered it.
    #[serde(flatten)]
    pub terms: RolloutTerms,
    /// Its waves in order.
    pub waves: Vec<RolloutWave>,
    /// Every node it names.
    pub nodes: Vec<RolloutNode>,
    /// The agent's revision; give it back as `after` to wait for the next.
    pub revision: u64,
}

/// One wave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RolloutWave {
    /// From zero, the canary.
    pub wave: usize,
    /// Whether its nodes may start.
    pub open: bool,
    /// Why, or why not.
    pub reason: String,
    /// Its nodes.
    pub total: usize,
    /// Those that answer with the release.
    pub committed: usize,
    /// Those where it failed.
    pub failed: usize,
    /// The others.
    pub pending: usize,
    /// What its witnesses have signed.
    #[serde(flatten)]
    pub evidence: WaveEvidence,
}

/// One node of a rollout.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RolloutNode {
    /// Its name.
    pub node: NodeName,
    /// Its id.
    pub id: NodeId,
    /// Its wave; absent for nodes enrolled after the deployment.
    pub wave: Option<usize>,
    /// How far it is.
    pub state: SlotState,
    /// Why, where the state needs a reason.
    pub reason: Option<String>,
    /// Since when, by its own clock.
    pub since: Option<Timestamp>,
    /// The digest that answers its requests.
    pub sha256: Option<Sha256>,
}

/// The chain of reasons for one node and one rollout.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// The rollout.
    pub rollout: RolloutId,
    /// The node.
    pub node: NodeName,
    /// Sentences, from the selector down to what is being waited for.
    pub reasons: Vec<String>,
}

/// A model's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Inference {
    /// The slot.
    pub slot: SlotName,
    /// The release that produced the answer.
    pub release: ReleaseId,
    /// The digest of the file that produced the answer.
    pub sha256: Sha256,
    /// Tensors in the Open Inference Protocol's JSON.
    pub outputs: Vec<Value>,
    /// Of a text, why it ended: `stop` or `length`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
}

/// This node at a glance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Who this is.
    pub node: StatusNode,
    /// Its mesh.
    pub mesh: StatusMesh,
    /// Other members that it knows an address of, or is connected with.
    pub peers: Vec<StatusPeer>,
    /// How far replication is.
    pub sync: StatusSync,
    /// Its slots.
    pub slots: Vec<StatusSlot>,
    /// Statements that were refused or ignored, and whose.
    pub findings: Vec<String>,
    /// What was refused on the network since the start, before it could be a statement.
    pub refused: StatusRefused,
    /// The agent's version.
    pub version: String,
}

/// What was refused on the network since the start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct StatusRefused {
    /// Connections of strangers, or too many of one node.
    pub connections: u64,
    /// Connections ended because the peer broke a protocol: frames too long, cut short, late or not understood.
    pub violations: u64,
    /// Connections ended because the peer did not read, or said nothing.
    pub stalled: u64,
    /// Requests for weights by strangers, or for what no release names.
    pub weights: u64,
}

/// Who a node is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusNode {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// Its cell.
    pub cell: CellPath,
    /// Where it listens.
    pub listen: Vec<std::net::SocketAddr>,
    /// Whether it keeps radio silence.
    pub offline: bool,
}

/// Which mesh.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusMesh {
    /// Its id.
    pub id: MeshId,
    /// Its name.
    pub name: MeshName,
}

/// A peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusPeer {
    /// Its id.
    pub id: NodeId,
    /// Its name, where its certificate is known.
    pub name: Option<NodeName>,
    /// Whether a connection is open.
    pub connected: bool,
    /// How long ago anything came from it; absent if never since the start.
    pub last_seen_ms: Option<u64>,
    /// How it is connected, where it is: `direct IP:PORT` or `relay URL`.
    pub path: Option<String>,
    /// Where it worked or is said to be, the best first.
    pub addresses: Vec<std::net::SocketAddr>,
}

/// How far replication is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusSync {
    /// Documents held.
    pub documents: usize,
    /// Documents of which a peer said it has more than this node.
    pub behind: usize,
    /// How long ago anything came from any peer; absent if never since the start.
    pub stale_ms: Option<u64>,
    /// A digest of what this node makes of it all: equal on nodes that agree.
    pub view: String,
}

/// A slot of this node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusSlot {
    /// The slot.
    pub slot: SlotName,
    /// The state of its newest update.
    pub state: SlotState,
    /// The rollout of its newest update.
    pub rollout: Option<RolloutId>,
    /// The model that serves.
    pub model: Option<ModelId>,
    /// Its version.
    pub version: Option<Version>,
    /// Its release.
    pub release: Option<ReleaseId>,
    /// The digest of the file that answers requests.
    pub sha256: Option<Sha256>,
    /// Since when the state holds.
    pub since: Timestamp,
    /// Why, where the state needs a reason.
    pub reason: Option<String>,
    /// Bytes of the update's files held, and their total, while it is fetching.
    pub fetch: Option<FetchProgress>,
}

/// How far a fetch is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct FetchProgress {
    /// Bytes held and verified.
    pub held: u64,
    /// Bytes in all.
    pub total: u64,
}

/// A member in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: NodeName,
    /// Its cell.
    pub cell: CellPath,
    /// Its roles.
    pub roles: BTreeSet<Role>,
    /// Its labels.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Its architecture.
    pub arch: Architecture,
    /// Its class of hardware.
    pub class: HardwareClass,
    /// Whether this node is connected with it; true for itself.
    pub connected: bool,
}

/// A member, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeDetail {
    /// As in the list.
    #[serde(flatten)]
    pub node: Node,
    /// What it says of its hardware.
    pub profile: Option<Profile>,
    /// What it says of its slots.
    pub slots: Vec<StatusSlot>,
}

/// Something that is wrong, and what to do about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Diagnosis {
    /// What was looked at: `disk`, `peers`, `authority`…
    pub check: String,
    /// Whether it is well.
    pub ok: bool,
    /// One sentence of what was found.
    pub finding: String,
    /// One sentence of what to do; empty where all is well.
    pub remedy: String,
}

impl ApiError {
    /// It was tried and failed.
    pub fn failed(message: impl std::fmt::Display, remedy: &str) -> Self {
        Self::new(ErrorKind::Failed, message, remedy)
    }

    /// The request makes no sense as written.
    pub fn usage(message: impl std::fmt::Display, remedy: &str) -> Self {
        Self::new(ErrorKind::Usage, message, remedy)
    }

    /// Not authorised, or not verified.
    pub fn refused(message: impl std::fmt::Display, remedy: &str) -> Self {
        Self::new(ErrorKind::Refused, message, remedy)
    }

    fn new(kind: ErrorKind, message: impl std::fmt::Display, remedy: &str) -> Self {
        Self { kind, message: message.to_string(), remedy: remedy.to_owned() }
    }
}
