//! A socket for each network and family: joined, bound and pinned to its interface, so that it works without any route.
//!
//! Bound to the group's own address it receives nothing that was sent to this host alone, from wherever that came.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use netwatch::interfaces::{IpNet, State};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const PORT: u16 = 5353;
/// What RFC 6762 asks for: it never crosses a router, and comes from none.
const HOPS: u32 = 255;
/// How many networks are spoken to: a robot has a few, a container host must not be flooded by its bridges.
const MAX_LINKS: usize = 16;
/// How the names of networks begin that are within this machine: they are spoken to where there is room.
const INNER: [&str; 7] = ["docker", "br-", "veth", "virbr", "cni", "flannel", "lxc"];

/// One network, and the family spoken there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Link {
    /// By an address of this machine on it.
    V4(Ipv4Addr),
    /// By the number of the interface.
    V6(u32),
}

/// This machine's addresses on one network, each with how large the network is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ground(Vec<(IpAddr, u8)>);

impl Ground {
    fn of(networks: &[IpNet]) -> Self {
        let of = |network: &IpNet| match network {
            IpNet::V4(net) => (IpAddr::V4(net.addr()), net.prefix_len()),
            IpNet::V6 { net, .. } => (IpAddr::V6(net.addr()), net.prefix_len()),
        };
        Self(networks.iter().map(of).collect())
    }

    /// Whether an address is this machine's own.
    pub(super) fn is_own(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|(own, _)| *own == ip)
    }

    /// Whether an address is of a host on that network. Whoever says something there can be no further away.
    pub(super) fn is_near(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|(own, prefix)| match (own, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let hosts = u32::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
                // The first and the last address of all but the smallest networks are nobody's.
                let is_nobodys = *prefix < 31 && [0, hosts].contains(&(ip.to_bits() & hosts));
                (own.to_bits() ^ ip.to_bits()) & !hosts == 0 && !is_nobodys
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let hosts = u128::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
                (own.to_bits() ^ ip.to_bits()) & !hosts == 0
            }
            _ => false,
        })
    }
}

/// The networks on which this machine has one of these addresses, or any address at all where none is given, each with this
/// machine's addresses there. The machine's own loopback is not a network.
pub(super) async fn links(listen: Option<&[SocketAddr]>) -> BTreeMap<Link, Ground> {
    let state = State::new().await;
    let mut links = Vec::new();
    let mut interfaces: Vec<_> = state.interfaces.values().filter(|interface| interface.is_up()).collect();
    interfaces.sort_by_key(|interface| {
        let name = interface.name();
        let is_default = state.default_route_interface.as_deref() == Some(name);
        (!is_default, INNER.iter().any(|inner| name.starts_with(inner)), name)
    });
    for interface in interfaces {
        let networks: Vec<IpNet> = interface.addrs().collect();
        let is_used = |ip: IpAddr| listen.is_none_or(|listen| listen.iter().any(|addr| addr.ip() == ip));
        let mut v4 = networks.iter().filter_map(|network| match network.addr() {
            IpAddr::V4(ip) if !ip.is_loopback() && is_used(ip.into()) => Some(ip),
            _ => None,
        });
        let ground = Ground::of(&networks);
        links.extend(v4.next().map(|ip| (Link::V4(ip), ground.clone())));
        let used = networks.iter().any(|network| {
            let ip = network.addr();
            ip.is_ipv6() && !ip.is_loopback() && is_used(ip)
        });
        let number = networks.iter().find_map(|network| match network {
            IpNet::V6 { scope_id, .. } if *scope_id != 0 => Some(*scope_id),
            _ => None,
        });
        links.extend(number.filter(|_| used).map(|number| (Link::V6(number), ground)));
    }
    links.into_iter().take(MAX_LINKS).collect()
}

impl Link {
    /// Where everybody on it is spoken to.
    pub(super) fn group(self) -> SocketAddr {
        match self {
            Self::V4(_) => SocketAddrV4::new(GROUP_V4, PORT).into(),
            Self::V6(number) => SocketAddrV6::new(GROUP_V6, PORT, 0, number).into(),
        }
    }

    /// Opens a socket there. Other programs of this machine may have theirs.
    pub(super) fn open(self) -> io::Result<UdpSocket> {
        let domain = if matches!(self, Self::V4(_)) { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        match self {
            Self::V4(addr) => {
                // Not what was sent to the group on other networks.
                #[cfg(target_os = "linux")]
                socket.set_multicast_all_v4(false)?;
                socket.bind(&self.group().into())?;
                socket.join_multicast_v4(&GROUP_V4, &addr)?;
                socket.set_multicast_if_v4(&addr)?;
                socket.set_multicast_ttl_v4(HOPS)?;
                socket.set_multicast_loop_v4(true)?;
            }
            Self::V6(number) => {
                socket.set_only_v6(true)?;
                socket.bind(&self.group().into())?;
                socket.join_multicast_v6(&GROUP_V6, number)?;
                socket.set_multicast_if_v6(number)?;
                socket.set_multicast_hops_v6(HOPS)?;
                socket.set_multicast_loop_v6(true)?;
            }
        }
        UdpSocket::from_std(socket.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(networks: &[(&str, u8)]) -> Ground {
        Ground(networks.iter().map(|(ip, prefix)| (ip.parse().expect("an address"), *prefix)).collect())
    }

    #[test]
    fn hosts_of_the_network_are_near_and_all_others_are_not() {
        let here = ground(&[("10.1.2.3", 22), ("fd00::5", 64)]);
        for near in ["10.1.0.1", "10.1.3.254", "10.1.2.255", "fd00::ffff:1"] {
            assert!(here.is_near(near.parse().expect("an address")), "{near}");
        }
        for far in
            ["10.1.4.1", "10.0.255.1", "8.8.8.8", "10.1.0.0", "10.1.3.255", "fd00:0:0:1::1", "2001:db8::1", "127.0.0.1"]
        {
            assert!(!here.is_near(far.parse().expect("an address")), "{far}");
        }
        assert!(here.is_own("fd00::5".parse().expect("an address")));
    }

    #[test]
    fn networks_of_every_size_are_reckoned_with() {
        let near = |own: &str, prefix, ip: &str| ground(&[(own, prefix)]).is_near(ip.parse().expect("an address"));
        assert!(near("10.0.0.1", 32, "10.0.0.1") && !near("10.0.0.1", 32, "10.0.0.2"));
        assert!(near("10.0.0.1", 31, "10.0.0.0") && !near("10.0.0.1", 31, "10.0.0.2"));
        assert!(near("10.0.0.1", 0, "8.8.8.8") && near("fd00::1", 0, "::2"));
        assert!(near("fd00::1", 128, "fd00::1") && !near("fd00::1", 128, "fd00::2"));
        assert!(!near("10.0.0.1", 0, "fd00::1"));
    }
}
