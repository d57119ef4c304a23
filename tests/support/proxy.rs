//! A TCP proxy between a shop and its database that breaks connections at chosen moments.
//!
//! It understands just enough of both wire protocols to see where a message of the client ends, and
//! whether it is BEGIN, COMMIT, or the insert of a batch's marker. Everything else passes as it is.

use std::io::{self, Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

/// Longest wait for what a healthy shop does in a moment.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest message that either protocol of these tests has.
const MESSAGE_MAX: usize = 16 << 20;
/// Into a transaction by so many messages, something has been written.
const INSIDE: u32 = 4;
/// How long a late COMMIT may take.
const LANDING_LOOKS_MAX: u32 = 3_000;
const LANDING_PAUSE: Duration = Duration::from_millis(5);

/// Whose protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Postgres,
    Mysql,
}

/// What becomes of the next COMMIT, or of the transaction before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// COMMIT takes effect, and the connection breaks before the answer.
    AnswerLost,
    /// The connection breaks for the client; COMMIT is kept, and the server waits for it.
    Held,
    /// The same, until the client is back on another connection and looks for what it has lost:
    /// COMMIT lands then, before it can.
    LandsLate,
    /// The connection breaks on both sides in the middle of the transaction.
    CutInside,
    /// COMMIT takes effect; then nothing comes and nothing goes, and nothing breaks.
    SilentAfterCommit,
    /// COMMIT does not arrive; otherwise the same.
    SilentBeforeCommit,
}

/// What has happened at the proxy, to wait for.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Plans that have been carried out.
    hits: u32,
    /// Markers that were inserted on connections younger than the one that was hit last.
    fences: u32,
    /// COMMITs that were kept, then delivered, and have been answered.
    landed: u32,
}

struct Shared {
    wire: Wire,
    upstream: SocketAddr,
    state: Mutex<State>,
    seen: watch::Sender<Seen>,
}

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    /// How many hits there are once the plan has been carried out.
    hits_then: u32,
    lines: u64,
    /// The line that was hit last.
    hit: u64,
    held: Option<(TcpStream, Vec<u8>)>,
    /// What is held lands when the client comes back.
    lands_late: bool,
}

pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

/// How bytes of the server go on.
const PASS: u8 = 0;
const LOSE: u8 = 1;
const MUTE: u8 = 2;
const KEEP: u8 = 3;

impl Proxy {
    /// Listens before the server of this URL.
    pub fn before(wire: Wire, url: &str) -> Self {
        let upstream = url.split(['/', '@']).find_map(|part| part.parse().ok());
        let upstream = upstream.unwrap_or_else(|| panic!("no address in {url}"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (state, seen) = (Mutex::default(), watch::Sender::new(Seen::default()));
        let shared = Arc::new(Shared { wire, upstream, state, seen });
        let accepting = shared.clone();
        // It ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                accepting.clone().open(client.unwrap());
            }
        });
        Self { shared, port }
    }

    /// The URL of the same database by way of the proxy.
    pub fn url(&self, url: &str) -> String {
        url.replace(&self.shared.upstream.to_string(), &format!("127.0.0.1:{}", self.port))
    }

    /// From now on this is what happens at the next occasion, once.
    pub fn plans(&self, plan: Plan) {
        let mut state = self.shared.state.lock().unwrap();
        state.plan = Some(plan);
        state.hits_then = self.shared.seen.borrow().hits + 1;
    }

    /// Waits until the plan has been carried out.
    pub async fn has_hit(&self) {
        let hits = self.shared.state.lock().unwrap().hits_then;
        self.waits_for("a transaction", move |seen| seen.hits >= hits).await;
    }

    /// Waits until the client has come back and inserts the marker of the batch that was hit.
    pub async fn sees_the_fence(&self) {
        self.waits_for("the marker", |seen| seen.fences > 0).await;
    }

    async fn waits_for(&self, what: &str, come: impl Fn(&Seen) -> bool) {
        let mut seen = self.shared.seen.subscribe();
        let waited = tokio::time::timeout(PATIENCE, seen.wait_for(|seen| come(seen))).await;
        assert!(matches!(waited, Ok(Ok(_))), "the proxy never saw {what}");
    }

    /// Waits until the COMMIT that was kept has landed.
    pub async fn has_landed(&self) {
        self.waits_for("an answer to the late COMMIT", |seen| seen.landed > 0).await;
    }

    /// The COMMIT that was kept never arrives: the server sees its client go.
    pub fn forgets(&self) {
        self.held().0.shutdown(Shutdown::Both).unwrap();
    }

    fn held(&self) -> (TcpStream, Vec<u8>) {
        self.shared.state.lock().unwrap().held.take().expect("a COMMIT is held")
    }
}

/// One connection, and how it stands.
struct Line {
    number: u64,
    client: TcpStream,
    server: TcpStream,
    mode: Arc<AtomicU8>,
    /// Messages since BEGIN.
    inside: Option<u32>,
    greeted: bool,
}

impl Shared {
    fn open(self: Arc<Self>, client: TcpStream) {
        // The server is down: so is the connection.
        let Ok(server) = TcpStream::connect(self.upstream) else { return };
        drop((client.set_nodelay(true), server.set_nodelay(true)));
        let number = {
            let mut state = self.state.lock().unwrap();
            state.lines += 1;
            state.lines
        };
        let mode = Arc::new(AtomicU8::new(PASS));
        let (to, from) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let (shared, down) = (self.clone(), mode.clone());
        std::thread::spawn(move || shared.pass_down(from, to, &down));
        let line = Line { number, client, server, mode, inside: None, greeted: false };
        std::thread::spawn(move || drop(self.pass_up(line)));
    }

    fn pass_down(&self, mut server: TcpStream, mut client: TcpStream, mode: &AtomicU8) {
        let mut bytes = [0; 16 << 10];
        while let Ok(read @ 1..) = server.read(&mut bytes) {
            match mode.load(Ordering::SeqCst) {
                PASS if client.write_all(&bytes[..read]).is_err() => break,
                PASS | MUTE => {}
                KEEP => self.seen.send_modify(|seen| seen.landed += 1),
                _ => {
                    drop(server.shutdown(Shutdown::Both));
                    break;
                }
            }
        }
        if mode.load(Ordering::SeqCst) == LOSE {
            self.seen.send_modify(|seen| seen.hits += 1);
        }
        if mode.load(Ordering::SeqCst) != MUTE {
            drop(client.shutdown(Shutdown::Both));
        }
    }

    fn pass_up(&self, mut line: Line) -> io::Result<()> {
        loop {
            let message = match self.read_message(&mut line) {
                Ok(message) => message,
                Err(error) => {
                    drop(line.server.shutdown(Shutdown::Both));
                    return Err(error);
                }
            };
            if line.mode.load(Ordering::SeqCst) == MUTE {
                continue;
            }
            self.land(&line, &message);
            match self.decide(&mut line, &message) {
                None | Some(Plan::AnswerLost) => line.server.write_all(&message)?,
                Some(Plan::SilentAfterCommit) => {
                    line.server.write_all(&message)?;
                    self.hit();
                }
                Some(Plan::SilentBeforeCommit) => self.hit(),
                Some(Plan::CutInside) => {
                    drop((
                        line.client.shutdown(Shutdown::Both),
                        line.server.shutdown(Shutdown::Both),
                    ));
                    self.hit();
                }
                Some(Plan::Held | Plan::LandsLate) => {
                    let server = line.server.try_clone()?;
                    self.state.lock().unwrap().held = Some((server, message));
                    drop(line.client.shutdown(Shutdown::Both));
                    self.hit();
                    return Ok(());
                }
            }
        }
    }

    /// Delivers a COMMIT that is to land late, and waits until the server has answered it.
    fn land(&self, line: &Line, message: &[u8]) {
        let late = {
            let mut state = self.state.lock().unwrap();
            let returns = state.lands_late && line.number > state.hit;
            let speaks = self.wire.asks_after_another(message);
            state.held.take_if(|_| returns && speaks)
        };
        let Some((mut server, commit)) = late else { return };
        server.write_all(&commit).unwrap();
        for _ in 0..LANDING_LOOKS_MAX {
            if self.seen.borrow().landed > 0 {
                return;
            }
            std::thread::sleep(LANDING_PAUSE);
        }
    }

    fn hit(&self) {
        self.seen.send_modify(|seen| seen.hits += 1);
    }

    /// What becomes of the message; none: it passes.
    fn decide(&self, line: &mut Line, message: &[u8]) -> Option<Plan> {
        let words = self.wire.words(message);
        let mut state = self.state.lock().unwrap();
        let is_fence = contains(message, b"batch_marker") && contains(message, b"INSERT");
        if state.hit > 0 && line.number > state.hit && is_fence {
            self.seen.send_modify(|seen| seen.fences += 1);
        }
        let commits = words.starts_with(b"COMMIT");
        line.inside = match line.inside {
            _ if words.starts_with(b"BEGIN") || words.starts_with(b"START") => Some(0),
            _ if commits || words.starts_with(b"ROLLBACK") => None,
            inside => inside.map(|messages| messages + 1),
        };
        let due = match state.plan? {
            Plan::CutInside => line.inside.is_some_and(|messages| messages >= INSIDE),
            _ => commits,
        };
        if !due {
            return None;
        }
        state.hit = line.number;
        state.lands_late = state.plan == Some(Plan::LandsLate);
        self.seen.send_modify(|seen| seen.fences = 0);
        match state.plan {
            Some(Plan::AnswerLost) => line.mode.store(LOSE, Ordering::SeqCst),
            Some(Plan::SilentAfterCommit | Plan::SilentBeforeCommit) => {
                line.mode.store(MUTE, Ordering::SeqCst);
            }
            Some(Plan::Held | Plan::LandsLate) => line.mode.store(KEEP, Ordering::SeqCst),
            _ => {}
        }
        state.plan.take()
    }

    fn read_message(&self, line: &mut Line) -> io::Result<Vec<u8>> {
        let (head, length) = match (self.wire, line.greeted) {
            (Wire::Mysql, _) => (4, None),
            (Wire::Postgres, false) => (4, Some(0)),
            (Wire::Postgres, true) => (5, Some(1)),
        };
        let mut message = vec![0; head];
        line.client.read_exact(&mut message)?;
        let rest = match length {
            None => {
                usize::from(message[0])
                    | usize::from(message[1]) << 8
                    | usize::from(message[2]) << 16
            }
            Some(at) => {
                let counted = message[at..at + 4].try_into().map(u32::from_be_bytes);
                // It counts itself.
                (counted.unwrap_or(0) as usize).saturating_sub(4)
            }
        };
        assert!(rest <= MESSAGE_MAX, "a message of {rest} bytes");
        message.resize(head + rest, 0);
        line.client.read_exact(&mut message[head..])?;
        if self.wire == Wire::Postgres && !line.greeted {
            // A question whether TLS is wanted may come first.
            const PROTOCOL_3: [u8; 4] = 196_608u32.to_be_bytes();
            line.greeted = message.get(4..8) == Some(&PROTOCOL_3);
        }
        Ok(message)
    }
}

impl Wire {
    /// The text of a plain query; nothing of other messages.
    fn words(self, message: &[u8]) -> &[u8] {
        let (is_query, from) = match self {
            Self::Postgres => (message.first() == Some(&b'Q'), 5),
            Self::Mysql => (message.get(3..5) == Some(&[0, 3]), 5),
        };
        if is_query { message.get(from..).unwrap_or_default() } else { &[] }
    }

    /// Whether the client looks for the session, or the batch, that it has lost.
    fn asks_after_another(self, message: &[u8]) -> bool {
        let words: [&[u8]; 3] = [b"pg_terminate_backend", b"IS_USED_LOCK", b"batch_marker"];
        words.into_iter().any(|words| contains(message, words))
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted))
}
