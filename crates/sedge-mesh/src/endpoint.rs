//! The one iroh endpoint of a node, with everything switched off that would talk to the outside.

use std::net::{Ipv6Addr, SocketAddr};

use iroh::endpoint::{BindError, BindOpts, InvalidSocketAddr, NetReportConfig, PortmapperConfig};
use iroh::endpoint::{Connection, QuicTransportConfig, VarInt, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, TransportAddr};
use sedge_statement::{NodeId, SecretKey};

use crate::admission::Gatekeeper;

/// How much of one stream may be under way unread, bytes: 8 MiB fills a path of 80 Mbit/s at 800 ms, or 640 Mbit/s at
/// 100 ms. The library's default of 1.25 MB would cap weights at 1.25 MB a round trip.
const STREAM_WINDOW: u32 = 8 << 20;
/// The same of all streams of a connection, so that a hostile member costs at most this much.
const CONNECTION_WINDOW: u32 = 32 << 20;
/// How much may be sent and not yet acknowledged on a connection, bytes.
const SEND_WINDOW: u64 = 16 << 20;

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

/// Binds an endpoint that uses no relay, no name service, no port mapping and no probes.
pub(crate) async fn bind(
    key: &SecretKey,
    listen: SocketAddr,
    gatekeeper: Option<Gatekeeper>,
) -> Result<Endpoint, ListenError> {
    let transport = QuicTransportConfig::builder()
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .build();
    let mut builder = Endpoint::builder(presets::Minimal)
        .secret_key(iroh::SecretKey::from_bytes(&key.to_bytes()))
        .relay_mode(RelayMode::Disabled)
        .clear_address_lookup()
        .portmapper_config(PortmapperConfig::Disabled)
        .net_report_config(NetReportConfig::minimal())
        .transport_config(transport)
        .clear_ip_transports()
        .bind_addr(listen)
        .map_err(|e| ListenError::Address(listen, e))?;
    if listen.is_ipv4() && listen.ip().is_unspecified() {
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, listen.port()));
        builder = builder
            .bind_addr_with_opts(both, BindOpts::default().set_is_required(false))
            .map_err(|e| ListenError::Address(both, e))?;
    }
    if let Some(gatekeeper) = gatekeeper {
        builder = builder.hooks(gatekeeper);
    }
    builder.bind().await.map_err(|e| ListenError::Bind(listen, e))
}

/// Where others can reach `endpoint`: the addresses it was bound to, and the machine's own where it listens everywhere.
pub(crate) fn listen_addresses(endpoint: &Endpoint) -> Vec<SocketAddr> {
    let bound = endpoint.bound_sockets();
    let mut addresses: Vec<_> = bound.iter().copied().filter(|a| !a.ip().is_unspecified()).collect();
    if addresses.len() < bound.len() {
        addresses.extend(endpoint.addr().ip_addrs().copied().filter(|a| !a.ip().is_unspecified()));
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The node at the other end.
pub(crate) fn remote_node(connection: &Connection) -> NodeId {
    NodeId::from_bytes(*connection.remote_id().as_bytes())
}

/// The address that the connection uses at the other end, as this node sees it.
pub(crate) fn remote_address(connection: &Connection) -> Option<SocketAddr> {
    let paths = connection.paths();
    let path = paths.iter().find(|p| p.is_selected()).or_else(|| paths.iter().next())?;
    match path.remote_addr() {
        TransportAddr::Ip(addr) => Some(SocketAddr::new(addr.ip().to_canonical(), addr.port())),
        _ => None,
    }
}

/// The iroh name of a node at known addresses; none where the id is not a point of the curve.
pub(crate) fn endpoint_addr(node: NodeId, addresses: impl IntoIterator<Item = SocketAddr>) -> Option<EndpointAddr> {
    let id = EndpointId::from_bytes(node.as_bytes()).ok()?;
    Some(addresses.into_iter().fold(EndpointAddr::new(id), EndpointAddr::with_ip_addr))
}
