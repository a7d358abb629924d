//! `state.redb`: everything a restart must not lose, in one file.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | `format`, and the mesh's genesis, the last port, the relays joined through |
//! | `fleet` | as `sedge-fleet` says | documents, heads, objects |
//! | `journals` | slot | the slot machine's journal |
//! | `floors` | slot | the lowest generation that the slot may go to |
//! | `tickets` | digest of the secret | what the ticket gives and how often still |
//! | `peers` | node id | its addresses, each with when it was seen there (`peers.rs`) |
//! | `drafts` | `MODEL:VERSION` | a model without a file, as `drafts/record.rs` says |
//! | `commands` | command id | an update command that was imported and deployed, as there |
//! | `releases` | release id | the release, canonical: what a slot follows survives its author's document |
//!
//! Every commit is synced before it returns: an effect that follows from a record never happens before the record lasts.

#[cfg(test)]
mod disk;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod life;

use std::fs::{self, File};
use std::io;
use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use sedge_mesh::{Storage, StorageError};
use sedge_slot::Effect;
use sedge_statement::{SlotName, codec};

/// The version of everything in this file. A newer one is refused, never guessed at.
const FORMAT: u32 = 1;

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// A key and its value.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

const META: Table = TableDefinition::new("meta");
const FLEET: Table = TableDefinition::new("fleet");

/// Tables of the agent's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Slot machines.
    Journal,
    /// Generations that slots may not go below.
    Floor,
    /// Tickets issued here.
    Ticket,
    /// Addresses of peers.
    Peer,
    /// Releases that slots follow.
    Release,
    /// Models without a file.
    Draft,
    /// Imported commands.
    Command,
    /// Certificates issued here without a ticket.
    Issued,
}

impl Kind {
    const ALL: [Self; 8] =
        [Self::Journal, Self::Floor, Self::Ticket, Self::Peer, Self::Release, Self::Draft, Self::Command, Self::Issued];

    const fn table(self) -> Table {
        TableDefinition::new(match self {
            Self::Journal => "journals",
            Self::Floor => "floors",
            Self::Ticket => "tickets",
            Self::Peer => "peers",
            Self::Release => "releases",
            Self::Draft => "drafts",
            Self::Command => "commands",
            Self::Issued => "issued",
        })
    }
}

/// Why the state could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// Written by a newer Sedge: update this one, or restore the home of its time.
    #[error("the state has format {found}, and this program knows formats up to {FORMAT}")]
    Newer {
        /// The format found.
        found: u32,
    },
    /// The file is damaged, locked or cannot be written; the source says which.
    #[error("state.redb: {0}")]
    Database(#[source] Box<redb::Error>),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(e: E) -> Self {
        Self::Database(Box::new(e.into()))
    }
}

/// The state of one home.
#[derive(Debug)]
pub(crate) struct Store(Database);

impl Store {
    /// Opens or creates the file.
    ///
    /// A new one is made under another name and renamed once it is whole: what a kill in the middle of its making leaves, redb never opens again.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.try_exists()? {
            let fresh = path.with_extension("redb.new");
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            drop(Self::over(Database::create(&fresh)?)?);
            fs::rename(&fresh, path)?;
            if let Some(dir) = path.parent() {
                File::open(dir)?.sync_all()?;
            }
        }
        Self::over(Database::create(path)?)
    }

    /// The same on whatever a database lies on.
    fn over(database: Database) -> Result<Self, StoreError> {
        let store = Self(database);
        let write = store.0.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            let found = meta.get(b"format".as_slice())?.map(|v| v.value().to_vec());
            match found.as_deref().map(<[u8; 4]>::try_from) {
                None => {
                    meta.insert(b"format".as_slice(), FORMAT.to_le_bytes().as_slice())?;
                }
                Some(Ok(bytes)) if u32::from_le_bytes(bytes) <= FORMAT => {}
                Some(bytes) => return Err(StoreError::Newer { found: bytes.map_or(u32::MAX, u32::from_le_bytes) }),
            }
            write.open_table(FLEET)?;
            for kind in Kind::ALL {
                write.open_table(kind.table())?;
            }
        }
        write.commit()?;
        Ok(store)
    }

    /// A value of `meta`.
    pub(crate) fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.0.begin_read()?;
        Ok(read.open_table(META)?.get(name.as_bytes())?.map(|v| v.value().to_vec()))
    }

    /// Sets values of `meta`, all or none.
    pub(crate) fn set_meta(&self, values: &[(&str, &[u8])]) -> Result<(), StoreError> {
        self.write(META, values.iter().map(|(name, value)| (name.as_bytes(), Some(*value))))
    }

    /// Every record of `sedge-fleet`.
    pub(crate) fn fleet(&self) -> Result<Vec<Record>, StoreError> {
        self.all(FLEET)
    }

    /// Every record of a table.
    pub(crate) fn list(&self, kind: Kind) -> Result<Vec<Record>, StoreError> {
        self.all(kind.table())
    }

    /// One record.
    pub(crate) fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.0.begin_read()?;
        Ok(read.open_table(kind.table())?.get(key)?.map(|v| v.value().to_vec()))
    }

    /// Sets or removes one record, synced.
    pub(crate) fn put(&self, kind: Kind, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        self.write(kind.table(), std::iter::once((key, value)))
    }

    /// Sets and removes records of one table, all or none, synced.
    pub(crate) fn put_many<'a>(
        &self,
        kind: Kind,
        records: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<(), StoreError> {
        self.write(kind.table(), records)
    }

    /// Sets records of several tables, all or none, synced.
    pub(crate) fn put_all(&self, records: Vec<(Kind, Vec<u8>, Vec<u8>)>) -> Result<(), StoreError> {
        let mut write = self.0.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        for (kind, key, value) in records {
            write.open_table(kind.table())?.insert(key.as_slice(), value.as_slice())?;
        }
        write.commit()?;
        Ok(())
    }

    /// Reads, changes and writes one record in a single transaction: two callers never both see the old value.
    pub(crate) fn update<T>(
        &self,
        kind: Kind,
        key: &[u8],
        change: impl FnOnce(Option<Vec<u8>>) -> (T, Option<Vec<u8>>),
    ) -> Result<T, StoreError> {
        let mut write = self.0.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        let answer = {
            let mut table = write.open_table(kind.table())?;
            let old = table.get(key)?.map(|v| v.value().to_vec());
            let (answer, new) = change(old.clone());
            if new == old {
                return Ok(answer);
            }
            match new {
                Some(value) => table.insert(key, value.as_slice())?,
                None => table.remove(key)?,
            };
            answer
        };
        write.commit()?;
        Ok(answer)
    }

    /// Writes the records among a slot's effects, each synced before the next, and before anything else follows from them. Says how many there
    /// were.
    pub(crate) fn keep_slot(&self, name: &SlotName, effects: &[Effect]) -> Result<usize, StoreError> {
        let (key, mut kept) = (name.as_str().as_bytes(), 0);
        for effect in effects {
            match effect {
                Effect::Journal(bytes) => self.put(Kind::Journal, key, Some(bytes))?,
                Effect::SetFloor(floor) => self.put(Kind::Floor, key, Some(&codec::encode(floor)))?,
                _ => continue,
            }
            kept += 1;
        }
        Ok(kept)
    }

    fn all(&self, table: Table) -> Result<Vec<Record>, StoreError> {
        let read = self.0.begin_read()?;
        let table = read.open_table(table)?;
        let mut records = Vec::new();
        for record in table.iter()? {
            let (key, value) = record?;
            records.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(records)
    }

    fn write<'a>(
        &self,
        table: Table,
        records: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<(), StoreError> {
        let mut write = self.0.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        {
            let mut table = write.open_table(table)?;
            for (key, value) in records {
                match value {
                    Some(value) => table.insert(key, value)?,
                    None => table.remove(key)?,
                };
            }
        }
        write.commit()?;
        Ok(())
    }
}

impl Storage for Store {
    fn commit(&self, writes: &[sedge_fleet::Write]) -> Result<(), StorageError> {
        self.write(FLEET, writes.iter().map(|w| (w.key.as_slice(), w.value.as_deref())))
            .map_err(|e| StorageError(Box::new(e)))
    }
}

impl From<StoreError> for crate::api::ApiError {
    fn from(error: StoreError) -> Self {
        crate::home::HomeError::from(error).into()
    }
}
