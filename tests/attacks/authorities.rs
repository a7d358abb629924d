//! Members with some of the rights of an authority, or with all of them for a while, and what they do with them.

use anyhow::{Context, Result, ensure};
use sedge_fleet::Edit;
use sedge_statement::{Generation, HardwareRequirements, Release, ReleaseId};

use crate::forgery::{deployment, file, id_of, release, releases_by_hand, variant};
use crate::siege::Siege;
use crate::support::models::{digits, word};
use crate::support::node::{Node, list, text};
use crate::support::until::{so_or, until};

const RELEASER: [&str; 4] = ["--role", "device", "--role", "release"];
pub(crate) const DEPLOYER: [&str; 4] = ["--role", "device", "--role", "deploy"];
pub(crate) const BOTH: [&str; 6] = ["--role", "device", "--role", "release", "--role", "deploy"];

/// Publishes a version of the sample model, which nobody deploys.
async fn published(node: &Node, version: &str) -> Result<ReleaseId> {
    let file = digits(&format!("digits-{version}.onnx"));
    let added = node.ask(&["model", "add", word(&file)?, "--id", "digits", "--version", version]).await?;
    Ok(text(&added, "/release")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn arbitrary_installation_by_a_member_without_the_right_to_deploy_reaches_no_slot() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let served = siege.serves("1.0.0").await?;
    let newer = published(&siege.victim, "2.0.0").await?;
    let cases = [
        (&[][..], "its author holds neither the release nor the deploy role"),
        (&RELEASER[..], "a deployment by an author without the deploy role"),
    ];
    for (roles, why) in cases {
        let intruder = siege.intruder_as(roles).await?;
        let wish = deployment(&intruder, newer, "digits", 50)?;
        let mut session = intruder.greet(&siege.victim).await?;
        session.say_all(intruder.author()?.writes(&[Edit::PutDeployment(wish.clone())])?).await?;
        siege.both_name(intruder.id(), "not allowed", why).await?;
        siege.nobody_lists(&wish.id().to_string()).await?;
    }
    // Who may deploy may not publish what is deployed.
    let intruder = siege.intruder_as(&DEPLOYER).await?;
    let own = release("trojan", 1, variant(file("trojan.onnx", b"weights")?, HardwareRequirements::default())?)?;
    let wish = deployment(&intruder, own.id(), "digits", 60)?;
    let mut session = intruder.greet(&siege.victim).await?;
    session.say_all(intruder.author()?.writes(&[Edit::PutRelease(own), Edit::PutDeployment(wish)])?).await?;
    siege.both_name(intruder.id(), "not allowed", "a release by an author without the release role").await?;
    siege.still_serve(&served).await?;
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rollback_to_an_old_version_that_a_deployer_wishes_is_refused_by_every_slot() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let old = siege.serves("1.0.0").await?;
    let served = siege.serves("2.0.0").await?;
    let intruder = siege.intruder_as(&DEPLOYER).await?;
    let mut author = intruder.author()?;
    let mut session = intruder.greet(&siege.victim).await?;
    // Older than what was carried out: nothing comes of it. Newer, with the old model: each slot refuses.
    for n in [1, 100] {
        let wish = deployment(&intruder, old.release.parse()?, "digits", n)?;
        session.say_all(author.writes(&[Edit::PutDeployment(wish)])?).await?;
    }
    for node in siege.both() {
        siege.slot_is(node, "digits", "rejected", "--allow-downgrade").await?;
    }
    siege.still_serve(&served).await?;
    // The floor is on the disk.
    siege.honest.stop().await?;
    siege.honest.start(&["--peer", &siege.victim.address().await?]).await?;
    siege.slot_is(&siege.honest, "digits", "rejected", "--allow-downgrade").await?;
    until("the model serving again", async || {
        let asked = siege.honest.run(&["infer", "digits", "--input", word(&digits("inputs/three.json"))?]).await?;
        Ok(so_or(asked.status == Some(0), || asked.to_string()))
    })
    .await?;
    siege.still_serve(&served).await?;
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn fast_forward_of_a_generation_by_a_deployer_locks_nobody_out() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let old = siege.serves("1.0.0").await?;
    let intruder = siege.intruder_as(&DEPLOYER).await?;
    let mut session = intruder.greet(&siege.victim).await?;
    let mut wish = deployment(&intruder, old.release.parse()?, "digits", u64::MAX)?;
    let mut author = intruder.author()?;
    session.say_all(author.writes(&[Edit::PutDeployment(wish.clone())])?).await?;
    siege.both_name(intruder.id(), "generation jump", "jumps too far").await?;
    siege.nobody_lists(&wish.id().to_string()).await?;
    // Nor does one under roots that nobody agreed on.
    wish.generation = Generation { epoch: u32::MAX, n: 1 };
    session.say_all(author.writes(&[Edit::PutDeployment(wish.clone())])?).await?;
    let served = siege.serves("2.0.0").await?;
    siege.nobody_lists(&wish.id().to_string()).await?;
    siege.still_serve(&served).await?;
    siege.holds().await
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_software_for_the_device_is_refused_by_the_device_itself() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let served = siege.serves("1.0.0").await?;
    let intruder = siege.intruder_as(&BOTH).await?;
    let mut author = intruder.author()?;
    let mut session = intruder.greet(&siege.victim).await?;
    let other = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };
    let heavy = HardwareRequirements { memory: sedge_statement::ByteSize(1 << 60), ..Default::default() };
    let foreign = HardwareRequirements { architectures: [other.parse()?].into(), ..Default::default() };
    for (slot, requirements, why) in [("heavy", heavy, "of memory"), ("foreign", foreign, "it is built for")] {
        let release = release(slot, 1, variant(file("model.onnx", slot.as_bytes())?, requirements)?)?;
        let wish = deployment(&intruder, release.id(), slot, 1)?;
        session.say_all(author.writes(&[Edit::PutRelease(release), Edit::PutDeployment(wish)])?).await?;
        for node in siege.both() {
            siege.slot_is(node, slot, "rejected", why).await?;
        }
    }
    siege.still_serve(&served).await?;
    siege.holds().await
}

/// What both nodes list as the releases of a model: id and digest of the first file.
async fn releases(node: &Node, model: &str) -> Result<Vec<(String, String)>> {
    let models = node.ask(&["model", "list"]).await?;
    let of = list(&models, "")?.iter().filter(|listed| listed["id"] == model);
    of.map(|listed| Ok((text(listed, "/release")?.to_owned(), text(listed, "/variants/0/sha256")?.to_owned())))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mix_and_match_of_files_under_the_name_of_an_honest_release_is_not_read() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let served = siege.serves("1.0.0").await?;
    let before = releases(&siege.victim, "digits").await?;
    ensure!(before.len() == 1 && before[0].0 == served.release, "{before:?}");
    let intruder = siege.intruder_as(&RELEASER).await?;
    let other = release("digits", 1, variant(file("model.onnx", b"another")?, HardwareRequirements::default())?)?;
    let mut session = intruder.greet(&siege.victim).await?;
    session.say(&releases_by_hand(&intruder, &[(served.release.clone(), other.to_bytes())])).await?;
    siege.both_name(intruder.id(), "unreadable", "a key that its bytes do not give").await?;
    for node in siege.both() {
        ensure!(releases(node, "digits").await? == before, "{} lists other files", node.name);
    }
    siege.still_serve(&served).await?;
    siege.holds().await
}

/// The bytes of a release in which a text of the same length stands in place of another.
fn patched(release: &Release, from: &str, to: &str) -> Result<(String, Vec<u8>)> {
    ensure!(from.len() == to.len(), "{from} and {to} differ in length");
    let mut bytes = release.to_bytes();
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).context("nothing to replace")?;
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    Ok((id_of(&bytes).to_string(), bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn path_traversal_in_a_release_that_was_signed_is_not_read() -> Result<()> {
    let mut siege = Siege::lay().await?;
    let intruder = siege.intruder_as(&RELEASER).await?;
    let honest = release("traveller", 1, variant(file("model.onnx", b"weights")?, HardwareRequirements::default())?)?;
    let names = [
        ("model.onnx", "../x/.onnx"),
        ("model.onnx", "/etc/passw"),
        ("model.onnx", "..\\..\\onnx"),
        ("model.onnx", "sub/a.onnx"),
        ("model.onnx", ".bash_rc.x"),
        ("model.onnx", "model\0onnx"),
        ("traveller", "../../etc"),
        ("traveller", "Traveller"),
    ];
    let forged = names.map(|(from, to)| patched(&honest, from, to));
    let forged = forged.into_iter().collect::<Result<Vec<_>>>()?;
    let before = siege.victim.listing()?;
    let mut session = intruder.greet(&siege.victim).await?;
    session.say(&releases_by_hand(&intruder, &forged)).await?;
    siege.both_name(intruder.id(), "unreadable", "releases has an entry that does not decode").await?;
    siege.both_name(intruder.id(), "unreadable", "").await?;
    for node in siege.both() {
        let findings = node.status().await?.to_string();
        ensure!(findings.contains(&format!("({} times)", names.len())), "{} read some: {findings}", node.name);
        ensure!(releases(node, "traveller").await?.is_empty(), "{} lists it", node.name);
    }
    ensure!(before == siege.victim.listing()?, "something was written");
    siege.holds().await
}
