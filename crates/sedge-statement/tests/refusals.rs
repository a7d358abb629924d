//! What must not pass: edited, foreign and non-canonical statements, and names that are paths.

#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use sedge_statement::codec::CodecError;
use sedge_statement::*;

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32])
}

fn genesis(threshold: u8, roots: &[u8]) -> Genesis {
    Genesis {
        name: "m".parse().unwrap(),
        roots: roots.iter().map(|n| key(*n).node_id()).collect::<BTreeSet<_>>(),
        threshold,
        nonce: [0; 16],
        created_at: Timestamp::from_millis(1),
    }
}

#[test]
fn an_object_with_any_bit_flipped_is_refused() {
    let (object, mesh) = genesis(1, &[1]).sign(&key(1));
    let bytes = object.to_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            assert!(Genesis::open(&bad, mesh).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a_request_to_be_enrolled_in_the_name_of_another_key_is_refused() {
    let request =
        EnrolRequest::sign(&key(6), "robot-6".parse().unwrap(), "aarch64".parse().unwrap(), "box".parse().unwrap());
    let mut renamed = request.clone();
    renamed.name = "laptop".parse().unwrap();
    assert_eq!(renamed.to_string().parse::<EnrolRequest>(), Err(EnrolmentError::Forged));
    let mut of_another = request.clone();
    of_another.node = key(7).node_id();
    assert_eq!(of_another.to_string().parse::<EnrolRequest>(), Err(EnrolmentError::Forged));
    let text = request.to_string();
    for at in 0..text.len() {
        let mut bad = text.clone().into_bytes();
        bad[at] = if bad[at] == b'a' { b'b' } else { b'a' };
        assert!(String::from_utf8(bad).unwrap().parse::<EnrolRequest>().is_err(), "character {at}");
    }
    assert_eq!("sedge".parse::<EnrolRequest>(), Err(EnrolmentError::NotThis));
    assert_eq!(text.parse::<EnrolApproval>(), Err(EnrolmentError::NotThis));
}

#[test]
fn an_object_of_another_mesh_is_refused() {
    let (object, mesh) = genesis(1, &[1]).sign(&key(1));
    let other = MeshId::from_bytes([1; 32]);
    assert!(matches!(Genesis::open(&object.to_bytes(), other), Err(GenesisError::OtherMesh(m)) if m == mesh));
    assert!(matches!(Object::open(&object.to_bytes(), other), Err(ObjectError::OtherMesh(_))));
}

#[test]
fn a_genesis_by_a_stranger_or_without_a_majority_is_refused() {
    let (object, mesh) = genesis(1, &[2]).sign(&key(1));
    assert_eq!(Genesis::open(&object.to_bytes(), mesh), Err(GenesisError::NotARoot));
    let (object, mesh) = genesis(1, &[1, 2]).sign(&key(1));
    assert_eq!(Genesis::open(&object.to_bytes(), mesh), Err(GenesisError::BadThreshold));
    let (object, mesh) = genesis(3, &[1, 2]).sign(&key(1));
    assert_eq!(Genesis::open(&object.to_bytes(), mesh), Err(GenesisError::BadThreshold));
}

#[test]
fn trailing_bytes_and_padded_varints_are_refused() {
    let good = codec::encode(&5u64);
    assert_eq!(codec::decode::<u64>(&good, 16), Ok(5));
    assert_eq!(codec::decode::<u64>(&[5, 0], 16), Err(CodecError::NotCanonical));
    assert_eq!(codec::decode::<u64>(&[0x85, 0x00], 16), Err(CodecError::NotCanonical));
    assert_eq!(codec::decode::<u64>(&[0x85], 16), Err(CodecError::Malformed));
    assert_eq!(codec::decode::<u64>(&good, 0), Err(CodecError::TooLong { len: 1, limit: 0 }));
}

#[test]
fn path_traversal_by_model_id_file_name_or_cell_is_refused() {
    for text in ["", ".", "..", "../x", "a/b", "/etc/passwd", "a\\b", "A", "a b", "a\0b", "é", "-a", ".a", "a..b"] {
        assert!(text.parse::<ModelId>().is_err(), "{text:?}");
    }
    for text in ["", ".", "..", "../x", "a/b", "/x", "a\\b", "a\nb", ".hidden", "a..b", &"a".repeat(128)] {
        assert!(text.parse::<FileName>().is_err(), "{text:?}");
    }
    for text in ["a//b", "/a", "a/", "a/../b", "A", &["a"; 9].join("/")] {
        assert!(text.parse::<CellPath>().is_err(), "{text:?}");
    }
}

#[test]
fn a_selector_that_says_nothing_means_nobody() {
    assert_eq!("".parse::<Selector>(), Err(SelectorError::Empty));
    assert_eq!(" , ".parse::<Selector>(), Err(SelectorError::Empty));
    assert!(matches!("everything".parse::<Selector>(), Err(SelectorError::NoValue(_))));
    assert!(matches!("name=a".parse::<Selector>(), Err(SelectorError::UnknownKey(_))));
    assert!(serde_json::from_str::<Selector>("[]").is_err());
}

#[test]
fn a_ticket_with_a_changed_character_is_damaged_not_redeemed() {
    let ticket = Ticket {
        mesh: MeshId::from_bytes([8; 32]),
        mesh_name: "acme".parse().unwrap(),
        issuer: key(1).node_id(),
        addresses: vec![],
        secret: TicketSecret::from_bytes([4; 16]),
        expires: Timestamp::from_millis(1),
        relays: Vec::new(),
    };
    let text = ticket.to_string();
    for at in 5..text.len() {
        let mut bad = text.clone().into_bytes();
        bad[at] = if bad[at] == b'a' { b'b' } else { b'a' };
        assert!(String::from_utf8(bad).unwrap().parse::<Ticket>().is_err(), "character {at}");
    }
    assert_eq!("hello".parse::<Ticket>(), Err(TicketError::NotATicket));
}

#[test]
fn a_tensor_whose_data_does_not_fit_its_shape_is_refused_by_name() {
    let json = |text: &str| Tensor::from_json(&serde_json::from_str(text).unwrap());
    let wrong = json(r#"{"name":"x","shape":[2],"datatype":"FP32","data":[1]}"#);
    assert_eq!(wrong, Err(TensorError::Count { name: "x".into(), found: 1, wanted: 2 }));
    let huge = json(r#"{"name":"x","shape":[4294967296,4294967296],"datatype":"FP32","data":[]}"#);
    assert_eq!(huge, Err(TensorError::TooLarge { name: "x".into() }));
    let wide = json(r#"{"name":"x","shape":[1],"datatype":"UINT8","data":[256]}"#);
    assert!(matches!(wide, Err(TensorError::Element { at: 0, .. })));
    let nested = json(r#"{"name":"x","shape":[2,2],"datatype":"INT64","data":[[1,2],[3,4]]}"#).unwrap();
    assert_eq!(nested.to_f64().collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn a_probe_with_a_nan_in_the_answer_never_passes() {
    let tensor = |x: f32| Tensor::from_f32("y", vec![1], &[x]).unwrap();
    let probe = Probe::of_tensors("p", vec![], vec![tensor(1.0)]);
    assert_eq!(probe.judge(&[tensor(1.001)]), Ok(()));
    assert!(matches!(probe.judge(&[tensor(1.1)]), Err(Mismatch::Value { .. })));
    assert!(matches!(probe.judge(&[tensor(f32::NAN)]), Err(Mismatch::NotFinite { .. })));
    assert_eq!(probe.judge(&[]), Err(Mismatch::Missing("y".into())));
    let probe = Probe::of_tensors("p", vec![], vec![]);
    assert!(matches!(probe.judge(&[tensor(f32::INFINITY)]), Err(Mismatch::NotFinite { .. })));
}

#[test]
fn a_text_probe_is_read_as_written_and_names_what_came() {
    let file = r#"[{"name":"once","prompt":"Once upon","max_tokens":8,"text_prefix":" a time"}]"#;
    let probes = Probe::read_all(file.as_bytes()).unwrap();
    assert_eq!(Probe::read_all(&Probe::write_all(&probes)).unwrap(), probes);
    let Asked::Text(trial) = &probes[0].asked else { panic!("not a trial by text") };
    assert_eq!(trial.judge(" a time there was"), Ok(()));
    let error = trial.judge(" the sea").unwrap_err();
    assert_eq!(error.to_string(), r#"the text begins " the sea", expected " a time""#);
    assert_eq!(trial.judge(""), Err(Mismatch::NoText));
    assert_eq!(probes[0].judge(&[]), Err(Mismatch::OtherKind("text")));
    let any = TextTrial { text_prefix: String::new(), ..trial.clone() };
    assert_eq!((any.judge("x"), any.judge("")), (Ok(()), Err(Mismatch::NoText)));
    let long = trial.judge(&"ö".repeat(500)).unwrap_err().to_string();
    assert!(long.len() < 300, "{long}");
}

#[test]
fn a_text_probe_out_of_bounds_is_refused() {
    let read = |prompt: &str, tokens: u64| {
        let json = serde_json::json!({"prompt": prompt, "max_tokens": tokens, "text_prefix": ""});
        Probe::read_all(json.to_string().as_bytes())
    };
    assert!(read("x", 1).is_ok());
    for (prompt, tokens, field) in [("", 1, "prompt"), ("x", 0, "max_tokens"), ("x", 1 << 40, "max_tokens")] {
        assert_eq!(read(prompt, tokens), Err(ProbeError::Bounds { at: 0, field }));
    }
    let long = "x".repeat(TextTrial::MAX_BYTES + 1);
    assert_eq!(read(&long, 1), Err(ProbeError::Bounds { at: 0, field: "prompt" }));
    let untold = Probe::read_all(br#"{"prompt":"x","max_tokens":1}"#);
    assert_eq!(untold, Err(ProbeError::Field { at: 0, field: "text_prefix" }));
}

#[test]
fn a_text_request_out_of_bounds_is_refused() {
    let good = TextRequest::continue_text("x", 4);
    assert_eq!(good.check(), Ok(()));
    let with = |change: fn(&mut TextRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request.check().unwrap_err()
    };
    assert_eq!(with(|r| r.prompt = Prompt::Messages(vec![])), TextRequestError::Empty);
    let many = |r: &mut TextRequest| {
        let said = Message { role: Speaker::User, content: "x".to_owned() };
        r.prompt = Prompt::Messages(vec![said; TextRequest::MAX_MESSAGES + 1]);
    };
    assert_eq!(with(many), TextRequestError::TooMany(TextRequest::MAX_MESSAGES + 1));
    assert_eq!(with(|r| r.max_tokens = 0), TextRequestError::NoTokens);
    assert_eq!(with(|r| r.sampling.temperature = f64::NAN), TextRequestError::Temperature);
    assert_eq!(with(|r| r.sampling.temperature = -0.5), TextRequestError::Temperature);
    assert_eq!(with(|r| r.sampling.top_p = 0.0), TextRequestError::TopP);
    assert_eq!(with(|r| r.sampling.repeat_penalty = f32::INFINITY), TextRequestError::RepeatPenalty);
    assert_eq!(with(|r| r.stop = vec![String::new()]), TextRequestError::Stop);
    assert_eq!(with(|r| r.stop = vec!["x".into(); 9]), TextRequestError::Stop);
}

proptest! {
    #[test]
    fn random_bytes_never_panic_any_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mesh = MeshId::from_bytes([0; 32]);
        let _ = Object::open(&bytes, mesh);
        let _ = Genesis::open(&bytes, mesh);
        let _ = Release::from_bytes(&bytes);
        let _ = Deployment::from_bytes(&bytes);
        let _ = Probe::read_all(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<Ticket>();
    }

    #[test]
    fn whatever_parses_as_a_selector_prints_and_parses_back(
        cell in "[a-z]{1,5}(/[a-z0-9]{1,5}){0,3}(/\\*\\*)?", label in "[a-z]{1,6}", value in "[a-z0-9]{1,6}"
    ) {
        let text = format!("cell={cell},label.{label}={value}");
        let selector: Selector = text.parse().unwrap();
        prop_assert_eq!(selector.to_string(), text);
    }
}

#[test]
fn nodes_named_for_a_wave_are_some_not_too_many_and_each_once() {
    let named = |seeds: std::ops::Range<u8>| {
        let nodes: BTreeSet<NodeId> = seeds.map(|n| NodeId::from_bytes([n; 32])).collect();
        Canaries::try_from(nodes)
    };
    assert_eq!(named(0..0), Err(CanariesError::Nobody));
    assert_eq!(named(0..65), Err(CanariesError::TooMany(65)));
    let good = codec::encode(&WaveSize::Named(named(0..2).unwrap()));
    assert!(codec::decode::<WaveSize>(&good, 1024).is_ok());
    let twice = [&good[..2], &[0; 32], &[0; 32]].concat();
    assert_eq!(codec::decode::<WaveSize>(&twice, 1024), Err(CodecError::NotCanonical));
    let nobody = [&good[..1], &[0][..]].concat();
    assert_eq!(codec::decode::<WaveSize>(&nobody, 1024), Err(CodecError::Malformed));
    let endless = [&good[..1], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    assert_eq!(codec::decode::<WaveSize>(&endless, 1024), Err(CodecError::Malformed));
}

#[test]
fn sizes_of_waves_are_counts_or_shares_that_grow() {
    let share = |n: u8| WaveSize::Share(Percent::try_from(n).unwrap());
    assert_eq!("3".parse(), Ok(WaveSize::Count(3)));
    assert_eq!("25%".parse(), Ok(share(25)));
    for wrong in ["", "0", "0%", "101%", "-1", "25 %", "%", "1.5%", "256%"] {
        assert_eq!(wrong.parse::<WaveSize>(), Err(WaveSizeError), "{wrong:?}");
    }
    assert!(WaveSize::check(&[WaveSize::Count(1), share(25), WaveSize::Count(9), share(100)]).is_ok());
    for falling in [[share(50), share(25)], [share(50), share(50)]] {
        assert!(WaveSize::check(&falling).is_err());
    }
}
