//! The marker of a batch: tells whether it has committed when COMMIT was not answered.

use entity::batch_marker::{ActiveModel, Column, Entity};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set};

use crate::domain::time::Timestamp;

/// A marker that no other batch has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker(pub String);

/// Inserts a marker: the first statement of a batch.
pub async fn insert_marker(
    db: &impl ConnectionTrait,
    marker: &Marker,
    now: Timestamp,
) -> Result<(), DbErr> {
    let row = ActiveModel { id: Set(marker.0.clone()), created_at: Set(now.as_millis()) };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// After a lost COMMIT, on a new connection: inserts the marker itself and word that it was us. Taken
/// and committed, the batch never can commit; refused as a duplicate, either the batch has committed
/// or we were here before, which [`is_fenced`] tells.
pub async fn insert_fence(
    db: &impl ConnectionTrait,
    marker: &Marker,
    now: Timestamp,
) -> Result<(), DbErr> {
    let row = |id: String| ActiveModel { id: Set(id), created_at: Set(now.as_millis()) };
    let rows = [row(marker.0.clone()), row(fence(marker))];
    Entity::insert_many(rows).exec_without_returning(db).await?;
    Ok(())
}

/// Whether a batch was kept from committing: its marker is ours, not its own.
pub async fn is_fenced(db: &impl ConnectionTrait, marker: &Marker) -> Result<bool, DbErr> {
    Ok(Entity::find_by_id(fence(marker)).one(db).await?.is_some())
}

fn fence(marker: &Marker) -> String {
    format!("{}-no", marker.0)
}

/// Deletes markers older than `before`.
pub async fn purge_markers(db: &impl ConnectionTrait, before: Timestamp) -> Result<u64, DbErr> {
    let old = Column::CreatedAt.lt(before.as_millis());
    Ok(Entity::delete_many().filter(old).exec(db).await?.rows_affected)
}
