//! Members that ask for, or say, what is not theirs, and members that are none any more.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use iroh::endpoint::Connection;
use sedge_blobs::{BlobStore, FetchError, FetchOptions, Options};
use sedge_fleet::Edit;
use sedge_fleet::testing::{Forge, Op, doc_id, head, links_frame, objects_frame};
use sedge_mesh::JOIN_ALPN;
use sedge_statement::{
    ByteSize, Certificate, DocKind, GateReport, ModelFile, NodeId, Object, Profile, Role, SecretKey, Sha256,
    SlotReport, SlotState,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::authorities::DEPLOYER;
use crate::forgery::{deployment, file};
use crate::frames::ends_as;
use crate::hostile::{Intruder, now};
use crate::siege::Siege;
use crate::support::models::{digits, word};
use crate::support::node::{Node, list, text};
use crate::support::outcome::exit;
use crate::support::until::{DEADLINE, so_or, until};

/// How long a fetch that must bring nothing is given.
const A_WHILE: Duration = Duration::from_secs(4);

/// Waits until a connection is closed because its remote is no member.
async fn is_shown_out(connection: &Connection) -> Result<()> {
    let reason = timeout(DEADLINE, connection.closed()).await.context("it is not closed")?.to_string();
    ensure!(reason.contains("not a member"), "{reason}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unauthenticated_blob_download_is_refused() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let stranger = siege.stranger().await?;
    // The handshake succeeds on the dialler's side before the node decides.
    if let Ok(connection) = stranger.dial(&siege.victim, sedge_blobs::ALPN).await {
        is_shown_out(&connection).await?;
    }
    siege.holds().await
}

/// Asks a node for a file, as a member would that fetches weights.
async fn fetch(by: &Intruder, from: &Node, home: &BlobStore, file: &ModelFile) -> Result<Result<(), FetchError>> {
    by.knows(from).await?;
    let from: NodeId = from.id().await?.parse()?;
    let (_candidates, those) = watch::channel(vec![from]);
    let options = FetchOptions { deadline: Some(Instant::now() + A_WHILE), seed: 1 };
    Ok(home.fetch(&by.endpoint, file, those, options).done().await.map(drop))
}

#[tokio::test(flavor = "multi_thread")]
async fn extraneous_files_beside_a_model_are_given_to_nobody_and_left_alone() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let served = siege.serves("1.0.0").await?;
    let bytes = fs::read(digits("digits-1.0.0.onnx"))?;
    let (model, extra) = (file("digits-1.0.0.onnx", &bytes)?, file("extra.so", b"not in any manifest")?);
    let beside = siege.victim.home.join("models").join(model.sha256.to_string());
    ensure!(beside.is_dir(), "{} is no directory", beside.display());
    fs::write(beside.join("extra.so"), b"not in any manifest")?;
    fs::write(siege.victim.home.join("models/extra.so"), b"not in any manifest")?;

    let intruder = siege.intruder().await?;
    let home = BlobStore::open(&siege.dir.path().join("intruder"), Options::default()).await?;
    for restarted in [false, true] {
        if restarted {
            siege.victim.stop().await?;
            siege.victim.start(&["--peer", &siege.honest.address().await?]).await?;
            until("the model serving again", async || {
                let asked =
                    siege.victim.run(&["infer", "digits", "--input", word(&digits("inputs/three.json"))?]).await?;
                Ok(so_or(asked.status == Some(0), || asked.to_string()))
            })
            .await?;
        }
        let before = refused(&siege.victim).await?;
        let taken = fetch(&intruder, &siege.victim, &home, &extra).await?;
        ensure!(matches!(taken, Err(FetchError::NoProvider { .. })), "{taken:?}");
        ensure!(refused(&siege.victim).await? > before, "nothing was refused, so that nothing was asked");
    }
    // What a release names it has, by the same way.
    fetch(&intruder, &siege.victim, &home, &model).await?.context("a member has what a release names")?;
    siege.still_serve(&served).await?;
    home.shutdown().await;
    siege.holds().await
}

/// How many requests for weights a node refused.
async fn refused(node: &Node) -> Result<u64> {
    node.status().await?["refused"]["weights"].as_u64().context("no count of refusals")
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_peer_still_connected_is_cut_off_on_every_protocol_and_its_next_words_count_nowhere() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let served = siege.serves("1.0.0").await?;
    let (thief, carrier) = (siege.intruder_as(&DEPLOYER).await?, siege.intruder().await?);
    let mut author = thief.author()?;
    let mut session = thief.greet(&siege.victim).await?;
    // While its key is its own, what it says is done.
    let good = deployment(&thief, served.release.parse()?, "second", 1)?;
    session.say_all(author.writes(&[Edit::PutDeployment(good)])?).await?;
    for node in siege.both() {
        siege.slot_is(node, "second", "committed", "").await?;
    }

    let others = [thief.dial(&siege.victim, sedge_blobs::ALPN).await?, thief.dial(&siege.victim, JOIN_ALPN).await?];
    siege.victim.ask(&["node", "revoke", &thief.id().to_string(), "--reason", "stolen"]).await?;
    ends_as(&session, "not a member").await?;
    for connection in &others {
        is_shown_out(connection).await?;
    }
    ends_as(&thief.greet_with(&siege.victim, &thief.hello()).await?, "not a member").await?;
    if let Ok(connection) = thief.dial(&siege.victim, sedge_blobs::ALPN).await {
        is_shown_out(&connection).await?;
    }

    // Its next words come by a member that nobody revoked.
    let bad = deployment(&thief, served.release.parse()?, "third", 2)?;
    let words = author.writes(&[Edit::PutDeployment(bad.clone())])?;
    for node in siege.both() {
        let mut carried = carrier.greet(node).await?;
        carried.say_all(words.clone()).await?;
        // Frames are taken in order, so whatever is named is behind them.
        carried.say(&[&[1], &[0xff; 64][..]].concat()).await?;
        siege.names(node, carrier.id(), "malformed", "frame:").await?;
    }
    siege.nobody_lists(&bad.id().to_string()).await?;
    for node in siege.both() {
        siege.slot_is(node, "second", "committed", "").await?;
    }
    siege.still_serve(&served).await?;
    siege.holds().await
}

/// A certificate that an intruder issues to somebody, made from its own.
fn issued(by: &Intruder, subject: NodeId, serial: u64, change: impl FnOnce(&mut Certificate)) -> Result<Vec<u8>> {
    let mut certificate = by.certificate()?;
    certificate.subject = subject;
    certificate.name = format!("puppet-{serial}").parse()?;
    certificate.roles = [Role::Device].into();
    (certificate.issuer, certificate.serial, certificate.revision) = (by.id(), serial, 1);
    change(&mut certificate);
    Ok(objects_frame(&[Object::sign(&by.key, by.mesh, &certificate)]))
}

/// What an enroller writes into a certificate beyond its rights.
type Widening = fn(&mut Certificate);

#[tokio::test(flavor = "multi_thread")]
async fn delegation_widening_by_an_enroller_gives_its_puppets_nothing() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let puppet = |n: u8| SecretKey::from_bytes(&[n; 32]).node_id();
    let enroller = ["--role", "device", "--role", "enroll", "--cell", "plant-7"];
    let widenings: [(&str, Widening); 4] = [
        ("it gives role deploy", |c| c.roles.extend([Role::Deploy])),
        ("gives the root role", |c| c.roles.extend([Role::Root])),
        ("its cell lies outside", |c| c.cell = sedge_statement::CellPath::root()),
        ("its dates reach beyond", |c| c.not_before = sedge_statement::Timestamp::from_millis(0)),
    ];
    for (n, (why, widen)) in (200u8..).zip(widenings) {
        let intruder = siege.intruder_as(&enroller).await?;
        let mut session = intruder.greet(&siege.victim).await?;
        session.say(&issued(&intruder, puppet(n), 1, widen)?).await?;
        siege.names(&siege.victim, intruder.id(), "bad certificate", why).await?;
        is_member(&siege.victim, puppet(n), false).await?;
    }
    // The enroller of a cell enrols there, so that the others were refused for what they widened.
    let intruder = siege.intruder_as(&enroller).await?;
    let mut session = intruder.greet(&siege.victim).await?;
    session.say(&issued(&intruder, puppet(210), 1, |_| {})?).await?;
    for node in siege.both() {
        is_member(node, puppet(210), true).await?;
    }
    siege.holds().await
}

async fn is_member(node: &Node, id: NodeId, wanted: bool) -> Result<()> {
    until(&format!("{} being a member as {} sees it: {wanted}", id.short(), node.name), async || {
        let nodes = node.ask(&["node", "list"]).await?;
        let listed = list(&nodes, "")?.iter().any(|listed| listed["id"] == id.to_string());
        Ok(so_or(listed == wanted, || nodes.to_string()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn self_declared_label_or_hardware_attracts_no_deployment() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let served = siege.serves("1.0.0").await?;
    let intruder = siege.intruder().await?;
    let mut session = intruder.greet(&siege.victim).await?;
    let profile = Profile {
        architecture: "riscv64".parse()?,
        os: "Linux".into(),
        cpu: "jetson-orin".into(),
        cores: 4096,
        memory: Vec::new(),
        accelerators: Vec::new(),
        disk: ByteSize(1 << 50),
        runtimes: Vec::new(),
    };
    session.say_all(intruder.author()?.writes(&[Edit::PutProfile(profile)])?).await?;
    // A certificate that it makes for itself, with whatever it would like to be.
    let labelled = |c: &mut Certificate| {
        c.labels = [("site".parse().expect("a key"), "oslo".parse().expect("a value"))].into();
        (c.architecture, c.class, c.revision) =
            ("riscv64".parse().expect("a name"), "jetson-orin".parse().expect("a name"), 99);
    };
    session.say(&issued(&intruder, intruder.id(), 1, labelled)?).await?;
    siege.names(&siege.victim, intruder.id(), "bad certificate", "its issuer may not enrol").await?;
    for selector in ["arch=riscv64", "class=jetson-orin", "label.site=oslo"] {
        let deployed = siege.victim.run(&["deploy", "digits:1.0.0", "--to", selector]).await?;
        deployed.fails_with(exit::USAGE, "matches no device")?;
    }
    siege.still_serve(&served).await?;
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_wave_evidence_by_a_member_that_is_no_witness_opens_no_wave() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let canary: NodeId = siege.honest.id().await?.parse()?;
    siege.honest.stop().await?;
    let model = digits("digits-1.0.0.onnx");
    siege.victim.ask(&["model", "add", word(&model)?, "--id", "digits", "--version", "1.0.0"]).await?;
    let to = ["--to", "node=honest|victim", "--canary", "honest", "--probation", "300ms"];
    let deployed = siege.victim.ask(&[&["deploy", "digits:1.0.0"], &to[..]].concat()).await?;
    let rollout = text(&deployed, "/rollout")?.to_owned();

    let intruder = siege.intruder_as(&["--role", "device", "--role", "observe"]).await?;
    let mut session = intruder.greet(&siege.victim).await?;
    let mut author = intruder.author()?;
    let sha256 = Some(Sha256::of(&fs::read(&model)?));
    let (id, hour) = (rollout.parse()?, Duration::from_secs(3600));
    let state = SlotState::Committed;
    let report = GateReport { rollout: id, state, reason: None, sha256, soaked: hour, at: now() };
    session.say_all(author.writes(&[Edit::PutGate(report)])?).await?;
    let serving = Some(text(&deployed, "/release")?.parse()?);
    let slot = "digits".parse()?;
    let slot = SlotReport { slot, rollout: Some(id), state, reason: None, since: now(), serving, sha256 };
    session.say_all(author.writes(&[Edit::PutSlot(slot)])?).await?;
    // In the canary's own name, under the only key that it has.
    let doc = doc_id(canary, DocKind::Gate, 0);
    let raw = Forge::new(&doc, None, 1, &[Op::make("evidence", 0)]).bytes();
    session.say(&links_frame(head(&intruder.key, intruder.mesh, &doc, 1, &raw), 1, vec![raw])).await?;
    siege.names(&siege.victim, intruder.id(), "malformed", "head").await?;

    let shown = siege.victim.ask(&["rollout", "show", &rollout]).await?;
    let (first, second) = (&shown["waves"][0], &shown["waves"][1]);
    ensure!(first["open"] == true && second["open"] == false, "{shown}");
    ensure!(first["committed"] == 0 && second["committed"] == 0, "{shown}");
    let status = siege.victim.status().await?;
    let serves = list(&status, "/slots")?.iter().any(|slot| !slot["sha256"].is_null());
    ensure!(!serves, "the second wave began: {status}");

    siege.honest.start(&["--peer", &siege.victim.address().await?]).await?;
    until("the canary's own evidence opening the second wave", async || {
        let shown = siege.victim.ask(&["rollout", "show", &rollout]).await?;
        Ok(so_or(shown["state"] == "completed", || shown.to_string()))
    })
    .await?;
    siege.holds().await
}
