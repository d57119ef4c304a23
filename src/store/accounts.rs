//! Buyers: who they are, their log-ins, their address book, the messages they have agreed to.
//!
//! Reads are answered at once; changes are built as [`Write`]s for the journal. Everything is
//! scoped by mini-program and buyer: another's row is not found and not changed.

use entity::{message_grant, order, session, user, user_address};
use sea_orm::sea_query::{CaseStatement, Expr, OnConflict};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, ExprTrait, FromQueryResult, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use super::db::{Readers, StoreError, Write};
use crate::domain::address::Address;
use crate::domain::id::{AddressId, UserId, WxappId};
use crate::domain::time::Timestamp;

/// The most addresses that a buyer's book holds.
pub const ADDRESSES_MAX: u64 = 50;

/// A buyer (买家).
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub openid: String,
    pub nickname: String,
    pub avatar_url: String,
}

/// Personal data stays out of logs.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "User({})", self.id)
    }
}

/// The buyer with this openid, if we know one.
pub async fn user_by_openid(
    readers: &Readers,
    wxapp: WxappId,
    openid: &str,
) -> Result<Option<User>, StoreError> {
    let row = user::Entity::find()
        .filter(user::Column::WxappId.eq(wxapp.get()))
        .filter(user::Column::Openid.eq(openid))
        .one(readers.db())
        .await?;
    row.map(user_from).transpose()
}

/// The buyer with this id.
pub async fn user_by_id(
    readers: &Readers,
    wxapp: WxappId,
    user: UserId,
) -> Result<Option<User>, StoreError> {
    let row = user::Entity::find_by_id(user.get())
        .filter(user::Column::WxappId.eq(wxapp.get()))
        .one(readers.db())
        .await?;
    row.map(user_from).transpose()
}

fn user_from(row: user::Model) -> Result<User, StoreError> {
    Ok(User {
        id: UserId::parse(row.id).map_err(|error| StoreError::row("user", error))?,
        openid: row.openid,
        nickname: row.nickname,
        avatar_url: row.avatar_url,
    })
}

/// Makes a buyer. When another log-in has made one with this openid meanwhile, nothing happens:
/// read by openid afterwards.
pub fn insert_user(
    backend: DbBackend,
    wxapp: WxappId,
    user: UserId,
    openid: &str,
    now: Timestamp,
) -> Write {
    let row = user::Model {
        id: user.get(),
        wxapp_id: wxapp.get(),
        openid: openid.to_owned(),
        nickname: String::new(),
        avatar_url: String::new(),
        created_at: now.as_millis(),
    };
    let unless_there = OnConflict::columns([user::Column::WxappId, user::Column::Openid])
        .do_nothing_on([user::Column::Id])
        .to_owned();
    let insert = user::Entity::insert(row.into_active_model()).on_conflict(unless_there);
    Write::one(insert.build(backend))
}

/// Changes what is given of the profile.
pub fn update_profile(
    backend: DbBackend,
    wxapp: WxappId,
    user: UserId,
    nickname: Option<String>,
    avatar_url: Option<String>,
) -> Write {
    if nickname.is_none() && avatar_url.is_none() {
        return Write::default();
    }
    let mut update = user::Entity::update_many()
        .filter(user::Column::Id.eq(user.get()))
        .filter(user::Column::WxappId.eq(wxapp.get()));
    if let Some(nickname) = nickname {
        update = update.col_expr(user::Column::Nickname, Expr::value(nickname));
    }
    if let Some(avatar_url) = avatar_url {
        update = update.col_expr(user::Column::AvatarUrl, Expr::value(avatar_url));
    }
    Write::one(update.build(backend))
}

/// How many orders wait for what (待付款, 待发货, 待收货).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderCounts {
    pub unpaid: i64,
    pub paid: i64,
    pub shipped: i64,
}

/// Counts a buyer's orders that are not at their end.
pub async fn order_counts(
    readers: &Readers,
    wxapp: WxappId,
    user: UserId,
) -> Result<OrderCounts, StoreError> {
    #[derive(FromQueryResult)]
    struct Count {
        state: String,
        orders: i64,
    }
    let rows: Vec<Count> = order::Entity::find()
        .select_only()
        .column(order::Column::State)
        .column_as(order::Column::Id.count(), "orders")
        .filter(order::Column::WxappId.eq(wxapp.get()))
        .filter(order::Column::UserId.eq(user.get()))
        .group_by(order::Column::State)
        .into_model()
        .all(readers.db())
        .await?;
    let mut counts = OrderCounts::default();
    for row in rows {
        match row.state.as_str() {
            "unpaid" => counts.unpaid = row.orders,
            "paid" => counts.paid = row.orders,
            "shipped" => counts.shipped = row.orders,
            _ => {}
        }
    }
    Ok(counts)
}

/// A log-in that is good now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub wxapp: WxappId,
    pub user: UserId,
    pub expires_at: Timestamp,
}

/// The log-in behind this token hash; `None` when there is none, or it is revoked or expired.
pub async fn session(
    readers: &Readers,
    token_hash: &str,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let row = session::Entity::find_by_id(token_hash.to_owned())
        .filter(session::Column::RevokedAt.is_null())
        .filter(session::Column::ExpiresAt.gt(now.as_millis()))
        .one(readers.db())
        .await?;
    let nonsense = |error| StoreError::row("session", error);
    row.map(|row| {
        Ok(Session {
            wxapp: WxappId::parse(row.wxapp_id).map_err(nonsense)?,
            user: UserId::parse(row.user_id).map_err(nonsense)?,
            expires_at: Timestamp::from_millis(row.expires_at),
        })
    })
    .transpose()
}

/// Opens a log-in; the token itself is not kept.
pub fn insert_session(
    backend: DbBackend,
    token_hash: &str,
    opened: Session,
    now: Timestamp,
) -> Write {
    let row = session::Model {
        token_hash: token_hash.to_owned(),
        wxapp_id: opened.wxapp.get(),
        user_id: opened.user.get(),
        created_at: now.as_millis(),
        expires_at: opened.expires_at.as_millis(),
        revoked_at: None,
    };
    Write::one(session::Entity::insert(row.into_active_model()).build(backend))
}

/// Ends a log-in.
pub fn revoke_session(backend: DbBackend, token_hash: &str, now: Timestamp) -> Write {
    let update = session::Entity::update_many()
        .col_expr(session::Column::RevokedAt, Expr::value(now.as_millis()))
        .filter(session::Column::TokenHash.eq(token_hash))
        .filter(session::Column::RevokedAt.is_null());
    Write::one(update.build(backend))
}

/// An address in a buyer's book (收货地址).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookAddress {
    pub id: AddressId,
    pub address: Address,
    pub is_default: bool,
}

/// A buyer's addresses, the default first, then the newest.
pub async fn addresses(
    readers: &Readers,
    wxapp: WxappId,
    user: UserId,
) -> Result<Vec<BookAddress>, StoreError> {
    let rows = own_addresses(wxapp, user)
        .order_by_desc(user_address::Column::IsDefault)
        .order_by_desc(user_address::Column::CreatedAt)
        .order_by_desc(user_address::Column::Id)
        .limit(ADDRESSES_MAX)
        .all(readers.db())
        .await?;
    rows.into_iter().map(address_from).collect()
}

/// One address of this buyer.
pub async fn address(
    readers: &Readers,
    wxapp: WxappId,
    user: UserId,
    address: AddressId,
) -> Result<Option<BookAddress>, StoreError> {
    let row = own_addresses(wxapp, user).filter(user_address::Column::Id.eq(address.get()));
    row.one(readers.db()).await?.map(address_from).transpose()
}

/// How many addresses the buyer has.
pub async fn address_count(
    readers: &Readers,
    wxapp: WxappId,
    user: UserId,
) -> Result<u64, StoreError> {
    Ok(own_addresses(wxapp, user).count(readers.db()).await?)
}

fn own_addresses(wxapp: WxappId, user: UserId) -> sea_orm::Select<user_address::Entity> {
    user_address::Entity::find()
        .filter(user_address::Column::WxappId.eq(wxapp.get()))
        .filter(user_address::Column::UserId.eq(user.get()))
}

fn address_from(row: user_address::Model) -> Result<BookAddress, StoreError> {
    Ok(BookAddress {
        id: AddressId::parse(row.id).map_err(|error| StoreError::row("user_address", error))?,
        address: Address {
            name: row.name,
            phone: row.phone,
            province: row.province,
            city: row.city,
            district: row.district,
            detail: row.detail,
        },
        is_default: row.is_default,
    })
}

/// Adds an address; when it is the default, the former one ceases to be.
pub fn insert_address(
    backend: DbBackend,
    wxapp: WxappId,
    user: UserId,
    address: BookAddress,
    now: Timestamp,
) -> Write {
    let (id, is_default) = (address.id, address.is_default);
    let Address { name, phone, province, city, district, detail } = address.address;
    let row = user_address::Model {
        id: id.get(),
        wxapp_id: wxapp.get(),
        user_id: user.get(),
        name,
        phone,
        province,
        city,
        district,
        detail,
        is_default,
        created_at: now.as_millis(),
        updated_at: now.as_millis(),
    };
    let insert = user_address::Entity::insert(row.into_active_model()).build(backend);
    with_default(backend, wxapp, user, id, is_default, Write::one(insert))
}

/// Replaces what an address says; it may become the default, but does not cease to be by this.
pub fn update_address(
    backend: DbBackend,
    wxapp: WxappId,
    user: UserId,
    address: BookAddress,
    now: Timestamp,
) -> Write {
    use user_address::Column;
    let fields = address.address;
    let update = user_address::Entity::update_many()
        .col_expr(Column::Name, Expr::value(fields.name))
        .col_expr(Column::Phone, Expr::value(fields.phone))
        .col_expr(Column::Province, Expr::value(fields.province))
        .col_expr(Column::City, Expr::value(fields.city))
        .col_expr(Column::District, Expr::value(fields.district))
        .col_expr(Column::Detail, Expr::value(fields.detail))
        .col_expr(Column::UpdatedAt, Expr::value(now.as_millis()))
        .filter(Column::Id.eq(address.id.get()))
        .filter(Column::WxappId.eq(wxapp.get()))
        .filter(Column::UserId.eq(user.get()))
        .build(backend);
    with_default(backend, wxapp, user, address.id, address.is_default, Write::one(update))
}

fn with_default(
    backend: DbBackend,
    wxapp: WxappId,
    user: UserId,
    address: AddressId,
    is_default: bool,
    write: Write,
) -> Write {
    if !is_default {
        return write;
    }
    write.then(set_default_address(backend, wxapp, user, address))
}

/// Makes one address the default and the others not. Nothing changes when it is not the buyer's.
pub fn set_default_address(
    backend: DbBackend,
    wxapp: WxappId,
    user: UserId,
    address: AddressId,
) -> Write {
    use user_address::Column;
    let update = user_address::Entity::update_many()
        .col_expr(Column::IsDefault, Expr::col(Column::Id).eq(address.get()))
        .filter(Column::WxappId.eq(wxapp.get()))
        .filter(Column::UserId.eq(user.get()));
    Write::one(update.build(backend))
}

/// Takes an address out of the book; orders keep their copy.
pub fn delete_address(
    backend: DbBackend,
    wxapp: WxappId,
    user: UserId,
    address: AddressId,
) -> Write {
    use user_address::Column;
    let delete = user_address::Entity::delete_many()
        .filter(Column::Id.eq(address.get()))
        .filter(Column::WxappId.eq(wxapp.get()))
        .filter(Column::UserId.eq(user.get()));
    Write::one(delete.build(backend))
}

/// Counts one more message for each template that the buyer has agreed to, up to `cap` each: what
/// the client reports is a hint, so it must not grow without bound.
pub fn add_grants(
    backend: DbBackend,
    wxapp: WxappId,
    user: UserId,
    template_ids: &[String],
    cap: i64,
    now: Timestamp,
) -> Write {
    use message_grant::{Column, Entity};
    let remaining = || Expr::col((Entity, Column::Remaining));
    let one_more =
        CaseStatement::new().case(remaining().lt(cap), remaining().add(1)).finally(remaining());
    let count_up = OnConflict::columns([Column::WxappId, Column::UserId, Column::TemplateId])
        .value(Column::Remaining, one_more)
        .value(Column::UpdatedAt, Expr::value(now.as_millis()))
        .to_owned();
    let insert = |template_id: &String| {
        let row = message_grant::Model {
            wxapp_id: wxapp.get(),
            user_id: user.get(),
            template_id: template_id.clone(),
            remaining: 1,
            updated_at: now.as_millis(),
        };
        Entity::insert(row.into_active_model()).on_conflict(count_up.clone()).build(backend)
    };
    Write::all(template_ids.iter().map(insert))
}
