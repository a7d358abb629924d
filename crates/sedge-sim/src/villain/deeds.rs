//! What a villain does with each second, by its character.

use std::time::Duration;

use sedge_fleet::Edit;
use sedge_fleet::testing::{self, Scribe};
use sedge_statement::{
    Blake3, CellPath, ChangeHash, Control, ControlAction, DocKind, GateReport, NodeId, Object, ObjectBody, ObjectId,
    ObjectKind, RolloutId, Scope, SlotState, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Character, Said, Villain};

/// How far ahead a poisoned time lies.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
/// How many links a villain signs of one history.
const LINKS: usize = 24;

/// A statement of a kind that no version knows.
#[derive(Debug, Serialize, Deserialize)]
struct Unknown(Vec<u8>);

impl ObjectBody for Unknown {
    const KIND: ObjectKind = ObjectKind(999);
    const MAX_BYTES: usize = 1 << 20;
}

impl Villain {
    /// What it does in a second.
    pub(super) fn deed(&mut self, now: Timestamp) -> Said {
        match self.character {
            Character::Forker => self.fork(now),
            Character::NeverDone => self.begin_again(now),
            Character::Withholder => self.withhold(now),
            Character::Liar => self.lie(),
            Character::Flooder => self.flood(),
            Character::Overreacher => self.overreach(now),
            Character::Slanderer => self.slander(now),
            Character::Timekeeper => self.poison(now),
            Character::Replayer => self.replay(),
            Character::Thief => self.steal(now),
        }
    }

    /// Adds a link to a history, unless it has retired or has said enough.
    pub(super) fn add(&mut self, history: usize, now: Timestamp, edits: &[Edit]) {
        if !self.retired && self.pages[history].len() < LINKS {
            let link = self.scribes[history].link(now, edits);
            self.pages[history].extend(link.map(|link| link.raw));
        }
    }

    /// Tells a history to everybody, from a link on, where it is that long.
    pub(super) fn tell(&self, history: usize, from: usize) -> Said {
        self.page(history, from).map_or(Vec::new(), |page| self.to_all(&page))
    }

    fn page(&self, history: usize, from: usize) -> Option<Vec<u8>> {
        let (links, scribe) = (&self.pages[history], &self.scribes[history]);
        let last = links.get(from - 1..)?.last()?;
        let head = testing::head(&self.key, self.mesh, scribe.doc(), links.len() as u64, last);
        Some(testing::links_frame(head, from as u64, links[from - 1..].to_vec()))
    }

    /// An edit that belongs in the document, and differs from one history to the other.
    fn edit(&mut self, history: usize, now: Timestamp) -> Edit {
        let n = self.deeds * 2 + history as u64;
        match self.scribes[0].doc().kind {
            DocKind::Authority => Edit::PutControl(Control {
                rollout: RolloutId::from_bytes([9; 32]),
                action: ControlAction::Halt,
                count: u32::try_from(n).unwrap_or(u32::MAX),
                reason: "so that it differs".into(),
                at: now,
            }),
            _ => Edit::PutArtifact { blake3: Blake3::of(&n.to_le_bytes()), size: n },
        }
    }

    fn fork(&mut self, now: Timestamp) -> Said {
        let common = self.pages[0].len() < 2;
        for history in 0..2 {
            let edit = self.edit(if common { 0 } else { history }, now);
            self.add(history, now, &[edit]);
        }
        if !self.deeds.is_multiple_of(3) {
            return Vec::new();
        }
        let pages = [self.page(0, 1), self.page(1, 1)];
        let sides = self.peers.keys().zip(pages.iter().cycle());
        sides.filter_map(|(peer, page)| Some((*peer, page.clone()?))).collect()
    }

    fn begin_again(&mut self, now: Timestamp) -> Said {
        if !self.retired {
            let scribe = &mut self.scribes[0];
            let first = scribe.begin(now, 200);
            let second = scribe.link(now, &[Edit::PutArtifact { blake3: Blake3::of(b"half"), size: self.deeds }]);
            self.pages[0] = first.into_iter().chain(second).map(|link| link.raw).collect();
        }
        self.tell(0, 1)
    }

    fn withhold(&mut self, now: Timestamp) -> Said {
        let edit = self.edit(0, now);
        self.add(0, now, &[edit]);
        self.tell(0, 3)
    }

    fn lie(&mut self) -> Said {
        let random = |n: u64| *Blake3::of(&n.to_le_bytes()).as_bytes();
        let n = self.dice.number(0, u64::MAX);
        let mut said = self.to_all(&testing::digest_frame(Scope::Mesh));
        let claim =
            |author: NodeId, seq| (testing::doc_id(author, DocKind::Gate, 0), seq, ChangeHash::from_bytes(random(n)));
        let victim = *self.dice.pick(&self.others);
        match self.deeds % 8 {
            // It says that it has more than there is, of one and of itself.
            2 => {
                let mut docs = vec![claim(victim, 1000), claim(self.key.node_id(), 9)];
                docs.sort_unstable();
                said.extend(self.to_all(&testing::vector_frame(Scope::Mesh, docs)));
            }
            // And items that there are not.
            5 => {
                let mut ids: Vec<ObjectId> = (0..50).map(|i| ObjectId::from_bytes(random(n ^ i))).collect();
                ids.sort_unstable();
                said.extend(self.to_all(&testing::set_frame(ids)));
            }
            // And the same document twice.
            7 => {
                said.extend(self.to_all(&testing::vector_frame(Scope::Mesh, vec![claim(victim, 9), claim(victim, 9)])))
            }
            _ => {}
        }
        said
    }

    fn flood(&mut self) -> Said {
        let mut said = Vec::new();
        for _ in 0..3 {
            let length = self.dice.below(600);
            let garbage: Vec<u8> = (0..length).map(|_| u8::try_from(self.dice.below(256)).unwrap_or(0)).collect();
            said.extend(self.to_all(&garbage));
        }
        // To each another statement, so that whoever keeps what comes first keeps another than its neighbours.
        if !self.retired && self.deeds.is_multiple_of(8) {
            let statement =
                |peer: &NodeId| Unknown([&self.deeds.to_le_bytes()[..], peer.as_bytes()].concat().repeat(50));
            let sign = |peer: &NodeId| Object::sign(&self.key, self.mesh, &statement(peer));
            said.extend(self.peers.keys().map(|peer| (*peer, testing::objects_frame(&[sign(peer)]))));
        }
        let victim = testing::doc_id(*self.dice.pick(&self.others), DocKind::Gate, 0);
        for _ in 0..20 {
            said.extend(self.to_all(&testing::want_frame(victim.clone(), 1)));
        }
        said
    }

    fn slander(&mut self, now: Timestamp) -> Said {
        // Evidence of a fork that was never signed by whom it is about.
        let victim = testing::doc_id(*self.dice.pick(&self.others), DocKind::Authority, 0);
        let side = |text: &str| vec![testing::Forge::new(&victim, None, 1, &[testing::Op::put("x", text)]).bytes()];
        let forged = testing::evidence(&self.key, self.mesh, &victim, 1, [side("one"), side("other")]);
        if self.deeds.is_multiple_of(5) {
            return self.to_all(&testing::evidence_frame(forged));
        }
        if !self.deeds.is_multiple_of(7) {
            return Vec::new();
        }
        if self.pages[0].is_empty() {
            self.scribes[0] = Scribe::new(self.key.clone(), self.mesh, DocKind::Gate, &CellPath::root());
        }
        let report = GateReport {
            rollout: self.rollout.unwrap_or(RolloutId::from_bytes([9; 32])),
            state: SlotState::Failed,
            reason: Some("it never ran here".into()),
            sha256: None,
            soaked: Duration::from_secs(self.deeds),
            at: now,
        };
        self.add(0, now, &[Edit::PutGate(report)]);
        self.tell(0, 1)
    }

    fn poison(&mut self, now: Timestamp) -> Said {
        if !self.deeds.is_multiple_of(7) {
            return Vec::new();
        }
        let then = now.plus(CENTURY);
        let edit = self.edit(0, then);
        self.add(0, then, &[edit]);
        self.tell(0, 1)
    }

    fn replay(&mut self) -> Said {
        if self.heard.is_empty() {
            return Vec::new();
        }
        let again: Vec<Vec<u8>> = (0..3).map(|_| self.dice.pick(&self.heard).clone()).collect();
        again.iter().flat_map(|frame| self.to_all(frame)).collect()
    }
}
