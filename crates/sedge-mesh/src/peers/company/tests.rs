//! What is made of what members say.

use sedge_statement::CellPath;

use super::*;

const PULSE: Duration = Duration::from_secs(10);

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn wall() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

/// Nodes 0 to 9; node 0 is this one.
fn roster() -> Roster {
    (0..10).map(|n| (node(n), CellPath::root())).collect()
}

fn saying(linked: &[u8], heard: &[(u8, u64)]) -> Presence {
    Presence {
        counter: 1,
        uptime: 5,
        gauges: Gauges::default(),
        verified: wall(),
        holds: Vec::new(),
        linked: linked.iter().map(|n| Brief::node(node(*n))).collect(),
        heard: heard
            .iter()
            .map(|(n, seconds)| (Brief::node(node(*n)), Age::of(Duration::from_secs(*seconds))))
            .collect(),
    }
}

fn named(of: &[(Brief, Age)]) -> BTreeSet<NodeId> {
    of.iter().filter_map(|(brief, _)| roster().find(*brief)).collect()
}

#[test]
fn a_member_is_as_fresh_as_the_best_that_was_said_of_it_and_grows_old_alone() {
    let now = Instant::now() + Duration::from_secs(3600);
    let mut company = Company::new(PULSE, now);
    company.heard(node(1), saying(&[2], &[(3, 30), (4, 300)]), (&roster(), node(0)), now, wall());
    company.heard(node(5), saying(&[], &[(3, 100)]), (&roster(), node(0)), now, wall());
    for (n, about) in [(1, true), (2, true), (3, true), (4, false), (5, true), (6, false)] {
        assert_eq!(company.is_about(&node(n), now), about, "{n}");
    }
    let silent = company.silent_for(&node(3), now).expect("it was heard of");
    assert!(silent >= Duration::from_secs(30) && silent < Duration::from_secs(31), "{silent:?}");
    assert!(!company.is_about(&node(3), now + PULSE * FRESH));
    assert_eq!(company.presented(&node(1)).map(|said| said.uptime), Some(Duration::from_secs(5)));
    assert_eq!(company.presented(&node(2)), None);
}

#[test]
fn whoever_is_no_member_and_this_node_itself_are_passed_over() {
    let now = Instant::now() + Duration::from_secs(3600);
    let mut company = Company::new(PULSE, now);
    company.heard(node(1), saying(&[0, 77], &[(0, 1), (88, 1), (1, 400)]), (&roster(), node(0)), now, wall());
    company.heard(node(99), saying(&[2], &[]), (&roster(), node(0)), now, wall());
    assert_eq!(company.signs.keys().copied().collect::<Vec<_>>(), [node(1)]);
    company.keep(&Roster::default());
    assert!(company.signs.is_empty());
}

#[test]
fn what_came_from_a_neighbour_is_not_told_back_to_it_and_what_is_old_to_nobody() {
    let now = Instant::now() + Duration::from_secs(3600);
    let mut company = Company::new(PULSE, now);
    company.heard(node(1), saying(&[], &[(3, 10), (4, 3600)]), (&roster(), node(0)), now, wall());
    company.heard(node(2), saying(&[], &[(5, 10)]), (&roster(), node(0)), now, wall());
    let linked = BTreeSet::from([node(1), node(2)]);
    let to_one = company.message(node(1), &linked, now);
    assert_eq!(named(&to_one.heard), BTreeSet::from([node(5)]));
    assert_eq!(to_one.linked, [Brief::node(node(2))]);
    let to_two = company.message(node(2), &linked, now);
    assert_eq!(named(&to_two.heard), BTreeSet::from([node(3)]));
    assert!(to_two.counter > to_one.counter);
}

#[test]
fn of_a_large_fleet_each_message_tells_of_others_within_its_limits() {
    let now = Instant::now() + Duration::from_secs(3600);
    let mut company = Company::new(PULSE, now);
    let many = |n: u16| {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        NodeId::from_bytes(bytes)
    };
    (0..500).for_each(|n| company.is_alive(many(n), now));
    let linked: BTreeSet<NodeId> = (0..30).map(many).collect();
    let mut told = BTreeSet::new();
    for _ in 0..60 {
        let message = company.message(node(9), &linked, now);
        assert!(message.linked.len() <= MAX_LINKED && message.heard.len() <= MAX_HEARD);
        assert!(Presence::decode(&message.encode(1024).expect("it fits")).is_ok());
        told.extend(message.heard.iter().map(|(brief, _)| *brief));
    }
    assert!(told.len() > 450, "{}", told.len());
}

#[test]
fn two_share_a_neighbour_only_where_both_and_it_say_so_and_lately() {
    let now = Instant::now() + Duration::from_secs(3600);
    let mut company = Company::new(PULSE, now);
    let linked = BTreeSet::from([node(1), node(2)]);
    company.heard(node(1), saying(&[2], &[]), (&roster(), node(0)), now, wall());
    assert!(!company.share_a_neighbour(&node(1), &linked, now), "the other one did not say so");
    company.heard(node(2), saying(&[1], &[]), (&roster(), node(0)), now, wall());
    assert!(company.share_a_neighbour(&node(1), &linked, now));
    assert!(!company.share_a_neighbour(&node(1), &BTreeSet::from([node(1)]), now), "that one is no neighbour here");
    assert!(!company.share_a_neighbour(&node(1), &linked, now + PULSE * 3), "that was long ago");
}

#[test]
fn agreement_is_of_what_is_held_now_and_kept_with_its_date() {
    let now = Instant::now() + Duration::from_secs(3600);
    let mut company = Company::new(PULSE, now);
    let holding = |digest| Standing { digests: BTreeMap::from([(Scope::Mesh, digest)]), ..Standing::default() };
    let said =
        |digest| Presence { holds: vec![(Brief::scope(&Scope::Mesh), Brief::digest(&digest))], ..saying(&[], &[]) };
    company.set_standing(holding([1; 32]));
    company.heard(node(1), said([2; 32]), (&roster(), node(0)), now, wall());
    assert!(company.agreed().is_empty());
    company.heard(node(1), said([1; 32]), (&roster(), node(0)), now, wall());
    let agreed = Agreed { digest: [1; 32], at: wall(), with: node(1) };
    assert_eq!(company.agreed().get(&Scope::Mesh), Some(&agreed));
    company.set_standing(holding([3; 32]));
    company.heard(node(1), said([1; 32]), (&roster(), node(0)), now, wall().plus(PULSE));
    assert_eq!(company.agreed().get(&Scope::Mesh), Some(&agreed), "it holds more now");
    company.set_standing(Standing::default());
    assert!(company.agreed().is_empty(), "a scope that is not held");
}
