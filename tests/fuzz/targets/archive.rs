//! Archives of the audit trail that nobody vouches for.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;
use std::{env, fs};

use libfuzzer_sys::fuzz_target;
use sedge_fleet::{Archive, Edit, Fleet};
use sedge_statement::{
    CellPath, Certificate, Control, ControlAction, DocKind, Genesis, MeshId, Object, Role, RolloutId, SecretKey,
    Timestamp,
};

const NOW: Timestamp = Timestamp::from_millis(1 << 40);
/// What every archive of this version begins with.
const FRONT: &[u8] = b"sedge/archive\0\x01\0";

fuzz_target!(
    init: {
        if let Some(directory) = env::var_os("SEDGE_FUZZ_SEEDS") {
            let whole = &world().1;
            fs::write(Path::new(&directory).join("whole"), [&[0], &whole[..]].concat()).expect("seeds are writable");
            fs::write(Path::new(&directory).join("body"), [&[1], &whole[FRONT.len()..]].concat()).expect("writable");
        }
    },
    |bytes: &[u8]| {
        let Some((mode, rest)) = bytes.split_first() else { return };
        let archive = if *mode == 0 { rest.to_vec() } else { [FRONT, rest].concat() };
        let (mesh, honest) = world();
        if let Ok(mut opened) = Archive::open(&archive, Some(*mesh)) {
            // Nobody but the keys of this mesh can have said anything.
            assert!(opened.trail(NOW).len() <= Archive::open(honest, None).expect("it is whole").trail(NOW).len());
        }
        if let Ok(mut opened) = Archive::open(&archive, None) {
            opened.trail(NOW);
        }
    }
);

/// A mesh, and the archive of its root, which said two things.
fn world() -> &'static (MeshId, Vec<u8>) {
    static WORLD: OnceLock<(MeshId, Vec<u8>)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let key = SecretKey::from_bytes(&[1; 32]);
        let root = key.node_id();
        let genesis = Genesis {
            name: "acme".parse().expect("a mesh's name"),
            roots: [root].into(),
            threshold: 1,
            nonce: [0; 16],
            created_at: Timestamp::from_millis(0),
        };
        let (genesis, mesh) = genesis.sign(&key);
        let mut fleet = Fleet::open(&genesis.to_bytes(), mesh, root, []).expect("it is empty");
        let certificate = Certificate {
            subject: root,
            name: "root".parse().expect("a node's name"),
            roles: Role::ALL.into(),
            cell: CellPath::root(),
            labels: [].into(),
            architecture: "x86_64".parse().expect("an architecture"),
            class: "x86-server".parse().expect("a class"),
            issuer: root,
            serial: 1,
            revision: 1,
            not_before: Timestamp::from_millis(0),
            not_after: None,
        };
        fleet.publish(Object::sign(&key, mesh, &certificate), NOW).expect("a root's certificate is taken");
        for count in 1..3 {
            let rollout = RolloutId::from_bytes([1; 32]);
            let control = Control { rollout, action: ControlAction::Pause, count, reason: String::new(), at: NOW };
            fleet.write(&key, DocKind::Authority, NOW, &[Edit::PutControl(control)]).expect("it may");
        }
        (mesh, fleet.archive())
    })
}
