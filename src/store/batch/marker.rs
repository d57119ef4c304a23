//! The marker of a batch: tells whether it has committed when COMMIT was not answered.

use entity::batch_marker::{ActiveModel, Column, Entity};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set};

use crate::domain::time::Timestamp;

/// A marker that no other batch has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker(pub String);

/// Inserts a marker. Inside a batch it is the first statement; after a lost COMMIT the same insert on
/// a new connection tells the fate: refused as a duplicate, the batch has committed; taken, it never
/// can.
pub async fn insert_marker(
    db: &impl ConnectionTrait,
    marker: &Marker,
    now: Timestamp,
) -> Result<(), DbErr> {
    let row = ActiveModel { id: Set(marker.0.clone()), created_at: Set(now.as_millis()) };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Deletes markers older than `before`.
pub async fn purge_markers(db: &impl ConnectionTrait, before: Timestamp) -> Result<u64, DbErr> {
    let old = Column::CreatedAt.lt(before.as_millis());
    Ok(Entity::delete_many().filter(old).exec(db).await?.rows_affected)
}
