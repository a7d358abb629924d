//! Statements that documents carry: any bytes as each of them, and one encoding for what is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sedge_statement::codec::{self, CodecError};
use sedge_statement::{Approval, Control, Deployment, MeshId, Profile, Release, SignedHead};
use serde::{Serialize, de::DeserializeOwned};

/// The largest of the statements that set no limit of their own, bytes.
const LIMIT: usize = 64 << 10;

fn reads<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let value: T = codec::decode(bytes, LIMIT)?;
    assert_eq!(codec::encode(&value), bytes, "accepted bytes are not canonical");
    serde_json::to_string(&value).expect("what is accepted can be shown");
    Ok(value)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 6 {
        0 => {
            if let Ok(release) = Release::from_bytes(bytes) {
                assert_eq!(release.to_bytes(), bytes);
                assert!(release.manifest.check().is_ok());
                for variant in &release.manifest.variants {
                    let _ = (variant.entry(), variant.size());
                }
                let _ = release.id();
            }
        }
        1 => {
            if let Ok(deployment) = Deployment::from_bytes(bytes) {
                assert_eq!(deployment.to_bytes(), bytes);
                let _ = (deployment.id(), deployment.selector.widest_cell(), deployment.selector.to_string());
            }
        }
        2 => {
            if let Ok(control) = Control::from_bytes(bytes) {
                assert_eq!(control.to_bytes(), bytes);
            }
        }
        3 => {
            if let Ok(head) = reads::<SignedHead>(bytes) {
                let _ = head.verify(MeshId::from_bytes([0; 32]));
            }
        }
        4 => drop(reads::<Profile>(bytes)),
        _ => {
            if let Ok(approval) = Approval::from_bytes(bytes) {
                assert_eq!(approval.to_bytes(), bytes);
            }
        }
    }
});
