//! One cell's year as its observer is told it: everybody's links, in the order in which they are written.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use sedge_fleet::Edit;
use sedge_fleet::testing::{Scribe, StoredLink};
use sedge_statement::{DocKind, RolloutId, Timestamp};

use crate::observer::{AS_OBSERVER, OF_CELL};
use crate::outcome::Lived;
use crate::{Span, life, mesh};
use mesh::{CELLS, NODES_OF_CELL, START, Who};

/// How often a day the observer's records are synced and its view is looked at.
const QUARTERS: u64 = 4;

/// What an observer is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// A neighbour's frame.
    Frame(Vec<u8>),
    /// Time passes.
    Tick,
    /// The traveller leaves: what is stored now is what it will come back with.
    Leave,
    /// The year is over.
    End,
}

impl Told {
    /// Writes it: a letter, the time, and for a frame its length and bytes.
    fn put(&self, at: Timestamp, out: &mut impl Write) -> io::Result<()> {
        let (letter, frame): (u8, &[u8]) = match self {
            Self::Frame(frame) => (b'f', frame),
            Self::Tick => (b't', &[]),
            Self::Leave => (b'l', &[]),
            Self::End => (b'e', &[]),
        };
        out.write_all(&[letter])?;
        out.write_all(&at.as_millis().to_le_bytes())?;
        out.write_all(&u32::try_from(frame.len()).expect("a frame is short").to_le_bytes())?;
        out.write_all(frame)
    }

    /// Reads it.
    pub(crate) fn get(input: &mut impl Read) -> io::Result<(Self, Timestamp)> {
        let mut head = [0; 13];
        input.read_exact(&mut head)?;
        let (at, len) = (&head[1..9], &head[9..13]);
        let at = Timestamp::from_millis(u64::from_le_bytes(at.try_into().expect("eight bytes")));
        let mut frame = vec![0; u32::from_le_bytes(len.try_into().expect("four bytes")) as usize];
        input.read_exact(&mut frame)?;
        let told = match head[0] {
            b'f' => Self::Frame(frame),
            b't' => Self::Tick,
            b'l' => Self::Leave,
            b'e' => Self::End,
            letter => return Err(io::Error::other(format!("told {letter}"))),
        };
        Ok((told, at))
    }
}

/// Lives through a cell's year, and answers what its observer found at the end.
pub(crate) fn feed(cell: u32, span: Span, dir: &Path) -> io::Result<Lived> {
    let mut observer = Command::new(std::env::current_exe()?)
        .env(AS_OBSERVER, dir)
        .env(OF_CELL, cell.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut year = Year::new(cell, BufWriter::new(observer.stdin.take().expect("it is piped")));
    let told = (0..span.days).try_for_each(|day| {
        if day == span.days - span.away() {
            year.say(Told::Leave, at(day, 0))?;
        }
        year.day(day)
    });
    let ended = told.and_then(|()| year.end(at(span.days, 0)));
    drop(year);
    let answer = io::read_to_string(BufReader::new(observer.stdout.take().expect("it is piped")))?;
    let status = observer.wait()?;
    ended?;
    if status.success() { Lived::read(&answer) } else { Err(io::Error::other("the observer of a cell failed")) }
}

fn at(day: u64, second: u64) -> Timestamp {
    START.plus(Duration::from_secs(day * 86_400 + second))
}

/// Everybody whose words reach the cell.
struct Year {
    cell: u32,
    nodes: Vec<Scribe>,
    gates: Vec<Scribe>,
    authorities: [Scribe; 2],
    out: BufWriter<ChildStdin>,
}

impl Year {
    fn new(cell: u32, out: BufWriter<ChildStdin>) -> Self {
        let (_, mesh) = mesh::genesis();
        let scribe = |who: Who, kind| Scribe::new(who.key(), mesh, kind, &who.cell());
        Self {
            cell,
            nodes: mesh::nodes_of(cell).map(|n| scribe(Who::Node(n), DocKind::Node)).collect(),
            gates: (0..CELLS * NODES_OF_CELL).map(|n| scribe(Who::Node(n), DocKind::Gate)).collect(),
            authorities: [0, 1].map(|n| scribe(Who::Authority(n), DocKind::Authority)),
            out,
        }
    }

    fn say(&mut self, told: Told, at: Timestamp) -> io::Result<()> {
        told.put(at, &mut self.out)
    }

    fn tell(&mut self, links: &[StoredLink], at: Timestamp) -> io::Result<()> {
        links.iter().filter_map(StoredLink::frame).try_for_each(|frame| self.say(Told::Frame(frame), at))
    }

    fn end(&mut self, at: Timestamp) -> io::Result<()> {
        self.say(Told::End, at)?;
        self.out.flush()
    }

    /// A day: its nodes' updates in four quarters, and what is published in the first of these with the evidence in the others.
    fn day(&mut self, day: u64) -> io::Result<()> {
        let mut rollouts = Vec::new();
        for quarter in 0..QUARTERS {
            let now = at(day, quarter * 86_400 / QUARTERS);
            match quarter {
                0 => rollouts = self.publish(day, now)?,
                _ => self.witness(&rollouts, quarter, now)?,
            }
            for update in 0..life::UPDATES / QUARTERS {
                let link = day * life::UPDATES + quarter * (life::UPDATES / QUARTERS) + update;
                let now = now.plus(Duration::from_secs(60 * (1 + update)));
                for (i, n) in mesh::nodes_of(self.cell).enumerate() {
                    let links = self.nodes[i].write(now, &[life::of_node(n, link, now)]);
                    self.tell(&links, now)?;
                }
            }
            self.say(Told::Tick, now.plus(Duration::from_secs(3600)))?;
        }
        Ok(())
    }

    /// What the authorities publish in a day; answers the rollouts by number.
    fn publish(&mut self, day: u64, now: Timestamp) -> io::Result<Vec<(u64, Option<u32>, RolloutId)>> {
        let mut releases = Vec::new();
        for of_day in 0..life::RELEASES {
            let release = life::release(day * life::RELEASES + of_day, now);
            releases.push(release.id());
            self.author(of_day, now, Edit::PutRelease(release))?;
        }
        let mut rollouts = Vec::new();
        for of_day in 0..life::DEPLOYMENTS {
            let (n, target) = (day * life::DEPLOYMENTS + of_day, life::target(day, of_day));
            let release = releases[usize::from(of_day > 2)];
            let deployment = life::deployment(n, release, target, now);
            rollouts.push((n, target, deployment.id()));
            self.author(of_day, now, Edit::PutDeployment(deployment))?;
        }
        Ok(rollouts)
    }

    fn author(&mut self, n: u64, now: Timestamp, edit: Edit) -> io::Result<()> {
        let links = self.authorities[usize::from(!n.is_multiple_of(2))].write(now, &[edit]);
        self.tell(&links, now)
    }

    /// The evidence of a third of the witnesses of each rollout.
    fn witness(&mut self, rollouts: &[(u64, Option<u32>, RolloutId)], quarter: u64, now: Timestamp) -> io::Result<()> {
        for (n, target, rollout) in rollouts {
            let witnesses = life::witnesses(*n, *target);
            for node in witnesses.into_iter().filter(|node| u64::from(*node) % (QUARTERS - 1) == quarter - 1) {
                let links = self.gates[node as usize].write(now, &[life::evidence(*rollout, node, *n, now)]);
                self.tell(&links, now)?;
            }
        }
        Ok(())
    }
}
