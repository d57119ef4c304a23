//! The journal's one connection: made when it is needed, given up when a transaction on it did not
//! end as it should.
//!
//! Whoever uses it does so in a task of its own ([`bounded`]), which is never dropped in the
//! middle: one that takes too long is left to itself together with its connection.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use sea_orm::{ConnAcquireErr, DatabaseConnection, DbBackend, DbErr};

use crate::store::StoreError;
use crate::store::backend::{self, Backend, Sent};
use crate::store::db::open_writer;
use crate::store::servers::{Servers, Stay};

pub(super) struct Link {
    servers: Servers,
    limit: Duration,
    open: Option<(DatabaseConnection, Backend)>,
    /// For how long the server of `open` is the one to write to.
    stay: Stay,
    /// The last one that was given up; it may hold locks.
    former: Option<(Backend, Sent)>,
}

impl Link {
    pub fn new(servers: Servers, limit: Duration) -> Self {
        let (_, stay) = servers.stay();
        Self { servers, limit, open: None, stay, former: None }
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
        let opened = bounded(patience, async move { open(&url, former).await }).await;
        let (db, backend) = opened.ok_or_else(silent)??;
        self.open = Some((db.clone(), backend));
        Ok(db)
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
) -> Result<(DatabaseConnection, Backend), StoreError> {
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
    Ok((db, backend))
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

/// Runs it in a task of its own. `None`: patience is at its end, and it goes on without us.
pub(super) async fn bounded<T: 'static>(
    patience: Patience,
    work: impl Future<Output = T> + 'static,
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
