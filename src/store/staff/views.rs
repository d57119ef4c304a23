//! Filters of the list of orders that members of staff have kept, each for himself.

use entity::admin_view::{Column, Entity, Model};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
};

use crate::domain::id::{StaffId, WxappId};
use crate::domain::time::Timestamp;
use crate::store::db::{Readers, StoreError, Write};

/// The most filters that one person keeps for a mini-program.
pub const VIEWS_MAX: usize = 20;
/// The longest filter, in bytes.
pub const QUERY_MAX: usize = 1000;

/// A filter under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub id: i64,
    pub name: String,
    /// As in the address of the list.
    pub query: String,
}

/// What one person has kept for a mini-program, the oldest first.
pub async fn of(readers: &Readers, staff: StaffId, shop: WxappId) -> Result<Vec<View>, StoreError> {
    let rows = select(staff, shop).limit(VIEWS_MAX as u64).all(readers.db()).await?;
    let view = |row: Model| View { id: row.id, name: row.name, query: row.query };
    Ok(rows.into_iter().map(view).collect())
}

pub(in crate::store) fn select(staff: StaffId, shop: WxappId) -> Select<Entity> {
    Entity::find()
        .filter(Column::AdminId.eq(staff.get()))
        .filter(Column::WxappId.eq(shop.get()))
        .order_by_asc(Column::Id)
}

/// Keeps a filter.
pub fn insert(
    backend: DbBackend,
    (staff, shop): (StaffId, WxappId),
    view: &View,
    now: Timestamp,
) -> Write {
    let row = Model {
        id: view.id,
        admin_id: staff.get(),
        wxapp_id: shop.get(),
        name: view.name.clone(),
        query: view.query.clone(),
        created_at: now.as_millis(),
    };
    Write::one(Entity::insert(row.into_active_model()).build(backend))
}

/// Forgets a filter, if it is this person's.
pub fn delete(backend: DbBackend, staff: StaffId, shop: WxappId, id: i64) -> Write {
    let delete = Entity::delete_many()
        .filter(Column::Id.eq(id))
        .filter(Column::AdminId.eq(staff.get()))
        .filter(Column::WxappId.eq(shop.get()));
    Write::one(delete.build(backend))
}
