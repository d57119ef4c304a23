//! Load over keep-alive connections, as cheap as can be: the client shares the machine with what it
//! measures, so it writes prepared bytes and reads no more of an answer than it must.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Writes the next request of a connection; false: there is none left.
type Next = dyn Fn(usize, &mut Vec<u8>) -> bool;

/// One kind of request, by many buyers.
pub struct Load {
    pub name: &'static str,
    address: String,
    next: Rc<Next>,
}

/// What one run has shown.
pub struct Measured {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// How often each status was answered.
    pub statuses: BTreeMap<u16, usize>,
}

impl Load {
    pub fn new(
        name: &'static str,
        address: &str,
        next: impl Fn(usize, &mut Vec<u8>) -> bool + 'static,
    ) -> Self {
        Self { name, address: address.to_owned(), next: Rc::new(next) }
    }

    /// Puts the load on for a while.
    pub async fn run(&self, connections: usize, during: Duration) -> Measured {
        let started = Instant::now();
        let until = started + during;
        let runs = (0..connections).map(|connection| {
            let (address, next) = (self.address.clone(), self.next.clone());
            actix_rt::spawn(
                async move { one_connection(&address, connection, &*next, until).await },
            )
        });
        let runs = futures_util::future::join_all(runs).await;
        let took = started.elapsed().as_secs_f64();
        measure(runs.into_iter().flat_map(Result::unwrap).collect(), took)
    }
}

async fn one_connection(
    address: &str,
    connection: usize,
    next: &Next,
    until: Instant,
) -> Vec<(Duration, u16)> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut request = Vec::with_capacity(4096);
    let mut answer = Vec::with_capacity(4096);
    let mut seen = Vec::new();
    let mut sent = Instant::now();
    while sent < until {
        request.clear();
        if !next(connection, &mut request) {
            break;
        }
        stream.write_all(&request).await.unwrap();
        let status = read_answer(&mut stream, &mut answer).await;
        let answered = Instant::now();
        seen.push((answered - sent, status));
        sent = answered;
    }
    seen
}

/// Reads one answer with a content-length; the status is what is wanted of it.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> u16 {
    answer.clear();
    loop {
        assert!(stream.read_buf(answer).await.unwrap() > 0, "the server hung up");
        let Some(head) = find(answer, b"\r\n\r\n") else { continue };
        if answer.len() >= head + 4 + content_length(&answer[..head]) {
            return std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let name = b"content-length: ";
    let Some(at) = find(head, name) else { return 0 };
    let digits = head[at + name.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| 10 * length + usize::from(digit - b'0'))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn measure(mut seen: Vec<(Duration, u16)>, took: f64) -> Measured {
    seen.sort_unstable();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for (_, status) in &seen {
        *statuses.entry(*status).or_default() += 1;
    }
    let at = |percent: usize| match seen.get(seen.len().saturating_sub(1) * percent / 100) {
        Some((took, _)) => took.as_secs_f64() * 1000.0,
        None => 0.0,
    };
    let per_second = f64::from(u32::try_from(seen.len()).unwrap()) / took;
    Measured { per_second, p50_ms: at(50), p99_ms: at(99), statuses }
}
