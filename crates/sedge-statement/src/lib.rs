//! The vocabulary of Sedge: what nodes, operators and authorities can say, and how it is signed.
//!
//! Everything that crosses from one node to another in words rather than in weights is a type of this
//! crate: ids, certificates, manifests, deployments, controls, profiles, reports, probes and tickets.
//! Each has one canonical encoding ([`codec`]), held by golden bytes in `tests/golden.rs`, so that a digest
//! names the same thing on every node and for years.
//!
//! This crate is *not* a protocol, a store or a policy. It reads no clock, no file and no random source:
//! time and key material are arguments.

pub mod codec;
pub mod peat;

mod approval;
mod armor;
mod bytesize;
mod cell;
mod certificate;
mod control;
mod deployment;
mod document;
mod enrolment;
mod entry;
mod genesis;
mod id;
mod key;
mod manifest;
mod memory;
mod name;
mod object;
mod probe;
mod profile;
mod relay;
mod report;
mod revocation;
mod roll;
mod roots;
mod selector;
mod tensor;
mod text;
mod ticket;
mod time;
mod wave;

pub use approval::{Approval, Approved};
pub use bytesize::ByteSize;
pub use cell::{CellPath, CellPathError, CellPattern};
pub use certificate::{Certificate, Frontier, Role};
pub use control::{Control, ControlAction};
pub use deployment::{
    Action, Deployment, DeploymentDraft, Downgrade, GatePolicy, Generation, Percent, Priority, RangeError,
};
pub use document::{ChangeHash, DocId, DocKind, HeadError, HeadProof, Scope, SignedHead};
pub use enrolment::{EnrolApproval, EnrolRequest, EnrolmentError};
pub use entry::Entry;
pub use genesis::{Genesis, GenesisError};
pub use id::{Blake3, IdError, MeshId, NodeId, ObjectId, ReleaseId, RevocationId, RollId, RolloutId, RootsId, Sha256};
pub use key::{SecretKey, Signature, VerifyError};
pub use manifest::{
    GgufFacts, HardwareRequirements, KvShape, Manifest, ManifestError, ModelFacts, ModelFile, ModelFormat, ModelType,
    OnnxFacts, Quantization, Release, UnknownWord, Variant,
};
pub use memory::{Loader, MemoryNeed};
pub use name::{
    Architecture, FileName, HardwareClass, LabelKey, LabelValue, MeshName, ModelId, ModelRef, NameError, NodeName,
    SlotName, VariantName, Version,
};
pub use object::{Object, ObjectBody, ObjectError, ObjectKind};
pub use probe::{Asked, Mismatch, Probe, ProbeError, TensorTrial, TextTrial, Tolerance};
pub use profile::{Accelerator, MemoryPool, Profile, RuntimeFact};
pub use relay::{RelayAddress, RelayAddressError};
pub use report::{GateReport, SlotReport, SlotState};
pub use revocation::{Kept, KeptCertificates, LastGood, Revocation};
pub use roll::Roll;
pub use roots::{Approvals, RootVersion, RootVersionError};
pub use selector::{NodeNames, Selector, SelectorError, Term};
pub use tensor::{Datatype, Dim, Tensor, TensorError, TensorSpec};
pub use text::{Message, Prompt, Sampling, Speaker, TextRequest, TextRequestError};
pub use ticket::{Ticket, TicketError, TicketSecret};
pub use time::{Timestamp, millis};
pub use wave::{Canaries, CanariesError, WaveOrderError, WaveSize, WaveSizeError};
