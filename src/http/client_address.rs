//! From which address a request comes, when proxies stand before the server.
//!
//! The header is believed only as far as the proxies that the configuration names reach: the
//! right-most entry that none of them owns is the client; whatever stands left of it is hearsay.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, X_FORWARDED_FOR};

use crate::config::Cidr;

/// How many entries are looked at; a header with more is not honest.
const ENTRIES_MAX: usize = 32;

/// The client's address: the right-most entry of `X-Forwarded-For` that is no trusted proxy, or the
/// peer itself when it is none. `forwarded` are the header's lines in the order received.
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[Cidr],
) -> IpAddr {
    let mut nearest = peer.to_canonical();
    let is_trusted = |address| trusted.iter().any(|range| range.contains(address));
    if !is_trusted(nearest) {
        return nearest;
    }
    let entries = forwarded.rev().flat_map(|line| line.rsplit(','));
    for entry in entries.take(ENTRIES_MAX) {
        match parse_entry(entry) {
            // What a trusted proxy could not name is unknown: the proxy itself is the best answer.
            None => return nearest,
            Some(address) if is_trusted(address) => nearest = address,
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

/// The client's address of a request; `None` when it did not come over TCP.
pub fn of_request(request: &HttpRequest, trusted: &[Cidr]) -> Option<IpAddr> {
    of(request.peer_addr(), request.headers(), trusted)
}

/// The client's address, by peer and headers.
pub fn of(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[Cidr]) -> Option<IpAddr> {
    let peer = peer?.ip();
    if trusted.is_empty() {
        return Some(peer.to_canonical());
    }
    let lines = headers.get_all(X_FORWARDED_FOR).filter_map(|line| line.to_str().ok());
    let lines: Vec<&str> = lines.collect();
    Some(client_address(peer, lines.into_iter(), trusted))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(peer: &str, header: &[&str], trusted: &[&str], expected: &str) {
        let trusted: Vec<Cidr> = trusted.iter().map(|range| range.parse().unwrap()).collect();
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
}
