//! Load over keep-alive connections, as cheap as can be: the client shares the machine with what it
//! measures, so it writes prepared bytes and reads no more of an answer than it must.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::server::{Buyer, Server};

/// One kind of request, by many buyers.
pub struct Load {
    pub name: &'static str,
    address: String,
    buyers: Vec<Buyer>,
    request: Rc<dyn Fn(&Buyer) -> String>,
}

/// What one run has shown.
pub struct Measured {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// How often each status was answered.
    pub statuses: String,
}

impl Load {
    /// `POST /orders` of one piece, without prepay, each under a new key.
    pub fn orders(server: &Server, sku: i64) -> Self {
        let name = match (server.kind, sku == server.sold_out_sku) {
            (_, true) => "sold out",
            (super::Kind::Journal, false) => "group commit",
            (super::Kind::OneByOne, false) => "one transaction per order",
        };
        Self::new(server, name, move |buyer| {
            let body = format!(
                r#"{{"items":[{{"sku_id":{sku},"quantity":1}}],"address_id":{},"prepay":false}}"#,
                buyer.address
            );
            format!(
                "POST /api/v1/orders HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {}\r\n\
                 idempotency-key: {:016x}{:016x}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                buyer.token,
                rand::random::<u64>(),
                rand::random::<u64>(),
                body.len(),
            )
        })
    }

    /// An answer from memory that passes the same middleware and log-in.
    pub fn plain(server: &Server) -> Self {
        Self::new(server, "plain JSON answer", |buyer| {
            format!(
                "GET /api/v1/message-templates HTTP/1.1\r\nhost: shop\r\n\
                 authorization: Bearer {}\r\n\r\n",
                buyer.token
            )
        })
    }

    fn new(
        server: &Server,
        name: &'static str,
        request: impl Fn(&Buyer) -> String + 'static,
    ) -> Self {
        let (address, buyers) = (server.address.clone(), server.buyers.clone());
        Self { name, address, buyers, request: Rc::new(request) }
    }

    /// Puts the load on for a while.
    pub async fn run(&self, connections: usize, during: Duration) -> Measured {
        let until = Instant::now() + during;
        let started = Instant::now();
        let runs = (0..connections).map(|n| {
            let buyer = self.buyers[n % self.buyers.len()].clone();
            let (address, request) = (self.address.clone(), self.request.clone());
            actix_rt::spawn(async move { one_connection(&address, &buyer, &*request, until).await })
        });
        let runs = futures_util::future::join_all(runs).await;
        let took = started.elapsed().as_secs_f64();
        measure(runs.into_iter().flat_map(Result::unwrap).collect(), took)
    }
}

async fn one_connection(
    address: &str,
    buyer: &Buyer,
    request: &dyn Fn(&Buyer) -> String,
    until: Instant,
) -> Vec<(Duration, u16)> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::with_capacity(4096);
    let mut seen = Vec::new();
    while Instant::now() < until {
        let bytes = request(buyer);
        let sent = Instant::now();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let status = read_answer(&mut stream, &mut buffer).await;
        seen.push((sent.elapsed(), status));
    }
    seen
}

/// Reads one answer with a content-length; the status is what is wanted of it.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> u16 {
    buffer.clear();
    loop {
        assert!(stream.read_buf(buffer).await.unwrap() > 0, "the server hung up");
        let Some(head) = find(buffer, b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&buffer[..head]).unwrap();
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        if buffer.len() >= head + 4 + length.unwrap_or(0) {
            return text[9..12].parse().unwrap();
        }
    }
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
    let at = |percent: usize| seen[(seen.len() - 1) * percent / 100].0.as_secs_f64() * 1000.0;
    let statuses: Vec<String> =
        statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    Measured {
        per_second: f64::from(u32::try_from(seen.len()).unwrap()) / took,
        p50_ms: at(50),
        p99_ms: at(99),
        statuses: statuses.join(", "),
    }
}
