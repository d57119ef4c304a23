//! Categories of goods, a tree: read whole, written one row at a time.

use std::collections::{HashMap, HashSet};

use entity::category::{Column, Entity, Model};
use entity::goods;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};

use super::super::db::{Readers, StoreError, Write};
use crate::domain::id::{CategoryId, WxappId};
use crate::domain::time::Timestamp;

/// The most categories of a mini-program.
pub const CATEGORIES_MAX: usize = 1_000;
/// The most levels of the tree.
pub const DEPTH_MAX: usize = 5;

/// A category in its place in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    pub id: CategoryId,
    pub parent: Option<CategoryId>,
    pub name: String,
    pub sort: i64,
    /// How many stand above it.
    pub depth: usize,
    /// Names from the top to this one.
    pub path: String,
}

/// A category as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryTerms {
    pub name: String,
    pub parent: Option<CategoryId>,
    pub sort: i64,
}

/// The tree from the top, each before those below it. What hangs on nothing comes last, as if it
/// stood at the top, so that it can be put right.
pub async fn tree(readers: &Readers, wxapp: WxappId) -> Result<Vec<Branch>, StoreError> {
    let mut below: HashMap<i64, Vec<Model>> = HashMap::new();
    for row in rows(readers, wxapp).await? {
        below.entry(row.parent_id).or_default().push(row);
    }
    let mut tree = Vec::new();
    grow(&mut tree, &mut below, 0, ("", 0))?;
    while let Some(parent) = below.keys().min().copied() {
        grow(&mut tree, &mut below, parent, ("? / ", 0))?;
    }
    Ok(tree)
}

fn grow(
    tree: &mut Vec<Branch>,
    below: &mut HashMap<i64, Vec<Model>>,
    parent: i64,
    (path, depth): (&str, usize),
) -> Result<(), StoreError> {
    // Taken out, so that a row that is its own ancestor ends here.
    for row in below.remove(&parent).unwrap_or_default() {
        let path = format!("{path}{}", row.name);
        tree.push(Branch {
            id: CategoryId::parse(row.id).map_err(|error| StoreError::row("category", error))?,
            parent: CategoryId::parse(row.parent_id).ok(),
            name: row.name,
            sort: row.sort,
            depth,
            path: path.clone(),
        });
        grow(tree, below, row.id, (&format!("{path} / "), depth + 1))?;
    }
    Ok(())
}

async fn rows(readers: &Readers, wxapp: WxappId) -> Result<Vec<Model>, StoreError> {
    let rows = Entity::find()
        .filter(Column::WxappId.eq(wxapp.get()))
        .order_by_asc(Column::Sort)
        .order_by_asc(Column::Id)
        .limit(CATEGORIES_MAX as u64);
    Ok(rows.all(readers.db()).await?)
}

/// A category and all below it.
pub(super) async fn with_descendants(
    readers: &Readers,
    wxapp: WxappId,
    category: CategoryId,
) -> Result<Vec<i64>, StoreError> {
    let rows = rows(readers, wxapp).await?;
    let mut wanted = HashSet::from([category.get()]);
    let mut open = vec![category.get()];
    while let Some(parent) = open.pop() {
        let below = rows.iter().filter(|row| row.parent_id == parent).map(|row| row.id);
        open.extend(below.filter(|id| wanted.insert(*id)));
    }
    Ok(wanted.into_iter().collect())
}

/// Whether any goods are in this category itself.
pub async fn has_goods(
    readers: &Readers,
    wxapp: WxappId,
    id: CategoryId,
) -> Result<bool, StoreError> {
    let one: Option<i64> = goods::Entity::find()
        .select_only()
        .column(goods::Column::Id)
        .filter(goods::Column::WxappId.eq(wxapp.get()))
        .filter(goods::Column::CategoryId.eq(id.get()))
        .limit(1)
        .into_tuple()
        .one(readers.db())
        .await?;
    Ok(one.is_some())
}

/// Before a change of the tree: those of one shop are made one after another, in all processes,
/// since each begins by writing the row of the shop. What stands above the place was looked at
/// before, so each of it must still hang where it hung, or nothing is written: two moves at once
/// cannot make a loop, and nothing is hung on what went.
pub fn if_above_is_still(backend: DbBackend, wxapp: WxappId, above: &[&Branch]) -> Write {
    let touch = entity::wxapp::Entity::update_many()
        .filter(entity::wxapp::Column::Id.eq(wxapp.get()))
        .col_expr(entity::wxapp::Column::Version, Expr::col(entity::wxapp::Column::Version).add(1));
    let still = |branch: &&Branch| {
        let parent = branch.parent.map_or(0, CategoryId::get);
        let same = Entity::update_many()
            .col_expr(Column::ParentId, Expr::value(parent))
            .filter(Column::Id.eq(branch.id.get()))
            .filter(Column::WxappId.eq(wxapp.get()))
            .filter(Column::ParentId.eq(parent));
        Write::must_meet(same.build(backend))
    };
    let all = Write::must_meet(touch.build(backend));
    above.iter().map(still).fold(all, Write::then)
}

/// A new category. The database refuses a name that another one beside it has.
pub fn insert(
    backend: DbBackend,
    wxapp: WxappId,
    id: CategoryId,
    terms: &CategoryTerms,
    now: Timestamp,
) -> Write {
    let row = Model {
        id: id.get(),
        wxapp_id: wxapp.get(),
        parent_id: terms.parent.map_or(0, CategoryId::get),
        name: terms.name.clone(),
        image_url: String::new(),
        sort: terms.sort,
        created_at: now.as_millis(),
    };
    Write::one(Entity::insert(row.into_active_model()).build(backend))
}

/// Another name, place or parent.
pub fn update(backend: DbBackend, wxapp: WxappId, id: CategoryId, terms: &CategoryTerms) -> Write {
    let update = Entity::update_many()
        .col_expr(Column::Name, Expr::value(terms.name.clone()))
        .col_expr(Column::ParentId, Expr::value(terms.parent.map_or(0, CategoryId::get)))
        .col_expr(Column::Sort, Expr::value(terms.sort))
        .filter(Column::Id.eq(id.get()))
        .filter(Column::WxappId.eq(wxapp.get()));
    Write::must_meet(update.build(backend))
}

/// Deletes one on which nothing hangs, or is refused.
pub fn delete(backend: DbBackend, wxapp: WxappId, id: CategoryId) -> Write {
    let below = Entity::find()
        .select_only()
        .column(Column::ParentId)
        .filter(Column::WxappId.eq(wxapp.get()))
        .filter(Column::ParentId.eq(id.get()));
    let within = goods::Entity::find()
        .select_only()
        .column(goods::Column::CategoryId)
        .filter(goods::Column::WxappId.eq(wxapp.get()))
        .filter(goods::Column::CategoryId.eq(id.get()));
    let delete = Entity::delete_many()
        .filter(Column::Id.eq(id.get()))
        .filter(Column::WxappId.eq(wxapp.get()))
        .filter(Column::Id.not_in_subquery(below.into_query()))
        .filter(Column::Id.not_in_subquery(within.into_query()));
    Write::must_meet(delete.build(backend))
}
