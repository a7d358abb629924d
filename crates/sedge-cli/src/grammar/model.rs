//! Models.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sedge_statement::{ModelId, ModelType, SlotName, VariantName, Version};

use crate::words;

/// `sedge model …`
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Publish a model
    #[command(
        after_help = "Example:\n  sedge model add digits-2.0.0.onnx --probe digits-2.0.0.probe-a.json --license Apache-2.0"
    )]
    Add(Box<AddArgs>),
    /// List every release, and the drafts of this node
    #[command(visible_alias = "ls", after_help = "Example:\n  sedge model list")]
    List {
        /// The drafts alone; without it, --json lists releases alone
        #[arg(long)]
        drafts: bool,
    },
    /// Show one release, or a draft
    #[command(
        after_help = "Example:\n  sedge model show digits:2.0.0\n  sedge model show yolov8n:8.0.0 --peat > yolov8n.manifest.json"
    )]
    Show {
        /// MODEL[:VERSION], or the first digits of a release's id
        model: String,
        /// Print Peat's JSON, every field as it was imported; an imported command that was deployed is named by its id
        #[arg(long)]
        peat: bool,
    },
    /// Import Peat's model manifests as drafts, and its update commands as deployments
    #[command(
        after_help = "Example:\n  sedge model import yolov8n.manifest.json\n  sedge model add yolov8n-8_0_0-f16.onnx --completes yolov8n\n  sedge model import update.command.json --deploy"
    )]
    Import(ImportArgs),
    /// Drop a draft
    #[command(after_help = "Example:\n  sedge model forget yolov8n:8.0.0")]
    Forget {
        /// MODEL[:VERSION]
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

/// `sedge model import`
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Manifests or update commands, JSON; all are imported or none
    #[arg(required = true, value_name = "FILE.json")]
    pub(crate) files: Vec<PathBuf>,
    /// Publish what the commands wish; without it they are only told
    #[arg(long)]
    pub(crate) deploy: bool,
    /// In which slot; by default the one named as the model
    #[arg(long, value_name = "SLOT")]
    pub(crate) slot: Option<SlotName>,
}

/// `sedge model add`
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The model, an ONNX or GGUF file; behind a GGUF file its tokenizer.json, where the model's own vocabulary is not one that
    /// is read
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The draft that this file completes: it is proven against it, and what the draft says is published with it. By
    /// default the draft that the file's name, id and version or SHA-256 fit, where there is one
    #[arg(long = "completes", value_name = "MODEL[:VERSION]", conflicts_with_all = ["id", "model-version", "model_type", "license", "source"])]
    pub(crate) draft: Option<String>,
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
