//! Documents back into statements. The author may be hostile: whatever is not as the table says is skipped and noted.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use sedge_statement::{
    Accelerator, Approval, Approved, Blake3, ByteSize, Control, Deployment, GateReport, MemoryPool, Profile, Release,
    ReleaseId, RolloutId, RuntimeFact, Sha256, SlotName, SlotReport, SlotState, Timestamp,
};

use super::content::{Content, Node, NotAMap};
use super::{EVIDENCE, key};

/// The longest text of a profile, bytes: a kernel's version line fits.
pub(super) const MAX_TEXT: usize = 256;
/// The longest list of a profile. Sixteen of each keep the largest profile in one change of 512 operations.
pub(super) const MAX_LIST: usize = 16;
/// The most entries read of one map, in the order of keys. An epoch of 256 changes, a few entries each, stays far below.
pub(crate) const MAX_ENTRIES: usize = 4096;
/// The most pieces of evidence of one node on one rollout. An update that is committed and soaked takes two; each time it is
/// superseded and offered again takes one more.
pub(super) const MAX_EVIDENCE: usize = 32;
/// The most slots of one node.
const MAX_SLOTS: usize = 64;

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(crate) enum Defect {
    /// The place holds a value of another type than the table says.
    #[error("has a value of the wrong type")]
    WrongType,
    /// The key is not a name or digest of its kind.
    #[error("has a key that does not parse")]
    BadKey,
    /// The key is not what the entry's own bytes give.
    #[error("has a key that its bytes do not give")]
    KeyOfAnother,
    /// The value does not decode.
    #[error("has an entry that does not decode")]
    Undecodable,
    /// A text or list is longer than readers accept.
    #[error("has a text or list above its limit")]
    TooLong,
    /// Evidence states how an update ended; this is no end.
    #[error("has a state that is no end of an update")]
    NotAnEnd,
    /// There are more entries than readers accept; the rest is not read.
    #[error("has more entries than are read")]
    TooMany,
    /// A time is later than any that can be shown.
    #[error("has a time after the year 9999")]
    AfterTime,
}

impl From<NotAMap> for Defect {
    fn from(_: NotAMap) -> Self {
        Self::WrongType
    }
}

/// What could not be read, counted by place and kind: bounded, whatever the document holds.
#[derive(Debug, Default)]
pub(crate) struct Defects(pub(crate) BTreeMap<(&'static str, Defect), u32>);

impl Defects {
    fn note(&mut self, place: &'static str, defect: Defect) {
        let count = self.0.entry((place, defect)).or_insert(0);
        *count = count.saturating_add(1);
    }
}

/// What an `authority` document says.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuthorityContent {
    pub(crate) releases: Vec<(ReleaseId, Release)>,
    pub(crate) deployments: Vec<(RolloutId, Deployment)>,
    pub(crate) controls: Vec<Control>,
    pub(crate) approvals: Vec<Approval>,
}

/// What a `node` document says.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeContent {
    pub(crate) profile: Option<Profile>,
    pub(crate) slots: Vec<SlotReport>,
    pub(crate) artifacts: Vec<(Blake3, u64)>,
}

/// What a `gate` document says.
#[derive(Debug, Clone, Default)]
pub(crate) struct GateContent {
    /// By rollout, and in the order in which it was said.
    pub(crate) reports: Vec<GateReport>,
}

/// The key of a control.
pub(super) fn control_key(control: &Control) -> String {
    format!("{}/{}", control.rollout, control.count)
}

/// The key of an approval.
pub(super) fn approval_key(approval: &Approval) -> String {
    match approval.of {
        Approved::Release(id) => id.to_string(),
        Approved::Rollout(id) => id.to_string(),
    }
}

/// Reads an `authority` document.
pub(crate) fn read_authority<D: Content>(doc: &D, defects: &mut Defects) -> AuthorityContent {
    AuthorityContent {
        releases: entries(doc, key::RELEASES, MAX_ENTRIES, defects, |name, value| release(name, &value)),
        deployments: entries(doc, key::DEPLOYMENTS, MAX_ENTRIES, defects, |name, value| deployment(name, &value)),
        controls: entries(doc, key::CONTROLS, MAX_ENTRIES, defects, |name, value| control(name, &value)),
        approvals: entries(doc, key::APPROVALS, MAX_ENTRIES, defects, |name, value| approval(name, &value)),
    }
}

/// Reads the release under `name`.
pub(super) fn release<Id>(name: &str, value: &Node<'_, Id>) -> Result<(ReleaseId, Release), Defect> {
    let release = Release::from_bytes(as_bytes(value)?).map_err(|_| Defect::Undecodable)?;
    let id = release.id();
    if id.to_string() == name { Ok((id, release)) } else { Err(Defect::KeyOfAnother) }
}

/// Reads the deployment under `name`.
pub(super) fn deployment<Id>(name: &str, value: &Node<'_, Id>) -> Result<(RolloutId, Deployment), Defect> {
    let deployment = Deployment::from_bytes(as_bytes(value)?).map_err(|_| Defect::Undecodable)?;
    let id = deployment.id();
    if id.to_string() == name { Ok((id, deployment)) } else { Err(Defect::KeyOfAnother) }
}

/// Reads the control under `name`.
pub(super) fn control<Id>(name: &str, value: &Node<'_, Id>) -> Result<Control, Defect> {
    let control = Control::from_bytes(as_bytes(value)?).map_err(|_| Defect::Undecodable)?;
    if control.reason.len() > Control::MAX_REASON {
        return Err(Defect::TooLong);
    }
    if control_key(&control) == name { Ok(control) } else { Err(Defect::KeyOfAnother) }
}

/// Reads the approval under `name`.
pub(super) fn approval<Id>(name: &str, value: &Node<'_, Id>) -> Result<Approval, Defect> {
    let approval = Approval::from_bytes(as_bytes(value)?).map_err(|_| Defect::Undecodable)?;
    if approval_key(&approval) == name { Ok(approval) } else { Err(Defect::KeyOfAnother) }
}

/// Reads a `node` document.
pub(crate) fn read_node<D: Content>(doc: &D, defects: &mut Defects) -> NodeContent {
    let profile = profile(doc).unwrap_or_else(|defect| {
        defects.note(key::PROFILE, defect);
        None
    });
    let slots = entries(doc, key::SLOTS, MAX_SLOTS, defects, |name, value| {
        let slot: SlotName = name.parse().map_err(|_| Defect::BadKey)?;
        let Node::Map(id) = &value else { return Err(Defect::WrongType) };
        Ok(SlotReport {
            slot,
            rollout: digest(doc, id, "rollout")?.map(RolloutId::from_bytes),
            state: state(doc, id)?,
            reason: reason(doc, id)?,
            since: time(doc, id, "since")?,
            serving: digest(doc, id, "serving")?.map(ReleaseId::from_bytes),
            sha256: digest(doc, id, "sha256")?.map(Sha256::from_bytes),
        })
    });
    let artifacts = entries(doc, key::ARTIFACTS, MAX_ENTRIES, defects, |name, value| match value {
        Node::Unsigned(size) => {
            let blake3: Blake3 = name.parse().map_err(|_| Defect::BadKey)?;
            // Hexadecimal digits of either case parse, but one file has one key.
            if blake3.to_string() == name { Ok((blake3, size)) } else { Err(Defect::BadKey) }
        }
        _ => Err(Defect::WrongType),
    });
    NodeContent { profile, slots, artifacts }
}

/// The key of a piece of evidence.
pub(super) fn evidence_key(rollout: &RolloutId, n: usize) -> String {
    format!("{rollout}/{n}")
}

/// Reads a `gate` document.
pub(crate) fn read_gate<D: Content>(doc: &D, defects: &mut Defects) -> GateContent {
    let mut reports = entries(doc, EVIDENCE, MAX_ENTRIES, defects, |name, value| evidence(doc, name, &value));
    reports.sort_by_key(|(n, report)| (report.rollout, *n));
    GateContent { reports: reports.into_iter().map(|(_, report)| report).collect() }
}

/// Reads the piece of evidence under `name`, and its number.
pub(super) fn evidence<D: Content>(
    doc: &D,
    name: &str,
    value: &Node<'_, D::Id>,
) -> Result<(usize, GateReport), Defect> {
    let (rollout, n) = name.split_once('/').ok_or(Defect::BadKey)?;
    let rollout: RolloutId = rollout.parse().map_err(|_| Defect::BadKey)?;
    let n: usize = n.parse().map_err(|_| Defect::BadKey)?;
    if evidence_key(&rollout, n) != name {
        return Err(Defect::BadKey);
    }
    if n >= MAX_EVIDENCE {
        return Err(Defect::TooMany);
    }
    let Node::Map(id) = value else { return Err(Defect::WrongType) };
    Ok((n, gate_report(doc, id, rollout)?))
}

/// Reads one piece of evidence.
pub(super) fn gate_report<D: Content>(doc: &D, map: &D::Id, rollout: RolloutId) -> Result<GateReport, Defect> {
    let state = state(doc, map)?;
    // Else a witness could say that it has not ended yet, and so take back that it had.
    if !state.is_final() && state != SlotState::Staged {
        return Err(Defect::NotAnEnd);
    }
    Ok(GateReport {
        rollout,
        state,
        // What does not read is as if it were not there: else a witness could add it later, and so take back the whole.
        reason: reason(doc, map).ok().flatten(),
        sha256: digest(doc, map, "sha256").ok().flatten().map(Sha256::from_bytes),
        soaked: Duration::from_millis(unsigned(doc, map, "soaked")?),
        at: time(doc, map, "at")?,
    })
}

/// Takes a later piece of evidence into account: the last counts, but a failure stays whatever is said after it.
pub(crate) fn note_evidence<K: Ord>(held: Entry<'_, K, GateReport>, report: GateReport) {
    match held {
        Entry::Occupied(held) if held.get().state.is_failure() => {}
        Entry::Occupied(mut held) => *held.get_mut() = report,
        Entry::Vacant(none) => {
            none.insert(report);
        }
    }
}

/// The profile of a `node` document, if it has one. Text and lists above their limit refuse the whole of it.
pub(super) fn profile<D: Content>(doc: &D) -> Result<Option<Profile>, Defect> {
    let map = match doc.get(&doc.root(), key::PROFILE) {
        Ok(Some(Node::Map(map))) => map,
        Ok(Some(_)) => return Err(Defect::WrongType),
        Ok(None) | Err(NotAMap) => return Ok(None),
    };
    let cores = unsigned(doc, &map, "cores")?;
    Ok(Some(Profile {
        architecture: required_text(doc, &map, "architecture")?.parse().map_err(|_| Defect::Undecodable)?,
        os: required_text(doc, &map, "os")?,
        cpu: required_text(doc, &map, "cpu")?,
        cores: u32::try_from(cores).map_err(|_| Defect::Undecodable)?,
        memory: list(doc, &map, "memory", |pool| {
            let Node::Map(pool) = &pool else { return Err(Defect::WrongType) };
            Ok(MemoryPool {
                name: required_text(doc, pool, "name")?,
                total: ByteSize(unsigned(doc, pool, "total")?),
                allocatable: ByteSize(unsigned(doc, pool, "allocatable")?),
            })
        })?,
        accelerators: list(doc, &map, "accelerators", |accelerator| {
            let Node::Map(accelerator) = &accelerator else { return Err(Defect::WrongType) };
            Ok(Accelerator {
                name: required_text(doc, accelerator, "name")?,
                pool: required_text(doc, accelerator, "pool")?,
            })
        })?,
        disk: ByteSize(unsigned(doc, &map, "disk")?),
        runtimes: list(doc, &map, "runtimes", |runtime| {
            let Node::Map(runtime) = &runtime else { return Err(Defect::WrongType) };
            Ok(RuntimeFact {
                backend: required_text(doc, runtime, "backend")?,
                version: required_text(doc, runtime, "version")?,
                providers: list(doc, runtime, "providers", |value| match value {
                    Node::Text(text) => bounded(&text),
                    _ => Err(Defect::WrongType),
                })?,
            })
        })?,
    }))
}

/// Reads the map at `place`, entry by entry; those that `read` refuses are noted.
fn entries<D: Content, T>(
    doc: &D,
    place: &'static str,
    limit: usize,
    defects: &mut Defects,
    read: impl Fn(&str, Node<'_, D::Id>) -> Result<T, Defect>,
) -> Vec<T> {
    let map = match doc.get(&doc.root(), place) {
        Ok(Some(Node::Map(map))) => map,
        Ok(None) => return Vec::new(),
        _ => {
            defects.note(place, Defect::WrongType);
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (i, (name, value)) in doc.entries(&map).enumerate() {
        if i >= limit {
            defects.note(place, Defect::TooMany);
            break;
        }
        match read(&name, value) {
            Ok(entry) => found.push(entry),
            Err(defect) => defects.note(place, defect),
        }
    }
    found
}

/// Reads the list at `field`; an absent one is empty.
fn list<D: Content, T>(
    doc: &D,
    map: &D::Id,
    field: &str,
    read: impl Fn(Node<'_, D::Id>) -> Result<T, Defect>,
) -> Result<Vec<T>, Defect> {
    let list = match doc.get(map, field) {
        Ok(Some(Node::List(list))) => list,
        Ok(None) => return Ok(Vec::new()),
        _ => return Err(Defect::WrongType),
    };
    if doc.length(&list) > MAX_LIST {
        return Err(Defect::TooLong);
    }
    doc.elements(&list).map(read).collect()
}

fn state<D: Content>(doc: &D, map: &D::Id) -> Result<SlotState, Defect> {
    required_text(doc, map, "state")?.parse().map_err(|_| Defect::Undecodable)
}

fn reason<D: Content>(doc: &D, map: &D::Id) -> Result<Option<String>, Defect> {
    text(doc, map, "reason", SlotReport::MAX_REASON)
}

fn required_text<D: Content>(doc: &D, map: &D::Id, field: &str) -> Result<String, Defect> {
    text(doc, map, field, MAX_TEXT)?.ok_or(Defect::Undecodable)
}

fn text<D: Content>(doc: &D, map: &D::Id, field: &str, limit: usize) -> Result<Option<String>, Defect> {
    match doc.get(map, field)? {
        None => Ok(None),
        Some(Node::Text(text)) if text.len() <= limit => Ok(Some(text.into_owned())),
        Some(Node::Text(_)) => Err(Defect::TooLong),
        Some(_) => Err(Defect::WrongType),
    }
}

fn unsigned<D: Content>(doc: &D, map: &D::Id, field: &str) -> Result<u64, Defect> {
    match doc.get(map, field)? {
        None => Err(Defect::Undecodable),
        Some(Node::Unsigned(n)) => Ok(n),
        Some(_) => Err(Defect::WrongType),
    }
}

fn time<D: Content>(doc: &D, map: &D::Id, field: &str) -> Result<Timestamp, Defect> {
    Timestamp::stated(unsigned(doc, map, field)?).ok_or(Defect::AfterTime)
}

fn digest<D: Content>(doc: &D, map: &D::Id, field: &str) -> Result<Option<[u8; 32]>, Defect> {
    match doc.get(map, field)? {
        None => Ok(None),
        Some(value) => as_bytes(&value)?.try_into().map(Some).map_err(|_| Defect::Undecodable),
    }
}

fn bounded(text: &str) -> Result<String, Defect> {
    if text.len() <= MAX_TEXT { Ok(text.to_owned()) } else { Err(Defect::TooLong) }
}

fn as_bytes<'a, Id>(value: &'a Node<'_, Id>) -> Result<&'a [u8], Defect> {
    match value {
        Node::Bytes(bytes) => Ok(bytes),
        _ => Err(Defect::WrongType),
    }
}
