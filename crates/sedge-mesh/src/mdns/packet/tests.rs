//! The messages as they are written, and as others may write them.

use super::*;

fn service() -> Service {
    Service::of(MeshId::from_bytes([0xab; 32]))
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn addresses() -> Vec<SocketAddr> {
    ["10.0.0.2:4433", "[fd00::2]:4433", "192.168.7.2:4434"].iter().map(|a| a.parse().expect("an address")).collect()
}

#[test]
fn a_question_has_these_bytes_for_ever() {
    let mut golden = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    golden.extend(b"\x0f_sedge-abababab\x04_udp\x05local\x00");
    golden.extend([0, 12, 0, 1]);
    assert_eq!(service().question(), golden);
    assert_eq!(service().read(&golden), Some(Heard::Question));
}

#[test]
fn an_answer_has_these_bytes_for_ever() {
    let addr: SocketAddr = "10.0.0.2:4433".parse().expect("an address");
    let service_name = b"\x0f_sedge-abababab\x04_udp\x05local\x00";
    let label = BASE32_NOPAD.encode(&[7; 32]).to_ascii_lowercase();
    let instance = [&[52], label.as_bytes(), service_name].concat();
    let target = [b"\x0d4433-", &label.as_bytes()[..8], b"\x05local\x00"].concat();
    let mut golden = vec![0, 0, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 1];
    golden.extend(service_name);
    golden.extend([0, 12, 0, 1, 0, 0, 0, 120, 0, u8::try_from(instance.len()).expect("short")]);
    golden.extend(&instance);
    golden.extend(&instance);
    golden.extend([0, 33, 0, 1, 0, 0, 0, 120, 0, u8::try_from(target.len() + 6).expect("short")]);
    golden.extend([0, 0, 0, 0, 0x11, 0x51]);
    golden.extend(&target);
    golden.extend(&target);
    golden.extend([0, 1, 0, 1, 0, 0, 0, 120, 0, 4, 10, 0, 0, 2]);
    assert_eq!(service().answer(node(7), &[addr]), golden);
    assert_eq!(service().read(&golden), Some(Heard::Answer(vec![(node(7), vec![addr])])));
}

#[test]
fn the_longest_answer_fits_one_frame_and_reads_back() {
    let many: Vec<SocketAddr> = (0..20u16).map(|n| (Ipv6Addr::from([0xfd00 + n; 8]), 60_000 + n % 4).into()).collect();
    let packet = service().answer(node(7), &many);
    assert!(packet.len() <= MAX_PACKET, "{}", packet.len());
    let Some(Heard::Answer(heard)) = service().read(&packet) else { panic!("{packet:?}") };
    assert_eq!(heard[0].1.iter().collect::<BTreeSet<_>>(), many[..MAX_ADDRESSES].iter().collect());
    let packet = service().answer(node(7), &addresses());
    let Some(Heard::Answer(heard)) = service().read(&packet) else { panic!("{packet:?}") };
    assert_eq!(heard[0].1.iter().collect::<BTreeSet<_>>(), addresses().iter().collect());
}

#[test]
fn other_meshes_and_other_services_are_not_heard() {
    let other = Service::of(MeshId::from_bytes([0xcd; 32]));
    assert_eq!(service().read(&other.question()), None);
    assert_eq!(service().read(&other.answer(node(7), &addresses())), None);
}

#[test]
fn names_that_a_repeater_compressed_are_understood() {
    // The instance stands once, and is pointed to from the SRV record; so is the target.
    let label = BASE32_NOPAD.encode(&[7; 32]);
    let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 1];
    let instance_at = packet.len();
    packet.push(52);
    packet.extend(label.as_bytes());
    packet.extend(b"\x0f_SEDGE-abababab\x04_udp\x05local\x00");
    packet.extend([0, 16, 0x80, 1, 0, 0, 0, 120, 0, 1, 0]);
    let local_at = instance_at + 53 + 16 + 5;
    packet.extend([0xc0, u8::try_from(instance_at).expect("near")]);
    packet.extend([0, 33, 0x80, 1, 0, 0, 0, 120, 0, 12, 0, 0, 0, 0, 0x11, 0x51]);
    let target_at = packet.len();
    packet.extend([3, b'f', b'o', b'o', 0xc0, u8::try_from(local_at).expect("near")]);
    packet.extend([0xc0, u8::try_from(target_at).expect("near"), 0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4, 10, 0, 0, 2]);
    let addr = "10.0.0.2:4433".parse().expect("an address");
    assert_eq!(service().read(&packet), Some(Heard::Answer(vec![(node(7), vec![addr])])));
}

#[test]
fn a_name_that_points_at_itself_ends() {
    for pointer in [[0xc0, 12], [0xc0, 13], [0xff, 0xff]] {
        let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend(pointer);
        packet.extend([0, 12, 0, 1]);
        assert_eq!(service().read(&packet), None);
    }
}

#[test]
fn a_message_full_of_nodes_names_few_and_one_that_ends_early_none() {
    let mut packet = vec![0, 0, 0x84, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(service().read(&packet), None);
    packet[4..].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0, 0]);
    assert_eq!(service().read(&packet), None);
    let whole = service().answer(node(7), &addresses());
    for cut in 0..whole.len() {
        // The last record may be cut off; nothing is then made up in its place.
        if let Some(heard) = service().read(&whole[..cut]) {
            panic!("{heard:?} of {cut} bytes");
        }
    }
    assert_eq!(service().read(&vec![0; MAX_PACKET + 1]), None);
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let whole = service().answer(node(7), &addresses());
    for at in 0..whole.len() {
        for value in [0, 1, 63, 64, 0xc0, 0xff] {
            let mut packet = whole.clone();
            packet[at] = value;
            let _ = service().read(&packet);
        }
    }
}

#[test]
fn a_message_of_many_questions_or_of_many_labels_is_not_read_on() {
    let repeated = |times: u16| {
        let mut packet = header(0, usize::from(times) + 1, 0, 0);
        put_name(&mut packet, &vec![b"a".to_vec(); 120]);
        [TYPE_PTR, CLASS_IN].iter().for_each(|word| put_u16(&mut packet, *word));
        for _ in 1..times {
            [0xc00c, TYPE_PTR, CLASS_IN].iter().for_each(|word| put_u16(&mut packet, *word));
        }
        packet.extend(&service().question()[12..]);
        service().read(&packet)
    };
    assert_eq!(repeated(4), Some(Heard::Question));
    assert_eq!(repeated(5), None, "the same long name again and again");
    let asked = |times: usize| {
        let mut packet = header(0, times + 1, 0, 0);
        for _ in 0..times {
            packet.extend(b"\x05other\x00\x00\x0c\x00\x01");
        }
        packet.extend(&service().question()[12..]);
        service().read(&packet)
    };
    assert_eq!(asked(15), Some(Heard::Question));
    assert_eq!(asked(16), None);
}
