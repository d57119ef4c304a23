//! Ports for servers that are started, stopped and started again.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::Mutex;

/// Below what the system gives to outgoing connections (`ip_local_port_range`), any of which could
/// otherwise sit on the port in the moment in which its server is not there.
const PORTS: Range<u16> = 10_000..32_000;

/// What is kept of each port that was given away. The same number of UDP, which nobody needs, is
/// taken as long as this process lives, so that no other one gives the port away too.
static RESERVED: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A port of this process alone, on which nobody listens.
pub fn free_port() -> u16 {
    let mut candidates = std::iter::repeat_with(|| rand::random_range(PORTS)).take(1_000);
    candidates.find(|port| is_reserved(*port)).expect("no port is free")
}

fn is_reserved(port: u16) -> bool {
    let Ok(reserved) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { return false };
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    if free {
        RESERVED.lock().unwrap().push(reserved);
    }
    free
}
