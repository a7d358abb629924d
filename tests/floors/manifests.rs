//! Floors in the manifests: which crate of the workspace names which.

use std::collections::{BTreeMap, BTreeSet};

/// The crates of a workspace, each with the crates of the workspace it needs outside its tests.
pub(crate) type Manifests = BTreeMap<String, BTreeSet<String>>;

/// Reads what `cargo metadata --no-deps` prints.
pub(crate) fn read(metadata: &str) -> Manifests {
    let metadata: serde_json::Value = serde_json::from_str(metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let needs = package["dependencies"].as_array().unwrap().iter();
            let needs = needs.filter(|d| d["kind"] != "dev" && d["path"].is_string());
            let needs = needs.map(|d| d["name"].as_str().unwrap().to_owned()).collect();
            (package["name"].as_str().unwrap().to_owned(), needs)
        })
        .collect()
}

/// Everything in `manifests` that `floors` does not allow.
pub(crate) fn violations(manifests: &Manifests, floors: &[(&str, u8)], test_only: &[&str]) -> Vec<String> {
    let floors: BTreeMap<_, _> = floors.iter().copied().collect();
    let mut violations = Vec::new();
    for name in floors.keys().filter(|name| !manifests.contains_key(**name)) {
        violations.push(format!("{name} has a floor, but is no crate of the workspace"));
    }
    for (name, needs) in manifests {
        let Some(floor) = floors.get(name.as_str()) else {
            violations.push(format!("{name} has no floor: give it one in tests/floors.rs"));
            continue;
        };
        for need in needs {
            match floors.get(need.as_str()) {
                _ if test_only.contains(&need.as_str()) => {
                    violations.push(format!("{name} depends on {need}, which is for tests only"));
                }
                Some(below) if below < floor => {}
                Some(other) => violations.push(format!("{name} (floor {floor}) depends on {need} (floor {other})")),
                None => violations.push(format!("{name} depends on {need}, which has no floor")),
            }
        }
    }
    violations
}

const MADE_UP: [(&str, u8); 4] = [("stone", 0), ("beam", 1), ("rafter", 1), ("crane", 2)];

fn made_up(needs: &[(&str, &[&str])]) -> Manifests {
    needs.iter().map(|(name, needs)| ((*name).to_owned(), needs.iter().map(|n| (*n).to_owned()).collect())).collect()
}

#[test]
fn a_crate_that_stands_on_lower_ones_is_accepted() {
    let manifests = made_up(&[("stone", &[]), ("beam", &["stone"]), ("rafter", &["stone"]), ("crane", &["beam"])]);
    assert_eq!(violations(&manifests, &MADE_UP, &["crane"]), Vec::<String>::new());
}

#[test]
fn a_neighbour_a_higher_floor_a_test_only_crate_and_a_stranger_are_reported() {
    let manifests =
        made_up(&[("stone", &["beam"]), ("beam", &["rafter"]), ("crane", &[]), ("rafter", &["crane"]), ("shed", &[])]);
    assert_eq!(
        violations(&manifests, &MADE_UP, &["crane"]),
        [
            "beam (floor 1) depends on rafter (floor 1)",
            "rafter depends on crane, which is for tests only",
            "shed has no floor: give it one in tests/floors.rs",
            "stone (floor 0) depends on beam (floor 1)",
        ]
    );
}

#[test]
fn a_crate_that_is_gone_is_reported() {
    let manifests = made_up(&[("stone", &[]), ("beam", &[]), ("rafter", &[])]);
    assert_eq!(violations(&manifests, &MADE_UP, &[]), ["crane has a floor, but is no crate of the workspace"]);
}

#[test]
fn dependencies_of_tests_do_not_count_and_those_of_build_scripts_do() {
    let metadata = r#"{"packages": [{"name": "beam", "dependencies": [
        {"name": "crane", "kind": "dev", "path": "/crane"},
        {"name": "rafter", "kind": "build", "path": "/rafter"},
        {"name": "stone", "kind": null, "path": "/stone"},
        {"name": "serde", "kind": null}
    ]}]}"#;
    assert_eq!(read(metadata), made_up(&[("beam", &["rafter", "stone"])]));
}
