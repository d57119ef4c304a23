//! The journal's one connection: made when it is needed, given up when a transaction on it did not
//! end as it should.
//!
//! Whoever uses it does so in a task of its own ([`bounded`]), which is never dropped in the
//! middle: one that takes too long is left to itself together with its connection.

use std::time::Duration;

use sea_orm::{ConnAcquireErr, DatabaseConnection, DbBackend, DbErr};

use crate::store::StoreError;
use crate::store::backend::{self, Backend, Sent};
use crate::store::db::open_writer;

pub(super) struct Link {
    url: String,
    limit: Duration,
    open: Option<(DatabaseConnection, Backend)>,
    /// The last one that was given up; it may hold locks.
    former: Option<(Backend, Sent)>,
}

impl Link {
    pub fn new(url: String, limit: Duration) -> Self {
        Self { url, limit, open: None, former: None }
    }

    /// The connection. A new one first ends what is left of the former on the server.
    pub async fn get(&mut self) -> Result<DatabaseConnection, StoreError> {
        if let Some((db, _)) = &self.open {
            return Ok(db.clone());
        }
        let (url, former) = (self.url.clone(), self.former.clone());
        let opened = bounded(Some(self.limit), async move { open(&url, former).await }).await;
        let (db, backend) = opened.ok_or_else(silent)??;
        self.open = Some((db.clone(), backend));
        Ok(db)
    }

    /// How long a transaction may take. On SQLite as long as it likes: there is no server that
    /// could be silent, and nothing would end what was given up.
    pub fn limit(&self) -> Option<Duration> {
        (!self.url.starts_with("sqlite:")).then_some(self.limit)
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

/// Runs it in a task of its own. `None`: it takes longer than the limit, and goes on without us.
pub(super) async fn bounded<T: 'static>(
    limit: Option<Duration>,
    work: impl Future<Output = T> + 'static,
) -> Option<T> {
    let mut task = actix_rt::spawn(work);
    let ended = match limit {
        Some(limit) => match tokio::time::timeout(limit, &mut task).await {
            Ok(ended) => ended,
            Err(_) => return None,
        },
        None => task.await,
    };
    match ended {
        Ok(value) => Some(value),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends.
        Err(_) => None,
    }
}
