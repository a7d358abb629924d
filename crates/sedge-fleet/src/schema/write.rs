//! Edits into Automerge operations: as few as the difference needs.

use automerge::transaction::Transactable;
use automerge::{AutomergeError, ObjId, ObjType, ROOT, ScalarValue, Value};
use sedge_statement::{Control, GateReport, Profile, SlotReport};

use super::{EVIDENCE, Edit, key, read};

/// Applies edits to the author's own document.
///
/// An edit that changes nothing writes nothing. Reasons longer than readers accept are cut here.
///
/// # Errors
/// Automerge's own, which only a damaged document gives; the transaction must then be rolled back.
pub(crate) fn apply(doc: &mut impl Transactable, edits: &[Edit]) -> Result<(), AutomergeError> {
    for edit in edits {
        match edit {
            Edit::PutRelease(release) => {
                put_in(doc, key::RELEASES, &release.id().to_string(), ScalarValue::Bytes(release.to_bytes()))?;
            }
            Edit::PutDeployment(deployment) => {
                let bytes = ScalarValue::Bytes(deployment.to_bytes());
                put_in(doc, key::DEPLOYMENTS, &deployment.id().to_string(), bytes)?;
            }
            Edit::PutControl(control) => {
                let reason = cut(&control.reason, Control::MAX_REASON).to_owned();
                let control = Control { reason, ..control.clone() };
                put_in(doc, key::CONTROLS, &read::control_key(&control), ScalarValue::Bytes(control.to_bytes()))?;
            }
            Edit::PutApproval(approval) => {
                let bytes = ScalarValue::Bytes(approval.to_bytes());
                put_in(doc, key::APPROVALS, &read::approval_key(approval), bytes)?;
            }
            Edit::PutProfile(profile) => put_profile(doc, profile)?,
            Edit::PutSlot(report) => put_slot(doc, report)?,
            Edit::RemoveSlot(slot) => remove_in(doc, key::SLOTS, slot.as_str())?,
            Edit::PutGate(report) => put_gate(doc, report)?,
            Edit::PutArtifact { blake3, size } => {
                put_in(doc, key::ARTIFACTS, &blake3.to_string(), ScalarValue::Uint(*size))?;
            }
            Edit::RemoveArtifact(blake3) => remove_in(doc, key::ARTIFACTS, &blake3.to_string())?,
        }
    }
    Ok(())
}

fn put_slot(doc: &mut impl Transactable, report: &SlotReport) -> Result<(), AutomergeError> {
    let slots = map_at(doc, &ROOT, key::SLOTS)?;
    let slot = map_at(doc, &slots, report.slot.as_str())?;
    let reason = report.reason.as_deref().map(|r| text(cut(r, SlotReport::MAX_REASON)));
    set(doc, &slot, "state", Some(text(report.state.word())))?;
    set(doc, &slot, "reason", reason)?;
    set(doc, &slot, "since", Some(ScalarValue::Uint(report.since.as_millis())))?;
    set(doc, &slot, "rollout", report.rollout.map(|id| bytes(id.as_bytes())))?;
    set(doc, &slot, "serving", report.serving.map(|id| bytes(id.as_bytes())))?;
    set(doc, &slot, "sha256", report.sha256.map(|id| bytes(id.as_bytes())))
}

fn put_gate(doc: &mut impl Transactable, report: &GateReport) -> Result<(), AutomergeError> {
    let evidence = map_at(doc, &ROOT, EVIDENCE)?;
    let reason = report.reason.as_deref().map(|r| cut(r, SlotReport::MAX_REASON));
    let report = GateReport { reason: reason.map(str::to_owned), ..report.clone() };
    let mut said = Vec::new();
    while let Some((_, entry)) = doc.get(&evidence, read::evidence_key(&report.rollout, said.len()))? {
        said.push(read::gate_report(doc, &entry, report.rollout).ok());
    }
    let failed = said.iter().flatten().any(|said| said.state.is_failure());
    // The last place is left for a failure: what it says must never be lost.
    let places = if report.state.is_failure() { read::MAX_EVIDENCE } else { read::MAX_EVIDENCE - 1 };
    let repeats = said.last().and_then(Option::as_ref).is_some_and(|last| says_no_more(&report, last));
    if failed || repeats || said.len() >= places {
        return Ok(());
    }
    let entry = doc.put_object(&evidence, read::evidence_key(&report.rollout, said.len()), ObjType::Map)?;
    let soaked = u64::try_from(report.soaked.as_millis()).unwrap_or(u64::MAX);
    set(doc, &entry, "state", Some(text(report.state.word())))?;
    set(doc, &entry, "reason", report.reason.as_deref().map(text))?;
    set(doc, &entry, "soaked", Some(ScalarValue::Uint(soaked)))?;
    set(doc, &entry, "at", Some(ScalarValue::Uint(report.at.as_millis())))?;
    set(doc, &entry, "sha256", report.sha256.map(|id| bytes(id.as_bytes())))
}

/// Whether a report says nothing that the one before it did not. When it was said is no news.
fn says_no_more(report: &GateReport, last: &GateReport) -> bool {
    let what = |r: &GateReport| (r.state, r.reason.clone(), r.sha256);
    what(report) == what(last) && report.soaked <= last.soaked
}

fn put_profile(doc: &mut impl Transactable, profile: &Profile) -> Result<(), AutomergeError> {
    let held = read::profile(doc).ok().flatten();
    let same = |part: fn(&Profile, &Profile) -> bool| held.as_ref().is_some_and(|held| part(held, profile));
    let map = map_at(doc, &ROOT, key::PROFILE)?;
    set(doc, &map, "architecture", Some(text(profile.architecture.as_str())))?;
    set(doc, &map, "os", Some(text(cut(&profile.os, read::MAX_TEXT))))?;
    set(doc, &map, "cpu", Some(text(cut(&profile.cpu, read::MAX_TEXT))))?;
    set(doc, &map, "cores", Some(ScalarValue::Uint(profile.cores.into())))?;
    set(doc, &map, "disk", Some(ScalarValue::Uint(profile.disk.get())))?;
    // Lists of maps are small and change together: one is replaced whole where anything in it differs.
    if !same(|a, b| a.memory == b.memory) {
        let list = doc.put_object(&map, "memory", ObjType::List)?;
        for (i, pool) in profile.memory.iter().take(read::MAX_LIST).enumerate() {
            let entry = doc.insert_object(&list, i, ObjType::Map)?;
            set(doc, &entry, "name", Some(text(cut(&pool.name, read::MAX_TEXT))))?;
            set(doc, &entry, "total", Some(ScalarValue::Uint(pool.total.get())))?;
            set(doc, &entry, "allocatable", Some(ScalarValue::Uint(pool.allocatable.get())))?;
        }
    }
    if !same(|a, b| a.accelerators == b.accelerators) {
        let list = doc.put_object(&map, "accelerators", ObjType::List)?;
        for (i, accelerator) in profile.accelerators.iter().take(read::MAX_LIST).enumerate() {
            let entry = doc.insert_object(&list, i, ObjType::Map)?;
            set(doc, &entry, "name", Some(text(cut(&accelerator.name, read::MAX_TEXT))))?;
            set(doc, &entry, "pool", Some(text(cut(&accelerator.pool, read::MAX_TEXT))))?;
        }
    }
    if !same(|a, b| a.runtimes == b.runtimes) {
        let list = doc.put_object(&map, "runtimes", ObjType::List)?;
        for (i, runtime) in profile.runtimes.iter().take(read::MAX_LIST).enumerate() {
            let entry = doc.insert_object(&list, i, ObjType::Map)?;
            set(doc, &entry, "backend", Some(text(cut(&runtime.backend, read::MAX_TEXT))))?;
            set(doc, &entry, "version", Some(text(cut(&runtime.version, read::MAX_TEXT))))?;
            let providers = doc.put_object(&entry, "providers", ObjType::List)?;
            for (i, provider) in runtime.providers.iter().take(read::MAX_LIST).enumerate() {
                doc.insert(&providers, i, text(cut(provider, read::MAX_TEXT)))?;
            }
        }
    }
    Ok(())
}

/// The map at `prop`; made where there is none, or where something else stands in its place.
fn map_at(doc: &mut impl Transactable, parent: &ObjId, prop: &str) -> Result<ObjId, AutomergeError> {
    match doc.get(parent, prop)? {
        Some((Value::Object(ObjType::Map), id)) => Ok(id),
        _ => doc.put_object(parent, prop, ObjType::Map),
    }
}

/// Sets or deletes one field, where that changes anything.
fn set(
    doc: &mut impl Transactable,
    map: &ObjId,
    field: &str,
    value: Option<ScalarValue>,
) -> Result<(), AutomergeError> {
    let held = doc.get(map, field)?.map(|(held, _)| held);
    match (held, value) {
        (None, None) => Ok(()),
        (Some(_), None) => doc.delete(map, field),
        (Some(Value::Scalar(held)), Some(value)) if *held == value => Ok(()),
        (_, Some(value)) => doc.put(map, field, value),
    }
}

fn put_in(doc: &mut impl Transactable, place: &str, entry: &str, value: ScalarValue) -> Result<(), AutomergeError> {
    let map = map_at(doc, &ROOT, place)?;
    set(doc, &map, entry, Some(value))
}

fn remove_in(doc: &mut impl Transactable, place: &str, entry: &str) -> Result<(), AutomergeError> {
    match doc.get(ROOT, place)? {
        Some((Value::Object(ObjType::Map), map)) if doc.get(&map, entry)?.is_some() => doc.delete(&map, entry),
        _ => Ok(()),
    }
}

fn text(text: &str) -> ScalarValue {
    ScalarValue::Str(text.into())
}

fn bytes(bytes: &[u8; 32]) -> ScalarValue {
    ScalarValue::Bytes(bytes.to_vec())
}

fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
