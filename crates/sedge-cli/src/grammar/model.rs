//! Models.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sedge_statement::{ModelId, ModelType, VariantName, Version};

use crate::words;

/// `sedge model …`
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Publish a model
    #[command(
        after_help = "Example:\n  sedge model add digits-2.0.0.onnx --probe digits-2.0.0.probe-a.json --license Apache-2.0"
    )]
    Add(Box<AddArgs>),
    /// List every release
    #[command(visible_alias = "ls", after_help = "Example:\n  sedge model list")]
    List,
    /// Show one release
    #[command(after_help = "Example:\n  sedge model show digits:2.0.0")]
    Show {
        /// MODEL[:VERSION], or the first digits of a release's id
        model: String,
    },
    /// Read a model file's header; needs no agent
    #[command(after_help = "Example:\n  sedge model inspect digits-2.0.0.onnx")]
    Inspect {
        /// The file
        file: PathBuf,
    },
    /// Prove the files of a release that this node holds, and try the model
    #[command(after_help = "Example:\n  sedge model verify digits:2.0.0")]
    Verify {
        /// MODEL[:VERSION], or the first digits of a release's id
        model: String,
    },
    /// Show a model's releases and where each was deployed
    #[command(after_help = "Example:\n  sedge model log digits")]
    Log {
        /// The model
        model: ModelId,
    },
}

/// `sedge model add`
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The model, an ONNX or GGUF file; behind a GGUF file its tokenizer.json, where the model's own vocabulary is not one that
    /// is read
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The model's id; by default from the file's name
    #[arg(long, value_name = "MODEL")]
    pub(crate) id: Option<ModelId>,
    /// The version; by default from the file's name
    // The flag that prints the program's own version is another one's: `sedge --version`.
    #[arg(long = "version", value_name = "VERSION", id = "model-version")]
    pub(crate) version: Option<Version>,
    /// The variant's name; by default from format and quantization
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Option<VariantName>,
    /// Inputs with the outputs that a good model gives: a probe file (tensors, or for a language model a prompt and how its
    /// likeliest continuation begins), INPUTS=OUTPUTS (both JSON tensors), or an ONNX test_data_set directory; may be given
    /// several times
    #[arg(long, value_name = "PROBE")]
    pub(crate) probe: Vec<PathBuf>,
    /// What the model is for: detector, llm, tracker, embedder, vlm, whisper, classifier or custom
    #[arg(long = "type", value_name = "TYPE", default_value = "custom")]
    pub(crate) model_type: ModelType,
    /// Its licence, an SPDX expression or a name
    #[arg(long, value_name = "LICENSE", default_value = "")]
    pub(crate) license: String,
    /// Where it comes from
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) source: String,
    /// Anything else worth knowing; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = words::pair)]
    pub(crate) meta: Vec<(String, String)>,
}
