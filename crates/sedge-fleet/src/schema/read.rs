//! Documents back into statements. The author may be hostile: whatever is not as the table says is skipped and noted.

use std::collections::BTreeMap;
use std::time::Duration;

use automerge::{ObjId, ObjType, ROOT, ReadDoc, ScalarValueRef, Value, ValueRef};
use sedge_statement::{
    Accelerator, Blake3, ByteSize, Control, Deployment, GateReport, MemoryPool, Profile, Release, ReleaseId, RolloutId,
    RuntimeFact, Sha256, SlotName, SlotReport, SlotState, Timestamp,
};

use super::key;

/// The longest text of a profile, bytes: a kernel's version line fits.
pub(super) const MAX_TEXT: usize = 256;
/// The longest list of a profile. Sixteen of each keep the largest profile in one change of 512 operations.
pub(super) const MAX_LIST: usize = 16;
/// The most entries read of one map, in the order of keys. An epoch of 256 changes, a few entries each, stays far below.
const MAX_ENTRIES: usize = 4096;
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
    /// There are more entries than readers accept; the rest is not read.
    #[error("has more entries than are read")]
    TooMany,
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
    pub(crate) reports: Vec<GateReport>,
}

/// The key of a control.
pub(super) fn control_key(control: &Control) -> String {
    format!("{}/{}", control.rollout, control.count)
}

/// Reads an `authority` document.
pub(crate) fn read_authority(doc: &impl ReadDoc, defects: &mut Defects) -> AuthorityContent {
    let releases = entries(doc, key::RELEASES, MAX_ENTRIES, defects, |name, value, _| {
        let release = Release::from_bytes(as_bytes(value)?).map_err(|_| Defect::Undecodable)?;
        let id = release.id();
        if id.to_string() == name { Ok((id, release)) } else { Err(Defect::KeyOfAnother) }
    });
    let deployments = entries(doc, key::DEPLOYMENTS, MAX_ENTRIES, defects, |name, value, _| {
        let deployment = Deployment::from_bytes(as_bytes(value)?).map_err(|_| Defect::Undecodable)?;
        let id = deployment.id();
        if id.to_string() == name { Ok((id, deployment)) } else { Err(Defect::KeyOfAnother) }
    });
    let controls = entries(doc, key::CONTROLS, MAX_ENTRIES, defects, |name, value, _| {
        let control = Control::from_bytes(as_bytes(value)?).map_err(|_| Defect::Undecodable)?;
        if control.reason.len() > Control::MAX_REASON {
            return Err(Defect::TooLong);
        }
        if control_key(&control) == name { Ok(control) } else { Err(Defect::KeyOfAnother) }
    });
    AuthorityContent { releases, deployments, controls }
}

/// Reads a `node` document.
pub(crate) fn read_node(doc: &impl ReadDoc, defects: &mut Defects) -> NodeContent {
    let profile = profile(doc).unwrap_or_else(|defect| {
        defects.note(key::PROFILE, defect);
        None
    });
    let slots = entries(doc, key::SLOTS, MAX_SLOTS, defects, |name, value, id| {
        let slot: SlotName = name.parse().map_err(|_| Defect::BadKey)?;
        as_map(value)?;
        Ok(SlotReport {
            slot,
            rollout: digest(doc, id, "rollout")?.map(RolloutId::from_bytes),
            state: state(doc, id)?,
            reason: reason(doc, id)?,
            since: Timestamp::from_millis(unsigned(doc, id, "since")?),
            serving: digest(doc, id, "serving")?.map(ReleaseId::from_bytes),
            sha256: digest(doc, id, "sha256")?.map(Sha256::from_bytes),
        })
    });
    let artifacts = entries(doc, key::ARTIFACTS, MAX_ENTRIES, defects, |name, value, _| match value {
        ValueRef::Scalar(ScalarValueRef::Uint(size)) => {
            let blake3: Blake3 = name.parse().map_err(|_| Defect::BadKey)?;
            // Hexadecimal digits of either case parse, but one file has one key.
            if blake3.to_string() == name { Ok((blake3, *size)) } else { Err(Defect::BadKey) }
        }
        _ => Err(Defect::WrongType),
    });
    NodeContent { profile, slots, artifacts }
}

/// Reads a `gate` document.
pub(crate) fn read_gate(doc: &impl ReadDoc, defects: &mut Defects) -> GateContent {
    let reports = entries(doc, key::REPORTS, MAX_ENTRIES, defects, |name, value, id| {
        let rollout: RolloutId = name.parse().map_err(|_| Defect::BadKey)?;
        if rollout.to_string() != name {
            return Err(Defect::BadKey);
        }
        as_map(value)?;
        Ok(GateReport {
            rollout,
            state: state(doc, id)?,
            reason: reason(doc, id)?,
            sha256: digest(doc, id, "sha256")?.map(Sha256::from_bytes),
            soaked: Duration::from_millis(unsigned(doc, id, "soaked")?),
            at: Timestamp::from_millis(unsigned(doc, id, "at")?),
        })
    });
    GateContent { reports }
}

/// The profile of a `node` document, if it has one. Text and lists above their limit refuse the whole of it.
pub(super) fn profile(doc: &impl ReadDoc) -> Result<Option<Profile>, Defect> {
    let Some((value, map)) = doc.get(ROOT, key::PROFILE).ok().flatten() else { return Ok(None) };
    if !matches!(value, Value::Object(ObjType::Map)) {
        return Err(Defect::WrongType);
    }
    let cores = unsigned(doc, &map, "cores")?;
    Ok(Some(Profile {
        architecture: required_text(doc, &map, "architecture")?.parse().map_err(|_| Defect::Undecodable)?,
        os: required_text(doc, &map, "os")?,
        cpu: required_text(doc, &map, "cpu")?,
        cores: u32::try_from(cores).map_err(|_| Defect::Undecodable)?,
        memory: list(doc, &map, "memory", |_, pool| {
            Ok(MemoryPool {
                name: required_text(doc, pool, "name")?,
                total: ByteSize(unsigned(doc, pool, "total")?),
                allocatable: ByteSize(unsigned(doc, pool, "allocatable")?),
            })
        })?,
        accelerators: list(doc, &map, "accelerators", |_, accelerator| {
            Ok(Accelerator {
                name: required_text(doc, accelerator, "name")?,
                pool: required_text(doc, accelerator, "pool")?,
            })
        })?,
        disk: ByteSize(unsigned(doc, &map, "disk")?),
        runtimes: list(doc, &map, "runtimes", |_, runtime| {
            Ok(RuntimeFact {
                backend: required_text(doc, runtime, "backend")?,
                version: required_text(doc, runtime, "version")?,
                providers: list(doc, runtime, "providers", |value, _| match value {
                    ValueRef::Scalar(ScalarValueRef::Str(text)) => bounded(text),
                    _ => Err(Defect::WrongType),
                })?,
            })
        })?,
    }))
}

/// Reads the map at `place`, entry by entry; those that `read` refuses are noted.
fn entries<T>(
    doc: &impl ReadDoc,
    place: &'static str,
    limit: usize,
    defects: &mut Defects,
    read: impl Fn(&str, &ValueRef<'_>, &ObjId) -> Result<T, Defect>,
) -> Vec<T> {
    let map = match doc.get(ROOT, place) {
        Ok(Some((Value::Object(ObjType::Map), map))) => map,
        Ok(None) => return Vec::new(),
        _ => {
            defects.note(place, Defect::WrongType);
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (i, item) in doc.map_range(&map, ..).enumerate() {
        if i >= limit {
            defects.note(place, Defect::TooMany);
            break;
        }
        match read(&item.key, &item.value, &item.id()) {
            Ok(entry) => found.push(entry),
            Err(defect) => defects.note(place, defect),
        }
    }
    found
}

/// Reads the list at `field`; an absent one is empty.
fn list<T>(
    doc: &impl ReadDoc,
    map: &ObjId,
    field: &str,
    read: impl Fn(&ValueRef<'_>, &ObjId) -> Result<T, Defect>,
) -> Result<Vec<T>, Defect> {
    let list = match doc.get(map, field) {
        Ok(Some((Value::Object(ObjType::List), list))) => list,
        Ok(None) => return Ok(Vec::new()),
        _ => return Err(Defect::WrongType),
    };
    if doc.length(&list) > MAX_LIST {
        return Err(Defect::TooLong);
    }
    doc.list_range(&list, ..).map(|item| read(&item.value, &item.id())).collect()
}

fn state(doc: &impl ReadDoc, map: &ObjId) -> Result<SlotState, Defect> {
    required_text(doc, map, "state")?.parse().map_err(|_| Defect::Undecodable)
}

fn reason(doc: &impl ReadDoc, map: &ObjId) -> Result<Option<String>, Defect> {
    text(doc, map, "reason", SlotReport::MAX_REASON)
}

fn required_text(doc: &impl ReadDoc, map: &ObjId, field: &str) -> Result<String, Defect> {
    text(doc, map, field, MAX_TEXT)?.ok_or(Defect::Undecodable)
}

fn text(doc: &impl ReadDoc, map: &ObjId, field: &str, limit: usize) -> Result<Option<String>, Defect> {
    // A scalar has no fields: `get` fails on it, and that is a wrong type too.
    match doc.get(map, field).map_err(|_| Defect::WrongType)? {
        None => Ok(None),
        Some((value, _)) => match value.as_str() {
            Some(text) if text.len() <= limit => Ok(Some(text.to_owned())),
            Some(_) => Err(Defect::TooLong),
            None => Err(Defect::WrongType),
        },
    }
}

fn unsigned(doc: &impl ReadDoc, map: &ObjId, field: &str) -> Result<u64, Defect> {
    match doc.get(map, field).map_err(|_| Defect::WrongType)? {
        None => Err(Defect::Undecodable),
        Some((Value::Scalar(value), _)) => match *value {
            automerge::ScalarValue::Uint(n) => Ok(n),
            _ => Err(Defect::WrongType),
        },
        Some(_) => Err(Defect::WrongType),
    }
}

fn digest(doc: &impl ReadDoc, map: &ObjId, field: &str) -> Result<Option<[u8; 32]>, Defect> {
    match doc.get(map, field).map_err(|_| Defect::WrongType)? {
        None => Ok(None),
        Some((value, _)) => {
            let bytes = value.as_bytes().ok_or(Defect::WrongType)?;
            bytes.try_into().map(Some).map_err(|_| Defect::Undecodable)
        }
    }
}

fn bounded(text: &str) -> Result<String, Defect> {
    if text.len() <= MAX_TEXT { Ok(text.to_owned()) } else { Err(Defect::TooLong) }
}

fn as_bytes<'a>(value: &'a ValueRef<'_>) -> Result<&'a [u8], Defect> {
    match value {
        ValueRef::Scalar(ScalarValueRef::Bytes(bytes)) => Ok(bytes),
        _ => Err(Defect::WrongType),
    }
}

fn as_map(value: &ValueRef<'_>) -> Result<(), Defect> {
    if matches!(value, ValueRef::Object(ObjType::Map)) { Ok(()) } else { Err(Defect::WrongType) }
}
