//! How many signed links one core takes in a second, with every check.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use sedge_fleet::{Effect, Event};
use sedge_statement::{DocKind, Role};
use support::{Node, START, certificate, id, slot};

/// Seconds that this thread has run, whatever else the machine does.
fn on_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

#[test]
#[ignore = "a measurement; run with --ignored --nocapture and an optimised sedge-fleet"]
fn links_taken_in_per_second() {
    let mut reader = Node::member(250);
    let mut frames = Vec::new();
    for n in 1..=40u8 {
        let mut author = Node::member(n);
        reader.publish(certificate(n, &[Role::Device]));
        let peer = reader.n;
        author.handle(Event::Connected { peer: id(peer) }, START);
        let path = reader.fleet.certificate_path(id(peer));
        author.handle(
            Event::Received { peer: id(peer), frame: sedge_fleet::testing::hello_frame(support::mesh(), &path) },
            START,
        );
        for i in 0..200u64 {
            let effects = author.write(DocKind::Node, START, &[slot(["a", "b", "c"][(i % 3) as usize], i)]);
            frames.extend(effects.into_iter().filter_map(|e| match e {
                Effect::Send { frame, .. } => Some((n, frame)),
                _ => None,
            }));
        }
    }
    reader.handle(Event::Connected { peer: id(1) }, START);
    let path = [certificate(1, &[Role::Device])];
    reader.handle(
        Event::Received { peer: id(1), frame: sedge_fleet::testing::hello_frame(support::mesh(), &path) },
        START,
    );
    let bytes: usize = frames.iter().map(|(_, f)| f.len()).sum();
    let count = frames.len();
    let start = on_cpu();
    for (_, frame) in frames {
        reader.handle(Event::Received { peer: id(1), frame }, START);
    }
    let seconds = on_cpu() - start;
    println!("{count} links of {} B in {seconds:.2} s: {:.0}/s", bytes / count, count as f64 / seconds);
    assert_eq!(reader.store.keys().filter(|k| k[0] == b'l').count(), count);
}
