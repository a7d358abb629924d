//! What one asks of an agent and what it answers: the words of the control socket, of `--json` and of the library.
//!
//! Field names are a contract with scripts: fields may be added, never renamed.

mod chat;
mod error;
mod model;
mod node;
mod peat;
mod plan;
mod request;
mod rollout;
mod status;
mod trust;

pub use chat::{ChatEnd, ChatPart, ChatRequest, ChatUsage, InferParameters, TEXT_DATATYPE};
pub use error::{ApiError, ErrorKind};
pub use model::{Inference, LogEntry, Model, ModelAdd, ModelDetail, ModelVariant, Verification, VerifiedFile};
pub use node::{Approved, EnrollApprove, Invitation, InviteRequest, Node, NodeDetail};
pub use peat::{ImportFile, ImportRequest, Imported, ImportedCommand, ImportedModel, ModelDraft};
pub use plan::{DeployPlan, Outlook, PlannedLoser, PlannedNode, PlannedOther, PlannedWave};
pub use request::{Reply, Request, WATCH_LIMIT};
pub use rollout::{
    DeployRequest, Deployed, Explanation, GivenControl, MAX_CONTROLS, Rollout, RolloutNode, RolloutSummary,
    RolloutTerms, RolloutWave, WaveEvidence,
};
pub use status::{
    Diagnosis, FetchProgress, Status, StatusMesh, StatusNode, StatusPeer, StatusRefused, StatusSlot, StatusSync,
};
pub use trust::{
    Approvals, KeptShown, LabelRequest, LeavingRoot, MeshShown, Named, PendingRevocation, ProposedRoots, RevokeRequest,
    Revoked, RootsShown, RotateRequest,
};
