//! Model files that are made to hurt whoever opens them, published by a member who may, and served by it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use iroh::protocol::Router;
use sedge_blobs::{Admission, BlobStore, Options};
use sedge_fleet::Edit;
use sedge_statement::{Blake3, HardwareRequirements, NodeId};

use crate::authorities::BOTH;
use crate::forgery::{deployment, file, release, variant};
use crate::siege::Siege;
use crate::support::node::list;

/// Files by their defect, and what is said of it.
const MALICIOUS: [(&str, &str); 8] = [
    ("gguf/alignment-zero.gguf", "no power of two"),
    ("gguf/dimensions-overflow.gguf", "more elements or bytes than can be counted"),
    ("gguf/string-length-wraps.gguf", "bytes long and at most"),
    ("gguf/array-nested.gguf", "array of arrays"),
    ("onnx/dimensions-overflow.onnx", "the size of this shape overflows"),
    ("onnx/external-data-with-path.onnx", "is not a plain file name"),
    ("onnx/subgraphs-too-deep.onnx", "header is refused: graph.node[1] \"again\""),
    ("onnx/functions-doubling-forty-times.onnx", "goes beyond"),
];

/// Serves everything to everybody.
#[derive(Debug)]
struct Open;

impl Admission for Open {
    fn may_connect(&self, _: NodeId) -> bool {
        true
    }
    fn may_fetch(&self, _: NodeId, _: Blake3) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malicious_model_file_is_refused_by_its_header_and_the_old_model_serves() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let served = siege.serves("1.0.0").await?;
    let intruder = siege.intruder_as(&BOTH).await?;
    let store = BlobStore::open(&siege.dir.path().join("intruder"), Options::default()).await?;
    let router =
        Router::builder(intruder.endpoint.clone()).accept(sedge_blobs::ALPN, store.protocol_handler(Arc::new(Open)));
    let router = router.spawn();
    let mut author = intruder.author()?;
    let (mut one, mut other) = (intruder.greet(&siege.victim).await?, intruder.greet(&siege.honest).await?);
    for (n, (name, why)) in (1u64..).zip(MALICIOUS) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let bytes = fs::read(&path)?;
        let model = file(&format!("model.{ending}"), &bytes)?;
        store.add_file(&path, &model.name).await?;
        let held = author.writes(&[Edit::PutArtifact { blake3: model.blake3, size: model.size.get() }])?;
        let release = release(&format!("trojan-{n}"), 1, variant(model, HardwareRequirements::default())?)?;
        let slot = format!("trojan-{n}");
        let wish = deployment(&intruder, release.id(), &slot, 1)?;
        let wished = author.writes(&[Edit::PutRelease(release), Edit::PutDeployment(wish)])?;
        for session in [&mut one, &mut other] {
            session.say_all(held.iter().chain(&wished).cloned()).await?;
        }
        for node in siege.both() {
            siege.slot_is(node, &slot, "failed", why).await?;
        }
        siege.still_serve(&served).await?;
    }
    for node in siege.both() {
        let status = node.status().await?;
        let failed = list(&status, "/slots")?.iter().filter(|slot| slot["state"] == "failed");
        ensure!(failed.clone().all(|slot| slot["sha256"].is_null()), "one of them serves: {status}");
        ensure!(failed.count() == MALICIOUS.len(), "{status}");
    }
    drop((one, other));
    router.shutdown().await?;
    store.shutdown().await;
    siege.holds().await
}
