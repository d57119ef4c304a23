//! From which address a request comes, when proxies stand before the server.
//!
//! Pure. The header is believed only as far as the proxies that the configuration names reach: the
//! right-most entry that none of them owns is the client; whatever stands left of it is hearsay.

use std::net::{IpAddr, SocketAddr};

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<Network>);

#[derive(Debug, Clone, Copy)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is neither an address nor a network such as `10.0.0.0/8`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address or a network like 10.0.0.0/8")]
pub struct InvalidProxy(String);

impl TrustedProxies {
    /// Reads addresses and networks in CIDR form.
    pub fn parse<T: AsRef<str>>(proxies: &[T]) -> Result<Self, InvalidProxy> {
        let networks = proxies.iter().map(|proxy| Network::parse(proxy.as_ref()));
        networks.collect::<Result<_, _>>().map(Self)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let invalid = || InvalidProxy(text.to_owned());
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).map_err(|_| invalid())?;
        if prefix > bits {
            return Err(invalid());
        }
        Ok(Self { address, prefix })
    }

    fn contains(self, address: IpAddr) -> bool {
        let shift = |bits: u32| bits - u32::from(self.prefix);
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let difference = ours.to_bits() ^ theirs.to_bits();
                difference.checked_shr(shift(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let difference = ours.to_bits() ^ theirs.to_bits();
                difference.checked_shr(shift(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// How many entries are looked at; a header with more is not honest.
const ENTRIES_MAX: usize = 32;

/// The client's address: the right-most entry of `X-Forwarded-For` that is no trusted proxy, or the
/// peer itself when it is none. `forwarded` are the header's lines in the order received.
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &TrustedProxies,
) -> IpAddr {
    let mut nearest = peer.to_canonical();
    if !trusted.contains(nearest) {
        return nearest;
    }
    let entries = forwarded.rev().flat_map(|line| line.rsplit(','));
    for entry in entries.take(ENTRIES_MAX) {
        match parse_entry(entry) {
            // What a trusted proxy could not name is unknown: the proxy itself is the best answer.
            None => return nearest,
            Some(address) if trusted.contains(address) => nearest = address,
            Some(address) => return address,
        }
    }
    nearest
}

/// An entry with or without port, IPv6 with or without brackets; IPv4-mapped IPv6 becomes IPv4.
fn parse_entry(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| entry.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(peer: &str, header: &[&str], trusted: &[&str], expected: &str) {
        let trusted = TrustedProxies::parse(trusted).unwrap();
        let found = client_address(peer.parse().unwrap(), header.iter().copied(), &trusted);
        assert_eq!(found, expected.parse::<IpAddr>().unwrap());
    }

    #[test]
    fn without_trusted_proxies_the_header_is_ignored() {
        check("192.0.2.1", &["198.51.100.7"], &[], "192.0.2.1");
        check("192.0.2.1", &["198.51.100.7"], &["10.0.0.0/8"], "192.0.2.1");
        check("::ffff:192.0.2.1", &[], &[], "192.0.2.1");
    }

    #[test]
    fn the_right_most_untrusted_entry_is_the_client() {
        let proxies = ["10.0.0.0/8", "127.0.0.1"];
        check("10.1.1.1", &["198.51.100.7"], &proxies, "198.51.100.7");
        check("10.1.1.1", &["1.1.1.1, 198.51.100.7, 10.2.2.2"], &proxies, "198.51.100.7");
        check("10.1.1.1", &["1.1.1.1", "198.51.100.7", "10.2.2.2"], &proxies, "198.51.100.7");
        check("10.1.1.1", &["10.3.3.3, 10.2.2.2"], &proxies, "10.3.3.3");
        check("10.1.1.1", &[], &proxies, "10.1.1.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_stripped() {
        let proxies = ["127.0.0.1", "::1"];
        check("127.0.0.1", &["198.51.100.7:5123"], &proxies, "198.51.100.7");
        check("::ffff:127.0.0.1", &["[2001:db8::7]:443"], &proxies, "2001:db8::7");
        check("::1", &["[2001:db8::7]"], &proxies, "2001:db8::7");
        check("127.0.0.1", &["::ffff:198.51.100.7"], &proxies, "198.51.100.7");
    }

    #[test]
    fn an_entry_without_sense_ends_the_search() {
        check("10.1.1.1", &["198.51.100.7, unknown, 10.2.2.2"], &["10.0.0.0/8"], "10.2.2.2");
        check("10.1.1.1", &["198.51.100.7,"], &["10.0.0.0/8"], "10.1.1.1");
    }

    #[test]
    fn networks_are_read_or_refused_by_name() {
        check("10.9.9.9", &["2.2.2.2"], &["0.0.0.0/0"], "2.2.2.2");
        check("2001:db8:1::1", &["2.2.2.2"], &["2001:db8::/32"], "2.2.2.2");
        for bad in ["10.0.0.0/33", "10.0.0", "::1/129", "10.0.0.0/x", ""] {
            assert_eq!(TrustedProxies::parse(&[bad]).unwrap_err(), InvalidProxy(bad.to_owned()));
        }
    }
}
