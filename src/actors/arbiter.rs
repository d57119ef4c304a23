//! Threads for actors, which may end with reads of the database under way.

use actix_rt::Arbiter;
use tokio::runtime::{Builder, Handle};

/// A new arbiter. What its thread lets go of when it ends, such as a connection of the readers'
/// pool, is looked after by the runtime of the caller, which lives longer: sqlx gives a connection
/// back in a task, and panics where there is no runtime for it.
pub(super) fn new() -> std::io::Result<Arbiter> {
    let main = Handle::current();
    Arbiter::try_with_tokio_rt(move || {
        // For as long as the thread lives, and behind its own runtime while that runs.
        std::mem::forget(main.enter());
        Builder::new_current_thread().enable_all().build()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sea_orm::TransactionTrait as _;

    use crate::store::db::open_readers;

    /// Tells at its end whether that is a panic.
    struct Witness(std::sync::mpsc::Sender<bool>);

    impl Drop for Witness {
        fn drop(&mut self) {
            self.0.send(std::thread::panicking()).unwrap();
        }
    }

    #[actix_rt::test]
    async fn an_arbiter_that_ends_in_a_read_gives_its_connection_back() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("shop.db").display());
        crate::store::db::open_writer(&url).await.unwrap().close().await.unwrap();
        let readers = open_readers(&url, 1).await.unwrap();
        let (reading, began) = tokio::sync::oneshot::channel();
        let (witness, panicked) = std::sync::mpsc::channel();
        let arbiter = super::new().unwrap();
        let (theirs, ours) = (readers.clone(), readers);
        arbiter.spawn(async move {
            // Let go of after what is held.
            let _witness = Witness(witness);
            let _held = theirs.db().begin().await.unwrap();
            reading.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        began.await.unwrap();
        arbiter.stop();
        let ended = actix_rt::task::spawn_blocking(move || arbiter.join()).await.unwrap();
        assert!(ended.is_ok() && !panicked.recv().unwrap(), "its thread has panicked");
        // The only connection can be had again.
        ours.db().begin().await.unwrap().rollback().await.unwrap();
    }
}
