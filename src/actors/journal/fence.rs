//! Whether a batch whose COMMIT was not answered has committed: its marker decides.

use std::rc::Rc;

use sea_orm::{DatabaseConnection, DbErr, SqlErr};

use super::actor::JournalSettings;
use super::probe::{Point, Verdict};
use crate::store::StoreError;
use crate::store::batch::{Marker, insert_fence, is_fenced};
use crate::store::db::begin_write;

/// Puts our own word where the batch's marker would stand, or learns that it stands there.
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
            Ok(!is_fenced(&db, &marker).await?)
        }
        Err(error) => Err(error.into()),
    }
}

fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}
