//! The process of one observer: a real fleet over a real file.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use redb::{Database, Durability, WriteTransaction};
use sedge_fleet::{Effect, Event, Fleet, testing};
use sedge_statement::{NodeId, Timestamp};

use crate::feed::Told;
use crate::mesh::{self, START, Who};
use crate::outcome::Lived;
use crate::weigh::{self, FLEET, resident};
use crate::{absence, outcome};

/// Names the directory of the process that is an observer.
pub(crate) const AS_OBSERVER: &str = "SEDGE_YEAR_OBSERVER";
/// Names its cell.
pub(crate) const OF_CELL: &str = "SEDGE_YEAR_CELL";
/// The file that it keeps.
pub(crate) const STORE: &str = "state.redb";
/// What was in it when the traveller left.
const LEFT: &str = "left.redb";
/// How much of the file is cached: what the process grows by is to be the fleet's.
const CACHE: usize = 1 << 20;
/// How many certificates go into a frame.
const CERTIFICATES: usize = 256;

/// Whatever can go wrong here ends the process.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Lives through what standard input tells, and says on standard output what came of it.
pub(crate) fn live(dir: &Path) -> ExitCode {
    outcome::end(try_live(dir))
}

fn try_live(dir: &Path) -> Result<Lived, Failure> {
    let cell: u32 = std::env::var(OF_CELL)?.parse()?;
    let before = resident();
    let mut observer = Observer::new(dir, cell)?;
    let mut input = io::BufReader::new(io::stdin().lock());
    let now = loop {
        match Told::get(&mut input)? {
            (Told::Frame(frame), now) => observer.handle(Event::Received { peer: observer.neighbour, frame }, now)?,
            (Told::Tick, now) => observer.tick(now)?,
            (Told::Leave, _) => {
                observer.commit()?;
                let left = database(&dir.join(LEFT))?;
                weigh::store(&left, &weigh::records(&observer.database)?)?;
            }
            (Told::End, now) => break now,
        }
    };
    observer.tick(now)?;
    let memory = resident().saturating_sub(before);
    let left = weigh::records(&database(&dir.join(LEFT))?)?;
    let received = absence::catch_up(&mut observer.fleet, (Who::Observer(cell), Who::Traveller(cell)), left, now)?;
    let kinds = weigh::kinds(&weigh::records(&observer.database)?);
    drop(observer);
    Ok(Lived { store: std::fs::metadata(dir.join(STORE))?.len(), memory, received, kinds })
}

struct Observer {
    fleet: Fleet,
    /// Who tells it everything.
    neighbour: NodeId,
    database: Database,
    /// What was not synced yet. The agent syncs each batch.
    open: Option<WriteTransaction>,
}

impl Observer {
    /// An observer that has met a neighbour and heard everybody's certificate.
    fn new(dir: &Path, cell: u32) -> Result<Self, Failure> {
        let (genesis, mesh) = mesh::genesis();
        let fleet = Fleet::open(&genesis, mesh, Who::Observer(cell).id(), [])?;
        let neighbour = Who::Node(mesh::nodes_of(cell).start).id();
        let mut observer = Self { fleet, neighbour, database: database(&dir.join(STORE))?, open: None };
        let certificates = mesh::certificates(mesh);
        observer.handle(Event::Connected { peer: neighbour }, START)?;
        // The neighbour's own path is among the first of them.
        let mut frames = certificates.chunks(CERTIFICATES).map(testing::objects_frame);
        let path: Vec<_> =
            certificates.iter().take(1).chain(mesh::certificate_of(&certificates, neighbour)).cloned().collect();
        let hello = testing::hello_frame(mesh, &path);
        std::iter::once(hello)
            .chain(&mut frames)
            .try_for_each(|frame| observer.handle(Event::Received { peer: neighbour, frame }, START))?;
        Ok(observer)
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), Failure> {
        self.handle(Event::Tick, now)?;
        self.commit()?;
        self.fleet.view(now);
        Ok(())
    }

    fn handle(&mut self, event: Event, now: Timestamp) -> Result<(), Failure> {
        for effect in self.fleet.handle(event, now) {
            match effect {
                Effect::Persist(writes) => self.persist(&writes)?,
                Effect::Close { reason, .. } => return Err(format!("the neighbour was closed: {reason}").into()),
                Effect::Send { .. } | Effect::Changed => {}
            }
        }
        Ok(())
    }

    fn persist(&mut self, writes: &[sedge_fleet::Write]) -> Result<(), Failure> {
        if self.open.is_none() {
            let mut open = self.database.begin_write()?;
            open.set_durability(Durability::Immediate)?;
            self.open = Some(open);
        }
        let mut table = self.open.as_ref().expect("it was just opened").open_table(FLEET)?;
        for write in writes {
            match &write.value {
                Some(value) => table.insert(write.key.as_slice(), value.as_slice())?,
                None => table.remove(write.key.as_slice())?,
            };
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        Ok(self.open.take().map_or(Ok(()), WriteTransaction::commit)?)
    }
}

/// Opens or creates a file as the agent does, with its table.
pub(crate) fn database(path: &Path) -> Result<Database, Failure> {
    let database = Database::builder().set_cache_size(CACHE).create(path)?;
    let write = database.begin_write()?;
    write.open_table(FLEET)?;
    write.commit()?;
    Ok(database)
}
