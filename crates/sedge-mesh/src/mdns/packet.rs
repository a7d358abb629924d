//! The words on the local network: multicast DNS, RFC 6762, as far as service discovery, RFC 6763, needs it.
//!
//! Goals: members of one mesh on one network find each other without being told of each other. Non-goals: proof (anybody can
//! answer anything; a handshake proves), browsing by other software beyond well-formed records.
//!
//! Layout: the service is `_sedge-MESH._udp.local`, MESH the first digits of the mesh's id, so that meshes leave each other alone. A
//! question asks for its PTR records. An answer holds one PTR to `NODE._sedge-MESH._udp.local`, NODE being the node's id in
//! lower-case base32; for each port that it listens on one SRV of that name, whose target is `PORT-HOST.local`, HOST the first digits of
//! NODE; and as additional records the A and AAAA of each target. Records live for two minutes; nothing but addresses is said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use data_encoding::BASE32_NOPAD;
use sedge_statement::{MeshId, NodeId};

/// The longest message that is read or written, bytes: what fits one Ethernet frame.
pub(crate) const MAX_PACKET: usize = 1440;
/// How many addresses of one node are said or believed.
pub(crate) const MAX_ADDRESSES: usize = 8;
/// On how many ports: each takes a record of its own, and all must fit one message.
const MAX_PORTS: usize = 4;
/// How many nodes one message may name. Ours names one; a repeater may put several together.
const MAX_NODES: usize = 8;
/// How many records of one message are looked at.
const MAX_RECORDS: usize = 64;
/// How many questions of one message are looked at. Ours asks one.
const MAX_QUESTIONS: u16 = 16;
/// How many labels one message may have, pointers followed, so that compression makes no small message a large one.
const MAX_LABELS: usize = 512;
/// How many pointers one compressed name may follow.
const MAX_POINTERS: usize = 16;
const MAX_NAME: usize = 255;

const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
const TYPE_AAAA: u16 = 28;
const TYPE_SRV: u16 = 33;
const TYPE_ANY: u16 = 255;
const CLASS_IN: u16 = 1;
/// The top bit of the class: in a question a wish, in a record a claim, neither of which matters here.
const CLASS: u16 = 0x7fff;
const RESPONSE: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x8400;
const TTL: u32 = 120;

/// The name of a mesh's service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service(Name);

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Somebody asks who is there.
    Question,
    /// Somebody says where nodes are.
    Answer(Vec<(NodeId, Vec<SocketAddr>)>),
}

/// Labels, lower case.
type Name = Vec<Vec<u8>>;

impl Service {
    pub(crate) fn of(mesh: MeshId) -> Self {
        let digits: String = mesh.to_string().chars().take(8).collect();
        Self(vec![format!("_sedge-{digits}").into_bytes(), b"_udp".to_vec(), b"local".to_vec()])
    }

    /// Asks who is there.
    pub(crate) fn question(&self) -> Vec<u8> {
        let mut packet = header(0, 1, 0, 0);
        put_name(&mut packet, &self.0);
        put_u16(&mut packet, TYPE_PTR);
        put_u16(&mut packet, CLASS_IN);
        packet
    }

    /// Says where a node is.
    pub(crate) fn answer(&self, node: NodeId, addresses: &[SocketAddr]) -> Vec<u8> {
        let label = BASE32_NOPAD.encode(node.as_bytes()).to_ascii_lowercase();
        let instance: Name = std::iter::once(label.clone().into_bytes()).chain(self.0.iter().cloned()).collect();
        let target = |port: u16| vec![format!("{port}-{}", &label[..8]).into_bytes(), b"local".to_vec()];
        let mut ports = BTreeSet::new();
        let fits = |addr: &&SocketAddr| -> bool {
            let fits = ports.len() < MAX_PORTS || ports.contains(&addr.port());
            if fits {
                ports.insert(addr.port());
            }
            fits
        };
        let addresses: Vec<&SocketAddr> = addresses.iter().filter(fits).take(MAX_ADDRESSES).collect();
        let mut packet = header(AUTHORITATIVE, 0, 1 + ports.len(), addresses.len());
        put_record(&mut packet, &self.0, TYPE_PTR, |rest| put_name(rest, &instance));
        for port in ports {
            put_record(&mut packet, &instance, TYPE_SRV, |rest| {
                [0, 0, port].iter().for_each(|n| put_u16(rest, *n));
                put_name(rest, &target(port));
            });
        }
        for addr in addresses {
            let kind = if addr.is_ipv4() { TYPE_A } else { TYPE_AAAA };
            put_record(&mut packet, &target(addr.port()), kind, |rest| match addr.ip() {
                IpAddr::V4(ip) => rest.extend(ip.octets()),
                IpAddr::V6(ip) => rest.extend(ip.octets()),
            });
        }
        packet
    }

    /// Reads a message; none where it is not one, or is about something else.
    pub(crate) fn read(&self, packet: &[u8]) -> Option<Heard> {
        if packet.len() > MAX_PACKET {
            return None;
        }
        let mut reader = Reader { packet, at: 0, labels: 0 };
        let [_, flags, questions, answers, authorities, additionals] = reader.u16s()?;
        if questions > MAX_QUESTIONS {
            return None;
        }
        for _ in 0..questions {
            let name = reader.name()?;
            let [kind, class] = reader.u16s()?;
            let asks = [TYPE_PTR, TYPE_ANY].contains(&kind) && class & CLASS == CLASS_IN && name == self.0;
            if asks && flags & RESPONSE == 0 {
                return Some(Heard::Question);
            }
        }
        let records = usize::from(answers) + usize::from(authorities) + usize::from(additionals);
        if flags & RESPONSE == 0 {
            return None;
        }
        let mut ports: Vec<(NodeId, Name, u16)> = Vec::new();
        let mut hosts: Vec<(Name, IpAddr)> = Vec::new();
        for _ in 0..records.min(MAX_RECORDS) {
            match reader.record()? {
                Some(Record::Service { instance, target, port }) => {
                    if let Some(node) = self.node(&instance) {
                        ports.push((node, target, port));
                    }
                }
                Some(Record::Host { name, ip }) => hosts.push((name, ip)),
                None => {}
            }
        }
        let mut found: BTreeMap<NodeId, Vec<SocketAddr>> = BTreeMap::new();
        for (node, target, port) in ports {
            if found.len() == MAX_NODES && !found.contains_key(&node) {
                continue;
            }
            let at = found.entry(node).or_default();
            let ips = hosts.iter().filter(|(name, _)| *name == target).map(|(_, ip)| SocketAddr::new(*ip, port));
            for addr in ips {
                if at.len() < MAX_ADDRESSES && !at.contains(&addr) {
                    at.push(addr);
                }
            }
        }
        found.retain(|_, at| !at.is_empty());
        (!found.is_empty()).then(|| Heard::Answer(found.into_iter().collect()))
    }

    fn node(&self, instance: &Name) -> Option<NodeId> {
        let (label, service) = instance.split_first()?;
        if service != self.0.as_slice() {
            return None;
        }
        let bytes = BASE32_NOPAD.decode(&label.to_ascii_uppercase()).ok()?;
        Some(NodeId::from_bytes(bytes.try_into().ok()?))
    }
}

fn header(flags: u16, questions: usize, answers: usize, additionals: usize) -> Vec<u8> {
    let mut packet = Vec::with_capacity(MAX_PACKET);
    let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    for word in [0, flags, count(questions), count(answers), 0, count(additionals)] {
        put_u16(&mut packet, word);
    }
    packet
}

fn put_u16(packet: &mut Vec<u8>, value: u16) {
    packet.extend(value.to_be_bytes());
}

fn put_name(packet: &mut Vec<u8>, name: &Name) {
    for label in name {
        packet.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        packet.extend(label);
    }
    packet.push(0);
}

fn put_record(packet: &mut Vec<u8>, name: &Name, kind: u16, put_data: impl FnOnce(&mut Vec<u8>)) {
    put_name(packet, name);
    put_u16(packet, kind);
    put_u16(packet, CLASS_IN);
    packet.extend(TTL.to_be_bytes());
    let mut data = Vec::new();
    put_data(&mut data);
    put_u16(packet, u16::try_from(data.len()).unwrap_or(u16::MAX));
    packet.extend(data);
}

/// A record that matters.
enum Record {
    Service { instance: Name, target: Name, port: u16 },
    Host { name: Name, ip: IpAddr },
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
    /// Labels read so far.
    labels: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.packet.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn u16s<const N: usize>(&mut self) -> Option<[u16; N]> {
        let mut words = [0; N];
        for word in &mut words {
            *word = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        }
        Some(words)
    }

    /// A name, following pointers that lead backwards only, as often as an honest one might.
    fn name(&mut self) -> Option<Name> {
        let mut name = Name::new();
        let mut length = 0;
        let mut pointers = 0;
        let mut reader = Reader { packet: self.packet, at: self.at, labels: 0 };
        loop {
            let label_at = reader.at;
            match usize::from(*reader.take(1)?.first()?) {
                0 => break,
                len @ 1..=63 => {
                    length += len + 1;
                    self.labels += 1;
                    if length > MAX_NAME || self.labels > MAX_LABELS {
                        return None;
                    }
                    name.push(reader.take(len)?.to_ascii_lowercase());
                }
                high @ 192..=255 => {
                    let low = usize::from(*reader.take(1)?.first()?);
                    if pointers == 0 {
                        self.at = reader.at;
                    }
                    pointers += 1;
                    let to = (high & 0x3f) << 8 | low;
                    if to >= label_at || pointers > MAX_POINTERS {
                        return None;
                    }
                    reader.at = to;
                }
                _ => return None,
            }
        }
        if pointers == 0 {
            self.at = reader.at;
        }
        Some(name)
    }

    /// A record: none outside where the message ends within it, none inside where it is of no interest.
    fn record(&mut self) -> Option<Option<Record>> {
        let name = self.name()?;
        let [kind, class] = self.u16s()?;
        let alive = self.take(4)? != [0; 4];
        let [len] = self.u16s()?;
        let end = self.at.checked_add(usize::from(len)).filter(|end| *end <= self.packet.len())?;
        let record = match kind {
            _ if class & CLASS != CLASS_IN || !alive => None,
            TYPE_SRV => self.service(name),
            TYPE_A => self.octets(end).map(|octets| Record::Host { name, ip: Ipv4Addr::from(octets).into() }),
            TYPE_AAAA => self.octets::<16>(end).map(|octets| Record::Host { name, ip: Ipv6Addr::from(octets).into() }),
            _ => None,
        };
        self.at = end;
        Some(record)
    }

    fn service(&mut self, instance: Name) -> Option<Record> {
        let [_priority, _weight, port] = self.u16s()?;
        Some(Record::Service { instance, target: self.name()?, port })
    }

    fn octets<const N: usize>(&self, end: usize) -> Option<[u8; N]> {
        self.packet.get(self.at..end)?.try_into().ok()
    }
}

#[cfg(test)]
#[path = "packet/tests.rs"] // from this file, so that the fuzz target which takes it in finds it too
mod tests;
