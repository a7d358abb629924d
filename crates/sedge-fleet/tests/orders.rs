//! Two nodes that heard a hostile author say different parts of its histories, in different orders and pages, while its certificates move it between cells,
//! end with the same.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use proptest::prelude::*;
use proptest::sample::Index;
use sedge_fleet::testing::{Op, doc_in, objects_frame};
use sedge_statement::DocKind;
use support::author::{Author, EVIL, agree, artifact, artifacts, evidence, handover, listener, number, say};
use support::{CELL, MEMBER, Net, Node, START, cell, certificate_in, id};

/// One epoch of a `node` document, of which two histories are signed where `fork` says.
#[derive(Debug, Clone)]
struct Epoch {
    number: u32,
    /// Whether it is of another cell than the listeners'.
    away: bool,
    complete_after: u64,
    fork: Option<usize>,
    /// Which link says again what the epoch follows.
    again: Option<usize>,
}

/// What is said at once.
#[derive(Debug, Clone)]
enum Said {
    /// Links of a history.
    Links(Index, bool, Index, Index),
    /// A certificate that moves the author there or back.
    Move(u32),
}

/// The other cell.
const AWAY: &str = "acme/away";

const LINKS: usize = 4;

fn epochs() -> impl Strategy<Value = Vec<Epoch>> {
    let place = || prop::option::weighted(0.3, 0..LINKS);
    let epoch = (0..9u32, prop::bool::weighted(0.25), 1..6u64, place(), place());
    let epoch = epoch.prop_map(|(number, away, complete_after, fork, again)| Epoch {
        number,
        away,
        complete_after,
        fork,
        again,
    });
    prop::collection::vec(epoch, 1..9)
}

fn said() -> impl Strategy<Value = Vec<Said>> {
    let links = any::<(Index, bool, Index, Index)>();
    let links = links.prop_map(|(epoch, other, first, len)| Said::Links(epoch, other, first, len));
    prop::collection::vec(prop_oneof![6 => links, 1 => (2..7u32).prop_map(Said::Move)], 0..24)
}

fn history(epoch: &Epoch, other: bool) -> Author {
    let mut author = Author::new(DocKind::Node, epoch.number);
    author.doc = doc_in(id(EVIL), DocKind::Node, &cell(if epoch.away { AWAY } else { CELL }), epoch.number);
    for at in 0..LINKS {
        let n = u64::from(epoch.number) * 100 + at as u64;
        let branch = if other && epoch.fork.is_some_and(|fork| at >= fork) { 50 } else { 0 };
        let ops: Vec<Op> = match at {
            0 => [handover(None, epoch.complete_after), artifacts(5, [n + branch])].concat(),
            _ if epoch.again == Some(at) => vec![Op { replaces: vec![4], ..number("complete_after", 6) }],
            _ => vec![artifact(5, n + branch)],
        };
        author.link(&ops);
    }
    author
}

fn frames(epochs: &[Epoch], said: &[Said]) -> Vec<Vec<u8>> {
    let page = |said: &Said| match said {
        Said::Links(epoch, other, first, len) => {
            let author = history(epoch.get(epochs), *other);
            let first = first.index(LINKS) + 1;
            author.page(first, first + len.index(LINKS - first + 1))
        }
        Said::Move(revision) => {
            let to = if revision.is_multiple_of(2) { AWAY } else { CELL };
            objects_frame(&[certificate_in(to, EVIL, MEMBER, 100 + u64::from(*revision), *revision)])
        }
    };
    said.iter().map(page).collect()
}

/// As [`agree`], but for the restart, which ends what is wanted.
fn meet_and_agree(one: Node, other: Node) -> Net {
    let mut net = Net::new([one, other]);
    net.connect(1, 2);
    net.run(30);
    net.assert_agreed();
    net
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_does_not_hang_on_order_or_paging(
        mut epochs in epochs(),
        one in said(),
        other in said(),
        wants in any::<bool>(),
    ) {
        epochs.sort_by_key(|epoch| (epoch.number, epoch.away));
        epochs.dedup_by_key(|epoch| (epoch.number, epoch.away));
        let [mut first, mut second] = [1, 2].map(listener);
        if wants {
            // Both hold the other cell too.
            for node in [&mut first, &mut second] {
                node.fleet.want([cell(AWAY)], START);
            }
        }
        say(&mut first, frames(&epochs, &one));
        say(&mut second, frames(&epochs, &other));
        let mut net = if wants { meet_and_agree(first, second) } else { agree(first, second) };
        // Past a divergence they may hold other links, which only prove those before it and count for nothing.
        prop_assert_eq!(evidence(net.node(1)), evidence(net.node(2)));
    }
}
