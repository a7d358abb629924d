//! What people type and paste: whatever text parses is shown in a form that parses to the same thing.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use sedge_statement::{
    CellPath, CellPattern, DeploymentDraft, EnrolApproval, EnrolRequest, FileName, LabelValue, Manifest, ModelId,
    ModelRef, NodeId, Selector, SlotName, Ticket, Version, WaveSize,
};

fn round_trip<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let shown = value.to_string();
    match shown.parse::<T>() {
        Ok(again) => assert_eq!(again, value, "{shown:?} is another than {text:?}"),
        Err(_) => panic!("{text:?} is shown as {shown:?}, which does not parse"),
    }
}

fuzz_target!(|text: &str| {
    round_trip::<CellPath>(text);
    round_trip::<CellPattern>(text);
    round_trip::<FileName>(text);
    round_trip::<LabelValue>(text);
    round_trip::<ModelId>(text);
    round_trip::<ModelRef>(text);
    round_trip::<NodeId>(text);
    round_trip::<Selector>(text);
    round_trip::<SlotName>(text);
    round_trip::<Ticket>(text);
    round_trip::<EnrolRequest>(text);
    round_trip::<EnrolApproval>(text);
    round_trip::<sedge_statement::RelayAddress>(text);
    round_trip::<Version>(text);
    let _ = text.parse::<WaveSize>();
    if let Ok(manifest) = serde_json::from_str::<Manifest>(text) {
        let _ = manifest.check();
    }
    let _ = serde_json::from_str::<DeploymentDraft>(text);
    if let Ok(name) = text.parse::<FileName>() {
        let path = std::path::Path::new(name.as_str());
        assert_eq!(path.components().count(), 1, "a file name of several components");
        assert_eq!(path.file_name().and_then(|n| n.to_str()), Some(name.as_str()));
    }
});
