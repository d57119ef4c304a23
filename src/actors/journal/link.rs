//! The journal's one connection: made when it is needed, given up when a transaction on it did not
//! end as it should.
//!
//! Whoever uses it does so in a task of its own ([`bounded`]), which is never dropped in the
//! middle: one that takes too long is left to itself together with its connection.

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, LocalBoxFuture, select};
use sea_orm::{ConnAcquireErr, DatabaseConnection, DbBackend, DbErr};

use crate::store::StoreError;
use crate::store::backend::{self, Backend, Sent};
use crate::store::batch::has_turns;
use crate::store::db::{is_galera, open_writer};
use crate::store::servers::{Servers, Stay};

pub(super) struct Link {
    servers: Servers,
    limit: Duration,
    open: Option<(DatabaseConnection, Backend)>,
    is_galera: bool,
    /// For how long the server of `open` is the one to write to.
    stay: Stay,
    /// The last one that was given up; it may hold locks.
    former: Option<(Backend, Sent)>,
    /// How many have been opened.
    opened: u64,
}

impl Link {
    pub fn new(servers: Servers, limit: Duration) -> Self {
        let (_, stay) = servers.stay();
        Self { servers, limit, open: None, is_galera: false, stay, former: None, opened: 0 }
    }

    /// The connection. A new one first ends what is left of the former on the server.
    pub async fn get(&mut self) -> Result<DatabaseConnection, StoreError> {
        if self.stay.is_over() {
            self.close_quietly();
        }
        if let Some((db, _)) = &self.open {
            return Ok(db.clone());
        }
        let (url, stay) = self.servers.stay();
        self.stay = stay;
        let former = self.former.clone();
        let patience = Patience { limit: Some(self.limit), ..self.patience() };
        let opened = async move { open(&url, former).await };
        let opened = bounded(patience, opened.boxed_local()).await;
        let (db, backend, is_galera) = opened.ok_or_else(silent)??;
        self.is_galera = is_galera;
        self.open = Some((db.clone(), backend));
        self.opened += 1;
        Ok(db)
    }

    /// Says which connection is open: two answers are alike as long as it is the same.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Whether it leads to a node of a Galera cluster.
    pub fn is_galera(&self) -> bool {
        self.is_galera
    }

    /// Whether processes can take turns on it.
    pub fn has_turns(&self) -> bool {
        self.open.as_ref().is_some_and(|(db, _)| has_turns(db.get_database_backend()))
    }

    /// How long a transaction may take. On SQLite as long as it likes: there is no server that
    /// could be silent, and nothing would end what was given up.
    pub fn limit(&self) -> Option<Duration> {
        (!self.servers.is_sqlite()).then_some(self.limit)
    }

    /// How long anything on the connection is waited for.
    pub fn patience(&self) -> Patience {
        Patience { limit: self.limit(), stay: self.stay.clone() }
    }

    /// The server has answered so, or not at all; of several another may be better.
    pub fn report(&self, error: &StoreError) {
        self.servers.report(error);
    }

    /// Lets the connection close by itself; whatever its transaction is doing, it is not ours.
    pub fn abandon(&mut self, sent: Sent) {
        if let Some((db, backend)) = self.open.take() {
            self.former = Some((backend, sent));
            actix_rt::spawn(async move { drop(db.close().await) });
        }
    }

    /// Lets go of a connection that has only looked after the former one.
    pub fn close_quietly(&mut self) {
        if let Some((db, _)) = self.open.take() {
            actix_rt::spawn(async move { drop(db.close().await) });
        }
    }

    /// What the former connection began has come to its end.
    pub fn forget_former(&mut self) {
        self.former = None;
    }

    pub async fn close(&mut self) {
        if let Some((db, _)) = self.open.take()
            && let Err(error) = db.close().await
        {
            tracing::warn!(%error, "the journal's connection did not close well");
        }
    }
}

async fn open(
    url: &str,
    former: Option<(Backend, Sent)>,
) -> Result<(DatabaseConnection, Backend, bool), StoreError> {
    let db = open_writer(url).await?;
    let backend = match db.get_database_backend() {
        DbBackend::Sqlite => Backend::None,
        _ => backend::identify(&db).await?,
    };
    if let Some((former, sent)) = former {
        match backend::end(&db, &former, sent).await {
            Ok(true) => tracing::warn!("the former connection was ended on the server"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the former connection could not be ended"),
        }
    }
    let is_galera = is_galera(&db).await?;
    Ok((db, backend, is_galera))
}

/// The server has not answered in time.
pub(super) fn silent() -> StoreError {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout).into()
}

/// For how long an answer is worth waiting for.
pub(super) struct Patience {
    limit: Option<Duration>,
    stay: Stay,
}

impl Patience {
    /// Waits until it is at its end.
    async fn end(mut self) {
        let over = self.stay.over();
        match self.limit {
            Some(limit) => drop(tokio::time::timeout(limit, over).await),
            None => over.await,
        }
    }
}

/// Runs it in a task of its own. `None`: patience is at its end, and it goes on without us. Boxed,
/// or futures lie in each other deeper than the compiler looks when it optimises.
pub(super) async fn bounded<T: 'static>(
    patience: Patience,
    work: LocalBoxFuture<'static, T>,
) -> Option<T> {
    let task = actix_rt::spawn(work);
    let ended = match select(task, pin!(patience.end())).await {
        Either::Left((ended, _)) => ended,
        Either::Right(((), _)) => return None,
    };
    match ended {
        Ok(value) => Some(value),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends.
        Err(_) => None,
    }
}
