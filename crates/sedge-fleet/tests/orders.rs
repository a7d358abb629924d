//! Two nodes that heard a hostile author say different parts of its histories, in different orders and pages, end with the same.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use proptest::prelude::*;
use proptest::sample::Index;
use sedge_fleet::testing::Op;
use sedge_statement::DocKind;
use support::author::{Author, agree, artifact, artifacts, evidence, handover, listener, number, say};

/// One epoch of a `node` document, of which two histories are signed where `fork` says.
#[derive(Debug, Clone)]
struct Epoch {
    number: u32,
    complete_after: u64,
    fork: Option<usize>,
    /// Which link says again what the epoch follows.
    again: Option<usize>,
}

/// Which links of which history are said at once.
type Said = (Index, bool, Index, Index);

const LINKS: usize = 4;

fn epochs() -> impl Strategy<Value = Vec<Epoch>> {
    let place = || prop::option::weighted(0.3, 0..LINKS);
    let epoch = (0..9u32, 1..6u64, place(), place());
    let epoch = epoch.prop_map(|(number, complete_after, fork, again)| Epoch { number, complete_after, fork, again });
    prop::collection::vec(epoch, 1..9)
}

fn said() -> impl Strategy<Value = Vec<Said>> {
    prop::collection::vec(any::<Said>(), 0..24)
}

fn history(epoch: &Epoch, other: bool) -> Author {
    let mut author = Author::new(DocKind::Node, epoch.number);
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
    let page = |(epoch, other, first, len): &Said| {
        let author = history(epoch.get(epochs), *other);
        let first = first.index(LINKS) + 1;
        author.page(first, first + len.index(LINKS - first + 1))
    };
    said.iter().map(page).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_does_not_hang_on_order_or_paging(mut epochs in epochs(), one in said(), other in said()) {
        epochs.sort_by_key(|epoch| epoch.number);
        epochs.dedup_by_key(|epoch| epoch.number);
        let [mut first, mut second] = [1, 2].map(listener);
        say(&mut first, frames(&epochs, &one));
        say(&mut second, frames(&epochs, &other));
        let mut net = agree(first, second);
        // Past a divergence they may hold other links, which only prove those before it and count for nothing.
        prop_assert_eq!(evidence(net.node(1)), evidence(net.node(2)));
    }
}
