//! Where the database is: on one server, or on the one of several that takes writes.
//!
//! With several a watch looks at all of them, twice a second and whenever somebody meets trouble,
//! and moves journal and readers together when the server that is written to is lost, refuses, or
//! was left behind by the others. What is under way at the former one is broken off: its answers,
//! should it ever give them, are of no account. With one server nothing of this runs.

mod choice;
mod look;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use sea_orm::{Database, DatabaseConnection, DbErr, RuntimeErr};
use tokio::sync::{Notify, watch};

use super::connect::options;
use super::db::StoreError;
use super::errors::{Trouble, trouble};
use choice::Choice;
use look::Looker;

/// How often all servers are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two looks that somebody in trouble has asked for.
const LOOK_GAP: Duration = Duration::from_millis(50);
/// How long a process that starts looks for a server that takes writes.
const FIND_MAX: Duration = Duration::from_secs(30);
/// A read that takes longer is given up, and the server looked at.
const READ_MAX: Duration = Duration::from_secs(10);
/// What a dead server is given to see its connections closed.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Where the database is.
#[derive(Clone)]
pub enum Servers {
    One(String),
    Cluster(Cluster),
}

impl Servers {
    /// One URL is taken as it is. Of several, each of a server of the same cluster, one that takes
    /// writes is looked for, and watched from then on as long as somebody holds this.
    pub async fn find(urls: &[String], readers: u32) -> Result<Self, StoreError> {
        match urls {
            [url] => Ok(Self::One(url.clone())),
            _ => Ok(Self::Cluster(Cluster::find(urls, readers).await?)),
        }
    }

    /// The URL of the server that takes writes now.
    pub fn url(&self) -> String {
        match self {
            Self::One(url) => url.clone(),
            Self::Cluster(cluster) => cluster.0.place.borrow().url.clone(),
        }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self, Self::One(url) if url.starts_with("sqlite:"))
    }

    /// The server to write to now, and for how long it is the one.
    pub fn stay(&self) -> (String, Stay) {
        match self {
            Self::One(url) => (url.clone(), Stay(None)),
            Self::Cluster(cluster) => {
                let (place, stay) = cluster.stay();
                (place.url.clone(), stay)
            }
        }
    }

    /// Somebody has met this at the server; it may be time to move.
    pub fn report(&self, error: &StoreError) {
        if let (Self::Cluster(cluster), StoreError::Database(error)) = (self, error) {
            cluster.report(error);
        }
    }
}

/// Ends when another server is the one to write to.
#[derive(Clone)]
pub struct Stay(Option<watch::Receiver<Arc<Place>>>);

impl Stay {
    pub fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(|place| place.has_changed().unwrap_or(true))
    }

    /// Waits for it; with one server for ever.
    pub async fn over(&mut self) {
        match &mut self.0 {
            Some(place) => drop(place.changed().await),
            None => std::future::pending().await,
        }
    }
}

/// The server that is written to, and the connections that read from it.
struct Place {
    server: usize,
    url: String,
    readers: DatabaseConnection,
}

/// Several servers of one cluster. Clones share what is known of them.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    place: watch::Sender<Arc<Place>>,
    /// Whether the last look found a server that takes writes.
    writes: AtomicBool,
    look_now: Notify,
}

/// Looks, and decides.
struct Watch {
    urls: Vec<String>,
    lookers: Vec<Looker>,
    choice: Choice,
    readers: u32,
}

impl Cluster {
    async fn find(urls: &[String], readers: u32) -> Result<Self, StoreError> {
        let lookers = urls.iter().cloned().map(Looker::new).collect();
        let choice = Choice::among(urls.len());
        let mut watch = Watch { urls: urls.to_vec(), lookers, choice, readers };
        let finding = tokio::time::timeout(FIND_MAX, watch.find());
        let place = finding.await.map_err(|_| none_writes(urls.len()))?;
        tracing::info!(server = place.server + 1, of = urls.len(), "this server takes writes");
        let inner = Arc::new(Inner {
            place: watch::Sender::new(Arc::new(place)),
            writes: AtomicBool::new(true),
            look_now: Notify::new(),
        });
        tokio::spawn(watch.run(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }

    fn stay(&self) -> (Arc<Place>, Stay) {
        let mut places = self.0.place.subscribe();
        let place = places.borrow_and_update().clone();
        (place, Stay(Some(places)))
    }

    /// Whether there is a server that takes writes, as far as is known.
    pub fn is_writable(&self) -> bool {
        self.0.writes.load(Ordering::Relaxed)
    }

    pub(super) fn readers(&self) -> DatabaseConnection {
        self.0.place.borrow().readers.clone()
    }

    /// Asks the server that is written to. Its answer counts only if it still is that one then.
    pub(super) async fn ask<T, F>(
        &self,
        ask: impl FnOnce(DatabaseConnection) -> F,
    ) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let (place, mut stay) = self.stay();
        let answer = tokio::time::timeout(READ_MAX, ask(place.readers.clone()));
        let answer = match select(pin!(answer), pin!(stay.over())).await {
            Either::Left((Ok(answer), _)) => answer,
            Either::Left((Err(_), _)) => Err(gone("it took too long")),
            Either::Right(_) => Err(gone("another server has taken over")),
        };
        answer.inspect_err(|error| self.report(error))
    }

    fn report(&self, error: &DbErr) {
        if !matches!(trouble(error), Trouble::Content | Trouble::Collision) {
            self.0.look_now.notify_one();
        }
    }
}

impl Watch {
    async fn find(&mut self) -> Place {
        loop {
            if let Some(server) = self.look().await
                && let Some(place) = self.open(server).await
            {
                return place;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// As long as somebody wants to know.
    async fn run(mut self, inner: Weak<Inner>) {
        loop {
            tokio::time::sleep(LOOK_GAP).await;
            {
                let Some(inner) = inner.upgrade() else { return };
                drop(tokio::time::timeout(LOOK_EVERY, inner.look_now.notified()).await);
            }
            let server = self.look().await;
            let Some(inner) = inner.upgrade() else { return };
            if inner.writes.swap(server.is_some(), Ordering::Relaxed) && server.is_none() {
                tracing::error!("no server of the database takes writes");
            }
            let stays = |server: &usize| *server != inner.place.borrow().server;
            if let Some(server) = server.filter(stays)
                && let Some(place) = self.open(server).await
            {
                tracing::warn!(
                    server = server + 1,
                    of = self.urls.len(),
                    "writes move to a server"
                );
                close_aside(inner.place.send_replace(Arc::new(place)).readers.clone());
            }
        }
    }

    async fn look(&mut self) -> Option<usize> {
        let seen = join_all(self.lookers.iter_mut().map(Looker::look)).await;
        self.choice.decide(&seen)
    }

    async fn open(&self, server: usize) -> Option<Place> {
        let url = self.urls[server].clone();
        match Database::connect(options(&url, self.readers)).await {
            Ok(readers) => Some(Place { server, url, readers }),
            Err(error) => {
                tracing::warn!(%error, server = server + 1, "a server takes no readers");
                None
            }
        }
    }
}

/// Closes connections whose server may be gone.
fn close_aside(db: DatabaseConnection) {
    tokio::spawn(async move { drop(tokio::time::timeout(CLOSE_MAX, db.close()).await) });
}

fn none_writes(servers: usize) -> StoreError {
    let seconds = FIND_MAX.as_secs();
    let what = format!("none of its {servers} servers takes writes, asked for {seconds} s");
    DbErr::Conn(RuntimeErr::Internal(what)).into()
}

fn gone(what: &str) -> DbErr {
    let error = std::io::Error::new(std::io::ErrorKind::TimedOut, what);
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error.into())))
}
