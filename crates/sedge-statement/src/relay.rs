//! Where a relay is: `http://HOST:PORT` or `https://HOST`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest address of a relay, bytes: a host name has at most 253.
const MAX_LENGTH: usize = 280;
const MAX_HOST: usize = 253;

/// The address of an operator's own relay: scheme `http` or `https`, a host, perhaps a port, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelayAddress(String);

/// Why text is not the address of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayAddressError {
    /// Write `http://` for a relay without TLS, `https://` for one whose certificate a public authority signed. The roots are
    /// those built into the program: an authority of one's own is refused, also where the machine trusts it.
    #[error("does not begin with http:// or https://")]
    BadScheme,
    /// Write a host name in lower case, an IPv4 address, or an IPv6 address in brackets.
    #[error("names no host")]
    BadHost,
    /// A port is a number from 1 to 65535.
    #[error("has a bad port")]
    BadPort,
    /// Leave out paths, queries, users and passwords.
    #[error("is longer than scheme, host and port")]
    TooMuch,
}

impl RelayAddress {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RelayAddress {
    type Err = RelayAddressError;
    fn from_str(text: &str) -> Result<Self, RelayAddressError> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
            _ => return Err(RelayAddressError::BadScheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if text.len() > MAX_LENGTH || rest.contains(['/', '?', '#', '@', '\\']) {
            return Err(RelayAddressError::TooMuch);
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(RelayAddressError::BadHost)?;
                let canonical = host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_string() == host);
                if !canonical {
                    return Err(RelayAddressError::BadHost);
                }
                let port = match after {
                    "" => None,
                    _ => Some(after.strip_prefix(':').ok_or(RelayAddressError::BadPort)?),
                };
                (None, port)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (Some(host), Some(port)),
                None => (Some(rest), None),
            },
        };
        if host.is_some_and(|host| !is_host(host)) {
            return Err(RelayAddressError::BadHost);
        }
        if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|n| n != 0 && n.to_string() == port)) {
            return Err(RelayAddressError::BadPort);
        }
        Ok(Self(format!("{scheme}://{rest}")))
    }
}

/// Whether it is an IPv4 address or a name; what ends in digits is never a name, since a browser would take it for an address.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    match last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
        true => host.parse::<Ipv4Addr>().is_ok(),
        false => host.len() <= MAX_HOST && host.split('.').all(label) && !host.contains("xn--"),
    }
}

impl TryFrom<String> for RelayAddress {
    type Error = RelayAddressError;
    fn try_from(text: String) -> Result<Self, RelayAddressError> {
        let parsed: Self = text.parse()?;
        // One address has one encoding.
        if parsed.0 == text { Ok(parsed) } else { Err(RelayAddressError::TooMuch) }
    }
}

impl From<RelayAddress> for String {
    fn from(address: RelayAddress) -> Self {
        address.0
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_and_port_are_an_address_and_nothing_else_is() {
        for good in ["http://10.0.0.1:3340", "https://relay.example", "http://[fd00::1]:80", "https://r-1.lab:8443"] {
            assert_eq!(good.parse::<RelayAddress>().map(|a| a.to_string()), Ok(good.to_owned()));
        }
        assert_eq!("http://10.0.0.1/".parse::<RelayAddress>().map(String::from), Ok("http://10.0.0.1".to_owned()));
        for (bad, why) in [
            ("10.0.0.1:3340", RelayAddressError::BadScheme),
            ("ftp://relay", RelayAddressError::BadScheme),
            ("http://", RelayAddressError::BadHost),
            ("http://Relay", RelayAddressError::BadHost),
            ("http://999.0.0.1", RelayAddressError::BadHost),
            ("http://[fd00::1", RelayAddressError::BadHost),
            ("http://[fd00::1]x", RelayAddressError::BadPort),
            ("http://relay:0", RelayAddressError::BadPort),
            ("http://relay:70000", RelayAddressError::BadPort),
            ("http://relay:+80", RelayAddressError::BadPort),
            ("http://user@relay", RelayAddressError::TooMuch),
            ("http://relay/path", RelayAddressError::TooMuch),
        ] {
            assert_eq!(bad.parse::<RelayAddress>(), Err(why), "{bad}");
        }
    }
}
