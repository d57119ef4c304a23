//! The other way to write an order: one transaction for each, as most shops do it, as well as we
//! can.
//!
//! The same rows as the journal writes (less its batch marker): inserts first, the SKU row last and
//! by a conditional UPDATE, so that it is locked for the shortest time. One connection, because a
//! second writer on SQLite only waits for the first (more were tried: slower); statements are
//! prepared once and kept.

use std::sync::Arc;

use buynow::actors::journal::JournalError;
use buynow::actors::order::Placer;
use buynow::clock::Clock;
use buynow::domain::admission::PlaceRefusal;
use buynow::domain::fold::{NewOrder, Outcome, Place, Placed};
use buynow::domain::goods::DeductStock;
use buynow::domain::money::Money;
use buynow::domain::order::{Line, Order, OrderState};
use buynow::domain::price::amounts;
use buynow::store::db::{begin_write, open_writer};
use entity::{idempotency, order, order_address, order_goods, sku, stock_entry, user_address};
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, Set};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

/// Writes each order in a transaction of its own.
pub struct OneByOne {
    url: String,
    connection: Arc<Mutex<Option<DatabaseConnection>>>,
    clock: Clock,
}

impl OneByOne {
    pub fn new(url: String) -> Self {
        Self { url, connection: Arc::default(), clock: Clock::system() }
    }
}

impl Placer for OneByOne {
    fn place(&self, place: Place) -> BoxFuture<'static, Result<Outcome, JournalError>> {
        let (url, connection, clock) =
            (self.url.clone(), self.connection.clone(), self.clock.clone());
        Box::pin(async move {
            let mut connection = connection.lock().await;
            if connection.is_none() {
                *connection = open_writer(&url).await.ok();
            }
            let db = connection.as_ref().ok_or(JournalError::Unavailable)?;
            write(db, place, &clock).await.map_err(|error| {
                eprintln!("one by one: {error}");
                JournalError::Unavailable
            })
        })
    }
}

async fn write(db: &DatabaseConnection, place: Place, clock: &Clock) -> Result<Outcome, DbErr> {
    let now = clock.now();
    let item = place.cart.items()[0];
    let found = sku::Entity::find_by_id(item.sku.get()).one(db).await?;
    let sku = found.ok_or(DbErr::RecordNotFound("sku".into()))?;
    let found = entity::goods::Entity::find_by_id(sku.goods_id).one(db).await?;
    let goods = found.ok_or(DbErr::RecordNotFound("goods".into()))?;
    let found = user_address::Entity::find_by_id(place.address.get()).one(db).await?;
    let book = found.ok_or(DbErr::RecordNotFound("address".into()))?;
    let price = Money::from_fen(sku.price_fen);
    let sums = amounts([(price, item.quantity)], &place.freight, place.max).unwrap();
    let id = place.order.get();
    let ms = now.as_millis();

    let txn = begin_write(db).await?;
    idempotency::Entity::insert(idempotency::ActiveModel {
        wxapp_id: Set(place.wxapp.get()),
        user_id: Set(place.user.get()),
        operation: Set("place_order".into()),
        key: Set(place.key.key.key.as_str().to_owned()),
        request_hash: Set(place.key.request_hash.clone()),
        result_id: Set(id),
        created_at: Set(ms),
    })
    .exec_without_returning(&txn)
    .await?;
    order::Entity::insert(order::ActiveModel {
        id: Set(id),
        wxapp_id: Set(place.wxapp.get()),
        user_id: Set(place.user.get()),
        order_no: Set(place.order_no.to_string()),
        state: Set("unpaid".into()),
        goods_fen: Set(sums.goods.as_fen()),
        freight_fen: Set(sums.freight.as_fen()),
        discount_fen: Set(0),
        adjust_fen: Set(0),
        pay_fen: Set(sums.pay.as_fen()),
        refunded_fen: Set(0),
        remark: Set(String::new()),
        transaction_id: Set(None),
        created_at: Set(ms),
        expires_at: Set(ms + place.expire_seconds * 1000),
        closing_at: Set(None),
        closing_reason: Set(None),
        close_next_at: Set(None),
        close_tries: Set(0),
        paid_at: Set(None),
        shipped_at: Set(None),
        completed_at: Set(None),
        closed_at: Set(None),
        close_reason: Set(None),
        refunded_at: Set(None),
        reprice_fen: Set(None),
        reprice_at: Set(None),
        reprice_by: Set(None),
        version: Set(1),
    })
    .exec_without_returning(&txn)
    .await?;
    // Line and ledger entry take ids that nobody else draws.
    let line_id = (1 << 40) + id;
    order_goods::Entity::insert(order_goods::ActiveModel {
        id: Set(line_id),
        wxapp_id: Set(place.wxapp.get()),
        order_id: Set(id),
        goods_id: Set(goods.id),
        sku_id: Set(sku.id),
        goods_name: Set(goods.name.clone()),
        attr: Set(sku.attr.clone()),
        image_url: Set(String::new()),
        price_fen: Set(sku.price_fen),
        quantity: Set(item.quantity.pieces()),
        total_fen: Set(sums.goods.as_fen()),
        weight_g: Set(0),
        deduct_stock: Set("order".into()),
    })
    .exec_without_returning(&txn)
    .await?;
    order_address::Entity::insert(order_address::ActiveModel {
        order_id: Set(id),
        wxapp_id: Set(place.wxapp.get()),
        name: Set(book.name.clone()),
        phone: Set(book.phone.clone()),
        province: Set(book.province.clone()),
        city: Set(book.city.clone()),
        district: Set(book.district.clone()),
        detail: Set(book.detail.clone()),
    })
    .exec_without_returning(&txn)
    .await?;
    let pieces = item.quantity.pieces();
    let deducted = sku::Entity::update_many()
        .col_expr(sku::Column::Stock, Expr::col(sku::Column::Stock).sub(pieces))
        .col_expr(sku::Column::Seq, Expr::col(sku::Column::Seq).add(1))
        .col_expr(sku::Column::Version, Expr::col(sku::Column::Version).add(1))
        .filter(sku::Column::Id.eq(sku.id))
        .filter(sku::Column::Stock.gte(pieces))
        .exec(&txn)
        .await?;
    if deducted.rows_affected == 0 {
        txn.rollback().await?;
        let refusal = PlaceRefusal::SoldOut { sku: item.sku, available: 0 };
        return Ok(Outcome::Placed(Err(refusal)));
    }
    let found = sku::Entity::find_by_id(sku.id).one(&txn).await?;
    let after = found.ok_or(DbErr::RecordNotFound("sku".into()))?;
    stock_entry::Entity::insert(stock_entry::ActiveModel {
        id: Set((1 << 41) + id),
        wxapp_id: Set(place.wxapp.get()),
        sku_id: Set(sku.id),
        seq: Set(after.seq),
        kind: Set("order".into()),
        order_id: Set(Some(id)),
        order_goods_id: Set(Some(line_id)),
        delta: Set(-pieces),
        balance: Set(after.stock),
        who: Set("engine".into()),
        reason: Set(String::new()),
        created_at: Set(ms),
    })
    .exec_without_returning(&txn)
    .await?;
    txn.commit().await?;
    Ok(placed(place, &goods, &sku, sums, book, line_id, now))
}

fn placed(
    place: Place,
    goods: &entity::goods::Model,
    sku: &sku::Model,
    sums: buynow::domain::price::Amounts,
    book: user_address::Model,
    line_id: i64,
    now: buynow::clock::Timestamp,
) -> Outcome {
    let item = place.cart.items()[0];
    let line = Line {
        id: line_id.try_into().unwrap(),
        order: place.order,
        goods: goods.id.try_into().unwrap(),
        sku: item.sku,
        goods_name: goods.name.clone(),
        attr: sku.attr.clone(),
        image_url: String::new(),
        price: Money::from_fen(sku.price_fen),
        quantity: item.quantity,
        total: sums.goods,
        weight_g: 0,
        deduct_stock: DeductStock::Order,
    };
    let order = Order {
        id: place.order,
        wxapp: place.wxapp,
        user: place.user,
        order_no: place.order_no,
        amounts: sums,
        refunded: Money::ZERO,
        remark: place.remark,
        created_at: now,
        expires_at: now.plus_seconds(place.expire_seconds),
        state: OrderState::Unpaid(None),
        repricing: None,
        version: 1,
    };
    let address = buynow::domain::address::Address {
        name: book.name,
        phone: book.phone,
        province: book.province,
        city: book.city,
        district: book.district,
        detail: book.detail,
    };
    Outcome::Placed(Ok(Placed::New(Box::new(NewOrder { order, lines: vec![line], address }))))
}

/// Inserts a buyer and a session; the server may be writing at the same time.
pub async fn log_in(url: &str, token: &str) {
    let db = open_writer(url).await.unwrap();
    let now = Clock::system().now();
    let user = i64::from(rand::random::<u32>()) + (1 << 42);
    entity::user::Entity::insert(entity::user::ActiveModel {
        id: Set(user),
        wxapp_id: Set(10_001),
        openid: Set(format!("bench-{user}")),
        nickname: Set(String::new()),
        avatar_url: Set(String::new()),
        created_at: Set(now.as_millis()),
    })
    .exec_without_returning(&db)
    .await
    .unwrap();
    entity::session::Entity::insert(entity::session::ActiveModel {
        token_hash: Set(hex::encode(Sha256::digest(token))),
        wxapp_id: Set(10_001),
        user_id: Set(user),
        created_at: Set(now.as_millis()),
        expires_at: Set(now.plus_seconds(86_400).as_millis()),
        revoked_at: Set(None),
    })
    .exec_without_returning(&db)
    .await
    .unwrap();
    db.close().await.unwrap();
}
