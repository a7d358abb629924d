//! The one iroh endpoint of a node, with everything switched off that would talk to the outside.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use iroh::dns::DnsResolver;
use iroh::endpoint::{BindError, BindOpts, InvalidSocketAddr, NetReportConfig, PortmapperConfig};
use iroh::endpoint::{Builder, Connection, QuicTransportConfig, VarInt, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayConfig, RelayMap, RelayMode, RelayUrl, TransportAddr};
use netwatch::interfaces::{IpNet, State};
use sedge_statement::{NodeId, RelayAddress, SecretKey};

use crate::admission::Gatekeeper;
use crate::allowance::{Allowance, DATAGRAMS};
use crate::lookup::Lookup;

/// How much of one stream may be under way unread where its connection's [`Allowance`] has room for it, bytes: 8 MiB fills a path of 80 Mbit/s at 800 ms, or 640 Mbit/s at
/// 100 ms. The library's default of 1.25 MB would cap weights at 1.25 MB a round trip.
const STREAM_WINDOW: u32 = 8 << 20;
/// How much may wait on a connection for its reader to take it, bytes: 4 MiB fill a path of 80 Mbit/s at 400 ms, and a reader
/// that takes nothing costs no more.
const SEND_WINDOW: u64 = 4 << 20;

/// Why the endpoint could not be bound. See that the address is this machine's and the port is free.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address cannot be listened on at all.
    #[error("cannot listen on {0}")]
    Address(SocketAddr, #[source] InvalidSocketAddr),
    /// The operating system refused.
    #[error("failed to listen on {0}")]
    Bind(SocketAddr, #[source] BindError),
}

/// How a peer is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Straight to this address.
    Direct(SocketAddr),
    /// Through this relay, which carries what it cannot read.
    Relay(String),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(addr) => write!(f, "direct {addr}"),
            Self::Relay(url) => write!(f, "relay {}", url.trim_end_matches('/')),
        }
    }
}

/// Whether an endpoint may speak before anything is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    Speaks,
    /// Its relays are not connected to until [`connect_relays`].
    Silent,
}

/// What a mesh has of its endpoint: who is let in, and where members are. An endpoint that only asks something has neither.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) voice: Voice,
    pub(crate) gatekeeper: Gatekeeper,
    pub(crate) lookup: Lookup,
}

/// Binds an endpoint that uses no name service but this machine's for the hosts of `relays`, no port mapping, and no relay and
/// no probe but those of `relays`. Without a place to listen it listens everywhere.
pub(crate) async fn bind(
    key: &SecretKey,
    listen: &[SocketAddr],
    relays: &[RelayAddress],
    hold: Option<Hold>,
) -> Result<Endpoint, ListenError> {
    let transport = QuicTransportConfig::builder()
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(Allowance::FIRST.window()))
        .max_concurrent_bidi_streams(VarInt::from_u32(Allowance::FIRST.requests()))
        .max_concurrent_uni_streams(VarInt::from_u32(Allowance::FIRST.notices()))
        .datagram_receive_buffer_size(Some(DATAGRAMS))
        .datagram_send_buffer_size(DATAGRAMS)
        .send_window(SEND_WINDOW)
        .build();
    let mut reports = NetReportConfig::minimal();
    // Which relay is to be used is found by asking each how it is; there is nobody else to ask.
    reports.https_probes = !relays.is_empty();
    let mut builder = Endpoint::builder(presets::Minimal)
        .secret_key(iroh::SecretKey::from_bytes(&key.to_bytes()))
        .relay_mode(relay_mode(relays, hold.as_ref().map_or(Voice::Speaks, |hold| hold.voice)))
        .clear_address_lookup()
        // The library would ask public servers where the machine's own name none or fail.
        .dns_resolver(DnsResolver::builder().with_system_defaults().disable_fallback().build())
        .portmapper_config(PortmapperConfig::Disabled)
        .net_report_config(reports)
        .transport_config(transport)
        .clear_ip_transports();
    builder = listen_on(builder, listen).await?;
    if let Some(Hold { gatekeeper, lookup, .. }) = hold {
        builder = builder.hooks(gatekeeper).address_lookup(lookup);
    }
    let first = listen.first().copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    builder.bind().await.map_err(|e| ListenError::Bind(first, e))
}

/// Listens at each place. Of several of one family each sends to its own network, and the first to every other.
async fn listen_on(mut builder: Builder, listen: &[SocketAddr]) -> Result<Builder, ListenError> {
    let everywhere = [SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))];
    let listen = if listen.is_empty() { &everywhere } else { listen };
    let several = listen.len() > 1;
    let prefixes = if several { prefixes().await } else { BTreeMap::new() };
    let (mut v4, mut v6) = (false, false);
    for at in listen {
        let has_default = if at.is_ipv4() { &mut v4 } else { &mut v6 };
        let options = match several && !at.ip().is_unspecified() {
            true => {
                let whole = if at.is_ipv4() { 32 } else { 128 };
                let prefix = prefixes.get(&at.ip()).copied().unwrap_or(whole);
                BindOpts::default().set_prefix_len(prefix).set_is_default_route(!*has_default)
            }
            false => BindOpts::default(),
        };
        *has_default = true;
        builder = builder.bind_addr_with_opts(*at, options).map_err(|e| ListenError::Address(*at, e))?;
    }
    let any = listen.iter().find(|at| at.is_ipv4() && at.ip().is_unspecified());
    if let Some(any) = any.filter(|_| !v6) {
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, any.port()));
        builder = builder
            .bind_addr_with_opts(both, BindOpts::default().set_is_required(false))
            .map_err(|e| ListenError::Address(both, e))?;
    }
    Ok(builder)
}

/// How large the network of each address of this machine is.
async fn prefixes() -> BTreeMap<IpAddr, u8> {
    let state = State::new().await;
    let networks = state.interfaces.values().flat_map(|interface| interface.addrs().collect::<Vec<_>>());
    let prefix = |network: IpNet| match network {
        IpNet::V4(net) => (IpAddr::V4(net.addr()), net.prefix_len()),
        IpNet::V6 { net, .. } => (IpAddr::V6(net.addr()), net.prefix_len()),
    };
    networks.map(prefix).collect()
}

fn relay_mode(relays: &[RelayAddress], voice: Voice) -> RelayMode {
    let connected = relay_urls(relays).filter(|_| voice == Voice::Speaks);
    let connected: RelayMap = connected.map(|url| RelayConfig::new(url, None)).collect();
    if relays.is_empty() { RelayMode::Disabled } else { RelayMode::Custom(connected) }
}

/// Connects an endpoint to its relays, where it is not.
pub(crate) async fn connect_relays(endpoint: &Endpoint, relays: &[RelayAddress]) {
    for url in relay_urls(relays) {
        endpoint.insert_relay(url.clone(), Arc::new(RelayConfig::new(url, None))).await;
    }
}

/// The relays as iroh names them.
pub(crate) fn relay_urls(relays: &[RelayAddress]) -> impl Iterator<Item = RelayUrl> {
    relays.iter().filter_map(|relay| relay.as_str().parse().ok())
}

/// Where others can reach `endpoint`: the addresses it was bound to, and the machine's own where it listens everywhere. Those that
/// the machine speaks to other networks from come first: a container host has many others.
pub(crate) fn listen_addresses(endpoint: &Endpoint) -> Vec<SocketAddr> {
    let bound = endpoint.bound_sockets();
    let mut addresses: Vec<_> = bound.iter().copied().filter(|a| !a.ip().is_unspecified()).collect();
    if addresses.len() < bound.len() {
        let own = endpoint.addr();
        let named = |a: &SocketAddr| bound.iter().any(|b| b.port() == a.port() && b.is_ipv4() == a.is_ipv4());
        addresses.extend(own.ip_addrs().copied().filter(|a| !a.ip().is_unspecified() && named(a)));
    }
    addresses.sort_unstable();
    addresses.dedup();
    let outward = outward();
    addresses.sort_by_key(|addr| !outward.contains(&addr.ip()));
    addresses
}

/// The addresses that this machine's default routes leave from, found by the system: connecting a datagram socket sends nothing.
fn outward() -> Vec<IpAddr> {
    // Addresses that documentation is written with, which are nobody's.
    let far: [(IpAddr, IpAddr); 2] = [
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
    ];
    let from = |(any, far): (IpAddr, IpAddr)| {
        let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
        socket.connect((far, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    far.into_iter().filter_map(from).collect()
}

/// The node at the other end.
pub(crate) fn remote_node(connection: &Connection) -> NodeId {
    NodeId::from_bytes(*connection.remote_id().as_bytes())
}

/// How the connection reaches the other end, as this node sees it.
pub(crate) fn path(connection: &Connection) -> Option<Path> {
    let paths = connection.paths();
    let path = paths.iter().find(|p| p.is_selected()).or_else(|| paths.iter().next())?;
    match path.remote_addr() {
        TransportAddr::Ip(addr) => Some(Path::Direct(SocketAddr::new(addr.ip().to_canonical(), addr.port()))),
        TransportAddr::Relay(url) => Some(Path::Relay(url.to_string())),
        _ => None,
    }
}

/// The address that the connection uses at the other end, where it goes straight there.
pub(crate) fn remote_address(connection: &Connection) -> Option<SocketAddr> {
    match path(connection)? {
        Path::Direct(addr) => Some(addr),
        Path::Relay(_) => None,
    }
}

/// The iroh name of a node at known addresses and behind relays; none where the id is not a point of the curve.
pub(crate) fn endpoint_addr(
    node: NodeId,
    addresses: impl IntoIterator<Item = SocketAddr>,
    relays: &[RelayAddress],
) -> Option<EndpointAddr> {
    let id = EndpointId::from_bytes(node.as_bytes()).ok()?;
    let direct = addresses.into_iter().fold(EndpointAddr::new(id), EndpointAddr::with_ip_addr);
    Some(relay_urls(relays).fold(direct, EndpointAddr::with_relay_url))
}
