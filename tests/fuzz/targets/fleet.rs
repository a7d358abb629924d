//! A fleet that a hostile member talks to: any frames, and changes of any content under a signature that holds.
#![no_main]

#[path = "fleet/world.rs"]
mod world;

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::OnceLock;
use std::{env, fs};

use libfuzzer_sys::fuzz_target;
use sedge_fleet::{Effect, Event, Fleet, MAX_FRAME_BYTES};
use sedge_statement::DocKind;
use world::{NOW, World, chunk, content, store};

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

fuzz_target!(
    init: {
        // A fleet catches what Automerge panics with, so only a panic that nobody caught is a finding. It is told then.
        panic::set_hook(Box::new(|info| LAST_PANIC.with_borrow_mut(|last| *last = info.to_string())));
        if let Some(directory) = env::var_os("SEDGE_FUZZ_SEEDS") {
            write_seeds(world(), Path::new(&directory));
        }
    },
    |bytes: &[u8]| {
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| run(bytes))) {
            LAST_PANIC.with_borrow(|last| eprintln!("{last}"));
            panic::resume_unwind(panic);
        }
    }
);

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

/// Bits of the first byte of an input.
const IS_LINK: u8 = 1;
const AFTER_FIRST: u8 = 2;
const OF_AUTHORITY: u8 = 4;
const OF_LATER_EPOCH: u8 = 8;

fn run(bytes: &[u8]) {
    let Some((mode, rest)) = bytes.split_first() else { return };
    let world = world();
    let hello = world.frames[0].clone();
    let mut frames = vec![hello];
    if mode & IS_LINK == 0 {
        frames.extend(split(rest));
    } else {
        let kind = if mode & OF_AUTHORITY == 0 { DocKind::Node } else { DocKind::Authority };
        let epoch = u32::from(mode & OF_LATER_EPOCH != 0);
        let mut first_seq = 1;
        if mode & AFTER_FIRST != 0 {
            let before = if epoch == 0 { &world.links } else { &world.later };
            frames.push(world.links_frame(DocKind::Node, epoch, 1, vec![before[0].clone()]));
            first_seq = 2;
        }
        frames.push(world.links_frame(kind, epoch, first_seq, vec![chunk(rest)]));
    }

    let mut records = world.records.clone();
    let mut fleet = world.open(records.clone());
    let peer = world.evil();
    let mut effects = fleet.handle(Event::Connected { peer }, NOW);
    for frame in frames {
        effects.extend(fleet.handle(Event::Received { peer, frame }, NOW));
    }
    effects.extend(fleet.handle(Event::Tick, NOW));
    store(&effects, &mut records);
    check(&mut fleet, world.open(records), &effects);
}

/// What holds whatever a peer sent.
fn check(fleet: &mut Fleet, mut restored: Fleet, effects: &[Effect]) {
    let view = fleet.view(NOW);
    assert_eq!(view.members.len(), 2, "a peer made or unmade a member");
    assert_eq!(view.digest(), restored.view(NOW).digest(), "what is stored is not what is known");
    for effect in effects {
        if let Effect::Send { frame, .. } = effect {
            assert!(frame.len() <= MAX_FRAME_BYTES);
        }
    }
}

/// Frames behind lengths of two bytes, little-endian.
fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        frames.push(rest[..length].to_vec());
        bytes = &rest[length..];
    }
    frames
}

fn write_seeds(world: &World, directory: &Path) {
    let mut conversation = vec![0];
    for (at, frame) in world.frames.iter().enumerate() {
        let length = u16::try_from(frame.len()).expect("an honest frame is short");
        let one = [&length.to_le_bytes()[..], frame].concat();
        conversation.extend(&one);
        write(directory, &format!("frame-{at}"), &[&[0], &one[..]].concat());
    }
    write(directory, "conversation", &conversation);
    write(directory, "first-link", &[&[IS_LINK], content(&world.links[0])].concat());
    write(directory, "second-link", &[&[IS_LINK | AFTER_FIRST], content(&world.links[1])].concat());
    write(directory, "later-epoch", &[&[IS_LINK | OF_LATER_EPOCH], content(&world.later[0])].concat());
    let mode = IS_LINK | AFTER_FIRST | OF_LATER_EPOCH;
    write(directory, "later-second-link", &[&[mode], content(&world.later[1])].concat());
}

fn write(directory: &Path, name: &str, bytes: &[u8]) {
    fs::write(directory.join(name), bytes).expect("the directory of seeds is writable");
}
