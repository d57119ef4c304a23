//! Staff: accounts and grants here, log-ins in [`sessions`], API tokens in [`tokens`], what they
//! have changed in [`log`].
//!
//! Reads are answered at once; changes are built as [`Write`]s for the journal, but for those of
//! the command line. What a role may do is the domain's business.

pub mod accounts;
pub mod log;
pub mod password;
pub mod sessions;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod views;

use std::collections::BTreeMap;

use entity::{admin_grant, admin_user};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
};

use super::db::{Readers, StoreError, Write};
use crate::domain::id::{StaffId, WxappId};
use crate::domain::staff::{Grants, Role, Scope};
use crate::domain::time::Timestamp;

/// The most accounts that are listed; a shop with more wants another tool.
pub const MEMBERS_MAX: u64 = 500;

/// A member of staff (店员).
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    pub id: StaffId,
    /// Lower case.
    pub login: String,
    pub name: String,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// Sealed; open it with the [`Sealer`](super::seal::Sealer).
    pub totp_secret: Option<String>,
    /// The last time step whose code was used.
    pub totp_step: Option<i64>,
    /// `zh` or `en`.
    pub language: String,
    pub disabled_at: Option<Timestamp>,
    pub version: i64,
    pub created_at: Timestamp,
    pub grants: Grants,
}

/// Hashes and secrets stay out of logs.
impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Member({})", self.id)
    }
}

/// The member with this log-in, lower case.
pub async fn by_login(readers: &Readers, login: &str) -> Result<Option<Member>, StoreError> {
    let row = admin_user::Entity::find().filter(admin_user::Column::Login.eq(login));
    with_grants(readers, row.one(readers.db()).await?).await
}

/// The member with this id.
pub async fn by_id(readers: &Readers, id: StaffId) -> Result<Option<Member>, StoreError> {
    let row = admin_user::Entity::find_by_id(id.get()).one(readers.db()).await?;
    with_grants(readers, row).await
}

async fn with_grants(
    readers: &Readers,
    row: Option<admin_user::Model>,
) -> Result<Option<Member>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    let grants = admin_grant::Entity::find()
        .filter(admin_grant::Column::AdminId.eq(row.id))
        .all(readers.db())
        .await?;
    Ok(Some(member(row, &grants)?))
}

/// Everybody, by log-in.
pub async fn all(readers: &Readers) -> Result<Vec<Member>, StoreError> {
    let rows = admin_user::Entity::find()
        .order_by_asc(admin_user::Column::Login)
        .limit(MEMBERS_MAX)
        .all(readers.db())
        .await?;
    let grants = admin_grant::Entity::find().all(readers.db()).await?;
    let of = |id: i64| -> Vec<admin_grant::Model> {
        grants.iter().filter(|grant| grant.admin_id == id).cloned().collect()
    };
    rows.into_iter()
        .map(|row| {
            let grants = of(row.id);
            member(row, &grants)
        })
        .collect()
}

/// How many accounts there are.
pub async fn count(readers: &Readers) -> Result<u64, StoreError> {
    Ok(admin_user::Entity::find().count(readers.db()).await?)
}

fn member(row: admin_user::Model, grants: &[admin_grant::Model]) -> Result<Member, StoreError> {
    Ok(Member {
        id: StaffId::parse(row.id).map_err(|error| StoreError::row("admin_user", error))?,
        login: row.login,
        name: row.name,
        password_hash: row.password_hash,
        totp_secret: row.totp_secret,
        totp_step: row.totp_step,
        language: row.language,
        disabled_at: row.disabled_at.map(Timestamp::from_millis),
        version: row.version,
        created_at: Timestamp::from_millis(row.created_at),
        grants: grants_from(grants)?,
    })
}

fn grants_from(rows: &[admin_grant::Model]) -> Result<Grants, StoreError> {
    let mut grants = BTreeMap::new();
    for row in rows {
        let role = Role::parse(&row.role)
            .ok_or_else(|| StoreError::row("admin_grant", format!("role {}", row.role)))?;
        grants.insert(scope_from("admin_grant", row.wxapp_id)?, role);
    }
    Ok(Grants(grants))
}

/// Where a grant or a token holds; 0 stands for everywhere.
pub(super) fn scope_from(table: &'static str, wxapp: i64) -> Result<Scope, StoreError> {
    if wxapp == 0 {
        return Ok(Scope::All);
    }
    let id = WxappId::parse(wxapp).map_err(|error| StoreError::row(table, error))?;
    Ok(Scope::One(id))
}

pub(super) fn scope_number(scope: Scope) -> i64 {
    match scope {
        Scope::All => 0,
        Scope::One(wxapp) => wxapp.get(),
    }
}

/// Makes an account. The log-in is unique: taken, the write is refused.
pub fn insert(backend: DbBackend, member: &Member, now: Timestamp) -> Write {
    let row = admin_user::Model {
        id: member.id.get(),
        login: member.login.clone(),
        name: member.name.clone(),
        password_hash: member.password_hash.clone(),
        totp_secret: member.totp_secret.clone(),
        totp_step: member.totp_step,
        language: member.language.clone(),
        disabled_at: member.disabled_at.map(Timestamp::as_millis),
        version: 1,
        created_at: now.as_millis(),
        updated_at: now.as_millis(),
    };
    let insert = admin_user::Entity::insert(row.into_active_model()).build(backend);
    Write::one(insert).then(insert_grants(backend, member.id, &member.grants))
}

/// Gives exactly these grants, in place of those there were.
pub fn replace_grants(backend: DbBackend, id: StaffId, grants: &Grants) -> Write {
    let delete = admin_grant::Entity::delete_many()
        .filter(admin_grant::Column::AdminId.eq(id.get()))
        .build(backend);
    Write::one(delete).then(insert_grants(backend, id, grants))
}

fn insert_grants(backend: DbBackend, id: StaffId, grants: &Grants) -> Write {
    let insert = |(scope, role): (&Scope, &Role)| {
        let row = admin_grant::Model {
            admin_id: id.get(),
            wxapp_id: scope_number(*scope),
            role: role.as_str().to_owned(),
        };
        admin_grant::Entity::insert(row.into_active_model()).build(backend)
    };
    Write::all(grants.0.iter().map(insert))
}

/// What can change of an account.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    Name(String),
    PasswordHash(String),
    /// Sealed; `None` takes the second step away.
    TotpSecret(Option<String>),
    Language(String),
    Disabled(Option<Timestamp>),
}

/// Changes an account.
pub fn update(backend: DbBackend, id: StaffId, change: Change, now: Timestamp) -> Write {
    use admin_user::Column;
    let update = admin_user::Entity::update_many()
        .filter(Column::Id.eq(id.get()))
        .col_expr(Column::UpdatedAt, Expr::value(now.as_millis()))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1));
    let update = match change {
        Change::Name(name) => update.col_expr(Column::Name, Expr::value(name)),
        Change::PasswordHash(hash) => update.col_expr(Column::PasswordHash, Expr::value(hash)),
        Change::TotpSecret(secret) => update
            .col_expr(Column::TotpSecret, Expr::value(secret))
            .col_expr(Column::TotpStep, Expr::value(None::<i64>)),
        Change::Language(language) => update.col_expr(Column::Language, Expr::value(language)),
        Change::Disabled(at) => {
            update.col_expr(Column::DisabledAt, Expr::value(at.map(Timestamp::as_millis)))
        }
    };
    Write::one(update.build(backend))
}

/// The change, unless it would leave nobody who owns everything and can log in: then the whole
/// write is refused. Changes of owners are made one after another, in all processes: each begins by
/// writing the rows of all owners.
pub fn with_an_owner_left(backend: DbBackend, change: Write) -> Write {
    use admin_user::Column;
    let owners = Query::select()
        .column(admin_grant::Column::AdminId)
        .from(admin_grant::Entity)
        .and_where(admin_grant::Column::WxappId.eq(scope_number(Scope::All)))
        .and_where(admin_grant::Column::Role.eq(Role::Owner.as_str()))
        .take();
    let touch = admin_user::Entity::update_many()
        .filter(Column::Id.in_subquery(owners))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1));
    let left = touch.clone().filter(Column::DisabledAt.is_null());
    Write::one(touch.build(backend)).then(change).then(Write::must_meet(left.build(backend)))
}

/// Goes on only if the account can log in and its password is still the one of this hash: it may
/// have changed since it was looked at.
pub fn if_password_is_still(backend: DbBackend, member: &Member) -> Write {
    use admin_user::Column;
    let same = admin_user::Entity::update_many()
        .filter(Column::Id.eq(member.id.get()))
        .filter(Column::PasswordHash.eq(member.password_hash.as_str()))
        .filter(Column::DisabledAt.is_null())
        .col_expr(Column::Version, Expr::col(Column::Version).add(1));
    Write::must_meet(same.build(backend))
}

/// Notes that the code of this time step was used; refused when it, or a later one, was used
/// before.
pub fn use_totp_step(backend: DbBackend, id: StaffId, step: i64) -> Write {
    use admin_user::Column;
    let update = admin_user::Entity::update_many()
        .filter(Column::Id.eq(id.get()))
        .filter(Column::TotpStep.is_null().or(Column::TotpStep.lt(step)))
        .col_expr(Column::TotpStep, Expr::value(step));
    Write::must_meet(update.build(backend))
}
