//! What can run a model.

use std::fmt;

use sedge_statement::{ByteSize, Datatype, FileName, ModelFormat, Tensor, TensorSpec, Variant};

use crate::fault::{LoadError, RunError};
use crate::language::LanguageModel;
use crate::source::ModelSource;

/// Something that opens model files and runs them.
///
/// Every call blocks, for as long as the file or the library behind it pleases: the host calls from threads of its own and
/// keeps the deadlines. An implementation may panic; it may not take the process down on purpose.
pub trait Backend: fmt::Debug + Send + Sync {
    /// Its name, as profiles and reports give it: `tract`.
    fn name(&self) -> &'static str;

    /// Its version.
    fn version(&self) -> String;

    /// What really works here, the best first.
    ///
    /// # Errors
    /// Why nothing does, in words for the operator of this machine.
    fn providers(&self) -> Result<Vec<Provider>, Unusable>;

    /// Whether it runs such a variant at all, judged from the manifest before a byte is fetched. The file may still be
    /// refused by [`Self::load`].
    ///
    /// # Errors
    /// The first reason why it does not.
    fn supports(&self, variant: &Variant) -> Result<(), Unsupported>;

    /// The most memory that loading and then running it takes, estimated from the manifest.
    fn memory(&self, variant: &Variant) -> ByteSize;

    /// Opens the model. What it returns was made from bytes whose SHA-256 is the source's, proven in this very call:
    /// answers will name that digest. Dropping what it returns unloads the model.
    ///
    /// # Errors
    /// See [`LoadError`].
    fn load(&self, source: &ModelSource) -> Result<Box<dyn RunningModel>, LoadError>;
}

/// A model in memory.
pub trait RunningModel: Send + Sync {
    /// What a caller gives, in the order of [`Self::infer`].
    fn inputs(&self) -> &[TensorSpec];

    /// What it answers.
    fn outputs(&self) -> &[TensorSpec];

    /// Answers one request. The inputs are those of [`Self::inputs`], in that order, checked against it; several threads
    /// may ask at once.
    ///
    /// # Errors
    /// [`RunError::Failed`] with the backend's own words.
    fn infer(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, RunError>;

    /// Its side that continues text, where it has one. Such a model takes no tensors.
    fn language(&self) -> Option<&dyn LanguageModel> {
        None
    }
}

/// What a backend computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// The processor.
    Cpu,
}

impl Provider {
    /// The word in a profile.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why a backend cannot be used on this machine at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Install the library, or tell the agent where it is.
    #[error("{library} was not found")]
    LibraryMissing {
        /// The library or program.
        library: &'static str,
    },
}

/// Why a backend does not run a variant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// Publish a variant of another format, or give the slot to an application.
    #[error("the format {0} is not one it reads")]
    Format(ModelFormat),
    /// Export the model with another type at this place: people and probes give the types of the Open Inference Protocol.
    #[error("{end} {name:?} is of type {datatype}, which it does not compute with")]
    Datatype {
        /// Input or output.
        end: End,
        /// Its name.
        name: String,
        /// The type as the manifest says it.
        datatype: String,
    },
    /// A file beside the first is one that it never opens: merge the weights into one file.
    #[error("the variant has {0} files, where it opens one")]
    SeveralFiles(usize),
    /// A file beside the first has a name that means nothing to it: leave the file out, or name it as it should be.
    #[error("it does not know what the file {0} is for")]
    UnknownFile(FileName),
    /// Convert the model to one of the architectures there are, or publish a variant for another backend.
    #[error("the architecture {found:?} is not one it runs ({known})")]
    Architecture {
        /// The model's.
        found: String,
        /// Those it runs.
        known: &'static str,
    },
    /// Quantize the model to another type.
    #[error("its tensors are of the type {0}, which it does not compute with")]
    Quantization(String),
    /// Give the model's `tokenizer.json` as the variant's second file.
    #[error("the vocabulary {0:?} in the model's file is not one it reads, and there is no tokenizer.json beside it")]
    NoTokenizer(String),
    /// No tokenizer is as long: give the right file.
    #[error("a tokenizer of {0} is more than it reads")]
    TokenizerTooLong(ByteSize),
    /// A model without outputs answers nothing.
    #[error("the model has no output")]
    NoOutput,
}

/// One end of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// What a caller gives.
    Input,
    /// What the model answers.
    Output,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

/// Whether every element type is one that a [`Tensor`] can have.
pub(crate) fn check_datatypes(end: End, specs: &[TensorSpec]) -> Result<(), Unsupported> {
    let unknown = specs.iter().find(|spec| spec.datatype.parse::<Datatype>().is_err());
    match unknown {
        None => Ok(()),
        Some(spec) => Err(Unsupported::Datatype { end, name: spec.name.clone(), datatype: spec.datatype.clone() }),
    }
}
