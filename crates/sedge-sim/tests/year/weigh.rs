//! What a store weighs: by kind of record, and in the memory and time of a process that opens it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use sedge_fleet::Fleet;
use sedge_statement::Timestamp;

use crate::clock::timed;
use crate::mesh::{self, START, Who};
use crate::observer::{Failure, database};
use crate::outcome::{self, Weight};

/// Names the store that a process opens to weigh it.
pub(crate) const AS_SCALE: &str = "SEDGE_YEAR_WEIGH";
/// Names what of it that process opens, by letters of [`KINDS`].
const ONLY: &str = "SEDGE_YEAR_ONLY";
/// The table of the agent's store.
pub(crate) const FLEET: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("fleet");
/// Kinds of records, by a letter each.
pub(crate) const KINDS: [(char, &str); 4] = [('o', "objects"), ('a', "authority"), ('n', "node"), ('g', "gate")];

/// A key and its value.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// What kind of record a key names. Behind the letter of a link's key come its author and its document's kind.
fn kind(key: &[u8]) -> char {
    match (key.first(), key.get(33)) {
        (Some(b'l'), Some(0)) => 'a',
        (Some(b'l'), Some(1)) => 'n',
        (Some(b'l'), Some(2)) => 'g',
        _ => 'o',
    }
}

/// How many records there are of each kind, and how many bytes of keys and values they are.
pub(crate) fn kinds(records: &[Record]) -> BTreeMap<char, (u64, u64)> {
    let mut kinds = BTreeMap::new();
    for (key, value) in records {
        let (count, bytes) = kinds.entry(kind(key)).or_insert((0, 0));
        *count += 1;
        *bytes += (key.len() + value.len()) as u64;
    }
    kinds
}

/// Every record of a store, as the agent reads them.
pub(crate) fn records(database: &Database) -> Result<Vec<Record>, Failure> {
    records_of(database, |_| true)
}

/// The records of a store whose kind is asked for.
fn records_of(database: &Database, wanted: impl Fn(char) -> bool) -> Result<Vec<Record>, Failure> {
    let read = database.begin_read()?;
    let table = read.open_table(FLEET)?;
    let mut records = Vec::new();
    for record in table.iter()? {
        let (key, value) = record?;
        if wanted(kind(key.value())) {
            records.push((key.value().to_vec(), value.value().to_vec()));
        }
    }
    Ok(records)
}

/// Writes records into an empty store.
pub(crate) fn store(database: &Database, records: &[Record]) -> Result<(), Failure> {
    let write = database.begin_write()?;
    let mut table = write.open_table(FLEET)?;
    for (key, value) in records {
        table.insert(key.as_slice(), value.as_slice())?;
    }
    drop(table);
    Ok(write.commit()?)
}

/// Opens a store in a process of its own: whole, and then by more and more kinds, so that the differences are what each takes.
pub(crate) fn weights(store: &Path) -> io::Result<Vec<Weight>> {
    ["oang", "o", "oa", "oan"].into_iter().map(|only| one(store, only)).collect()
}

fn one(store: &Path, only: &str) -> io::Result<Weight> {
    let scale = Command::new(std::env::current_exe()?).env(AS_SCALE, store).env(ONLY, only).output()?;
    if !scale.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&scale.stderr).into_owned()));
    }
    Weight::read(&String::from_utf8_lossy(&scale.stdout))
}

/// Opens what is asked for, and says on standard output how long the first view took and what memory stays.
pub(crate) fn weigh(path: &Path) -> ExitCode {
    outcome::end(try_weigh(path))
}

fn try_weigh(path: &Path) -> Result<Weight, Failure> {
    let only = std::env::var(ONLY)?;
    let (genesis, mesh) = mesh::genesis();
    let before = resident();
    let (fleet, spent) = timed(|| -> Result<Fleet, Failure> {
        let records = records_of(&database(path)?, |kind| only.contains(kind))?;
        let mut fleet = Fleet::open(&genesis, mesh, Who::Observer(0).id(), records)?;
        fleet.view(Timestamp::max(START, fleet.verified_time()));
        Ok(fleet)
    });
    let fleet = fleet?;
    let memory = resident().saturating_sub(before);
    drop(fleet);
    Ok(Weight { spent, memory })
}

/// Resident memory of this process, bytes.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}
