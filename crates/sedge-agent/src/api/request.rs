//! One request and one answer, each a line on the control socket.

use std::time::Duration;

use sedge_statement::{ControlAction, ModelId, SlotName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    ApiError, ChatPart, ChatRequest, DeployRequest, EnrollApprove, ImportRequest, InferParameters, InviteRequest,
    LabelRequest, ModelAdd, RevokeRequest, RotateRequest,
};

/// One request, one line of JSON on the control socket: `{"op": …, fields…}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Request {
    /// This node, its slots, peers and sync. Answer: [`Status`](super::Status).
    Status,
    /// Every member. Answer: `[`[`Node`](super::Node)`…]`.
    NodeList,
    /// One member, by name or id (a prefix of at least six digits will do). Answer: [`NodeDetail`](super::NodeDetail).
    NodeShow {
        /// Name, id or prefix.
        node: String,
    },
    /// Makes a ticket. Answer: [`Invitation`](super::Invitation).
    Invite(InviteRequest),
    /// Enrols a node that asked by file. Answer: [`Approved`](super::Approved).
    EnrollApprove(EnrollApprove),
    /// Reads, stores and publishes a model. Answer: [`Model`](super::Model).
    ModelAdd(ModelAdd),
    /// Every release known. Answer: `[`[`Model`](super::Model)`…]`.
    ModelList,
    /// One release, whole. Answer: [`ModelDetail`](super::ModelDetail).
    ModelShow {
        /// `MODEL[:VERSION]`, or a release's id or prefix.
        model: String,
    },
    /// Proves the files of a release that this node holds, then tries the model. Answer: [`Verification`](super::Verification).
    ModelVerify {
        /// As for [`Request::ModelShow`].
        model: String,
    },
    /// The releases of one model, oldest first, and where each was deployed. Answer: `[`[`LogEntry`](super::LogEntry)`…]`.
    ModelLog {
        /// The model.
        id: ModelId,
    },
    /// Imports Peat's manifests and commands, all or none. Answer: `[`[`Imported`](super::Imported)`…]`.
    Import(ImportRequest),
    /// Every draft of this node. Answer: `[`[`ModelDraft`](super::ModelDraft)`…]`.
    DraftList,
    /// One draft. Answer: [`ModelDraft`](super::ModelDraft).
    DraftShow {
        /// `MODEL[:VERSION]`.
        model: String,
    },
    /// Drops a draft. Answer: the [`ModelDraft`](super::ModelDraft) that it was.
    DraftForget {
        /// `MODEL[:VERSION]`.
        model: String,
    },
    /// A release, a draft or a deployed command as Peat's JSON. Answer: that JSON.
    PeatExport {
        /// As for [`Request::ModelShow`], or the id of a command.
        model: String,
    },
    /// Publishes a deployment. Answer: [`Deployed`](super::Deployed).
    Deploy(DeployRequest),
    /// Says what a deployment would do, and publishes nothing. Answer: [`DeployPlan`](super::DeployPlan).
    DeployPlan(DeployRequest),
    /// Every rollout. Answer: `[`[`RolloutSummary`](super::RolloutSummary)`…]`, newest first.
    RolloutList,
    /// One rollout. Answer: [`Rollout`](super::Rollout).
    RolloutShow {
        /// Its id or a prefix of at least six digits.
        rollout: String,
        /// Answer only once the agent's revision is beyond this one, or [`WATCH_LIMIT`] has passed.
        #[serde(default)]
        after: Option<u64>,
    },
    /// Why a node does or does not do what a rollout asks. Answer: [`Explanation`](super::Explanation).
    RolloutExplain {
        /// Its id or prefix.
        rollout: String,
        /// The node's name, id or prefix.
        node: String,
    },
    /// Pauses, resumes, cancels or halts a rollout. Answer: [`Rollout`](super::Rollout).
    RolloutControl {
        /// Its id or prefix.
        rollout: String,
        /// What happens to it.
        action: ControlAction,
        /// Why, for people.
        #[serde(default)]
        reason: String,
    },
    /// Agrees to a rollout's deployment, and to its release where this node's role lets it. Answer: [`Rollout`](super::Rollout).
    RolloutApprove {
        /// Its id or prefix.
        rollout: String,
    },
    /// Takes back, for ever, what a node may say. Answer: [`Revoked`](super::Revoked).
    NodeRevoke(RevokeRequest),
    /// Gives a node other labels, or another cell. Answer: [`NodeDetail`](super::NodeDetail).
    NodeLabel(LabelRequest),
    /// The mesh: its roots, who is revoked, what waits for signatures. Answer: [`MeshShown`](super::MeshShown).
    MeshShow,
    /// Proposes the next version of the roots, and signs it. Answer: [`MeshShown`](super::MeshShown).
    MeshRotate(RotateRequest),
    /// Signs a version of the roots that was proposed. Answer: [`MeshShown`](super::MeshShown).
    MeshApprove {
        /// The first digits of its id; needed where more than one waits.
        #[serde(default)]
        id: Option<String>,
    },
    /// Asks the model in a slot. Answer: [`Inference`](super::Inference).
    Infer {
        /// The slot.
        slot: SlotName,
        /// Tensors in the Open Inference Protocol's JSON; for a language model one text, as an element of the type `BYTES`.
        inputs: Vec<Value>,
        /// How it is to be answered.
        #[serde(default)]
        parameters: InferParameters,
    },
    /// Asks the language model in a slot for text, which comes in several lines. Answer: [`ChatEnd`](super::ChatEnd).
    Chat(ChatRequest),
    /// Radio silence: all mesh traffic stops, models go on serving. Answer: `null`.
    Offline,
    /// Ends radio silence. Answer: `null`.
    Online,
    /// Stops the agent; answered before it goes. Answer: `null`.
    Stop,
    /// What is wrong, and what to do about it. Answer: `[`[`Diagnosis`](super::Diagnosis)`…]`.
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
