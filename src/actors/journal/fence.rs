//! Whether a batch whose COMMIT was not answered has committed: its marker decides.

use std::rc::Rc;

use sea_orm::{DatabaseConnection, DbErr, SqlErr};

use super::actor::JournalSettings;
use super::probe::{Point, Verdict};
use super::transaction::new_marker;
use crate::store::StoreError;
use crate::store::batch::{Marker, insert_fence, insert_marker, is_fenced};
use crate::store::db::begin_write;

/// True: it has, and that lasts; false: it never will. Puts our own word where the batch's marker
/// would stand, or learns that it stands there.
pub(super) async fn fence(
    settings: Rc<JournalSettings>,
    db: DatabaseConnection,
    marker: Marker,
) -> Result<bool, StoreError> {
    let txn = begin_write(&db).await?;
    match insert_fence(&txn, &marker, settings.clock.now()).await {
        Ok(()) => {
            txn.commit().await?;
            match settings.probe.at(Point::AfterFence).await {
                Verdict::GoOn => Ok(false),
                _ => Err(DbErr::Custom("the probe lost the answer".into()).into()),
            }
        }
        Err(error) if is_duplicate(&error) => {
            txn.rollback().await?;
            if is_fenced(&db, &marker).await? {
                return Ok(false);
            }
            lasts(&settings, &db).await?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// A marker that can be seen is not yet one that a power cut or a fail-over leaves: InnoDB shows a
/// commit before its log is flushed, and PostgreSQL one that no standby has, when it was killed in
/// the middle of waiting. A commit after it is answered when both are on the disk and the standby.
async fn lasts(settings: &JournalSettings, db: &DatabaseConnection) -> Result<(), StoreError> {
    let txn = begin_write(db).await?;
    insert_marker(&txn, &new_marker(), settings.clock.now()).await?;
    Ok(txn.commit().await?)
}

fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}
