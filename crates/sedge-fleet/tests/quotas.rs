//! What one author may have, in links and in what they come to: the same on every node, whatever came first.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use sedge_fleet::testing::{Forge, Key, Op};
use sedge_fleet::{FindingKind, testing};
use sedge_statement::DocKind;
use support::author::{Author, EVIL, say, links_of, listener};
use support::id;

/// Maps at the root, and a link that sets one key in each of them: on the wire it stands there once.
fn one_key_in_many_maps(maps: u64, key: &str) -> Author {
    let mut author = Author::new(DocKind::Node, 0);
    let make: Vec<Op> = (0..maps).map(|n| Op::make(&format!("m{n}"), 0)).collect();
    let set: Vec<Op> = (1..=maps).map(|object| Op { object, key: Key::Name(key.into()), ..Op::put("", "") }).collect();
    author.link(&make).link(&set);
    author
}

#[test]
fn change_bombs_a_long_key_in_a_run_over_five_hundred_maps_is_refused() {
    let author = one_key_in_many_maps(512, &"k".repeat(60 << 10));
    assert!(author.links[1].len() < sedge_fleet::MAX_LINK_BYTES);
    let mut node = listener(1);
    say(&mut node, author.pages(1));
    assert_eq!(links_of(&node), 1, "the second link is refused");
    let found = node.view().findings.clone();
    assert!(found.iter().any(|f| f.kind == FindingKind::BadChange && f.about == id(EVIL)), "{found:?}");
}

#[test]
fn a_key_as_long_as_any_honest_one_is_taken() {
    let mut node = listener(1);
    say(&mut node, one_key_in_many_maps(3, &"k".repeat(256)).pages(1));
    assert_eq!(links_of(&node), 2, "{:?}", node.view().findings);
    say(&mut node, one_key_in_many_maps(3, &"k".repeat(257)).pages(1));
    assert_eq!(links_of(&node), 2);
}

#[test]
fn a_sequence_number_at_the_end_of_its_range_is_refused_before_any_signature() {
    for (seq, first_seq) in [(u64::MAX, u64::MAX), (u64::MAX, u64::MAX - 1), (0, 0), (1, 0), (0, u64::MAX), (1, u64::MAX)] {
        let mut node = listener(1);
        let author = Author::new(DocKind::Node, 0);
        let forge = Forge { seq, ..Forge::new(&author.doc, None, 1, &[Op::put("x", "1")]) };
        for dependencies in [vec![], vec![testing::hash(&forge.bytes())]] {
            let raw = Forge { dependencies, ..forge.clone() }.bytes();
            let head = testing::head(&support::key(EVIL), support::mesh(), &author.doc, seq, &raw);
            for links in [vec![raw.clone()], vec![raw.clone(), raw.clone()]] {
                say(&mut node, [testing::links_frame(head.clone(), first_seq, links)]);
            }
        }
        assert_eq!(links_of(&node), 0);
        let found = node.view().findings.clone();
        assert!(found.iter().all(|finding| finding.about == id(EVIL)), "the sender could have told: {found:?}");
        assert_eq!(found.len(), 1);
    }
}
