//! The other way to write an order: one transaction for each, as most shops do it, as well as we
//! can.
//!
//! The same rows as the journal writes (less its batch marker): inserts first, the SKU rows last,
//! in ascending order and by conditional UPDATEs, so that they are locked for the shortest time;
//! statements are prepared once and kept. As many connections as were found best: on SQLite one,
//! because a second writer only waits for the first.

use std::sync::Arc;

use buynow::actors::journal::JournalError;
use buynow::actors::order::Placer;
use buynow::clock::{Clock, Timestamp};
use buynow::domain::address::Address;
use buynow::domain::admission::PlaceRefusal;
use buynow::domain::cart::CartItem;
use buynow::domain::fold::{NewOrder, Outcome, Place, Placed};
use buynow::domain::goods::DeductStock;
use buynow::domain::money::Money;
use buynow::domain::order::{Line, Order, OrderState};
use buynow::domain::price::{Amounts, amounts};
use buynow::store::db::{begin_write, open_writer};
use entity::{
    goods, idempotency, order, order_address, order_goods, sku, stock_entry, user_address,
};
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, Set,
};
use tokio::sync::{Mutex, Semaphore};

/// Writes each order in a transaction of its own.
pub struct OneByOne {
    pool: Arc<Pool>,
    clock: Clock,
}

/// Connections that are at leisure; made when they are first needed.
struct Pool {
    url: String,
    permits: Semaphore,
    idle: Mutex<Vec<DatabaseConnection>>,
}

impl OneByOne {
    pub fn new(url: String, connections: usize) -> Self {
        let (permits, idle) = (Semaphore::new(connections), Mutex::default());
        Self { pool: Arc::new(Pool { url, permits, idle }), clock: Clock::system() }
    }
}

impl Placer for OneByOne {
    fn place(&self, place: Place) -> BoxFuture<'static, Result<Outcome, JournalError>> {
        let (pool, clock) = (self.pool.clone(), self.clock.clone());
        Box::pin(async move {
            let _permit = pool.permits.acquire().await.map_err(|_| JournalError::Closing)?;
            let idle = pool.idle.lock().await.pop();
            let db = match idle {
                Some(db) => db,
                None => open_writer(&pool.url).await.map_err(|_| JournalError::Unavailable)?,
            };
            let outcome = write(&db, place, clock.now()).await;
            pool.idle.lock().await.push(db);
            outcome.map_err(|error| {
                eprintln!("one by one: {error}");
                JournalError::Unavailable
            })
        })
    }
}

/// What an order is made of.
struct Draft {
    place: Place,
    now: Timestamp,
    lines: Vec<Line>,
    address: Address,
    amounts: Amounts,
}

async fn write(db: &DatabaseConnection, place: Place, now: Timestamp) -> Result<Outcome, DbErr> {
    let draft = read(db, place, now).await?;
    let txn = begin_write(db).await?;
    insert_order(&txn, &draft).await?;
    insert_lines(&txn, &draft).await?;
    for line in &draft.lines {
        if !deduct(&txn, &draft, line).await? {
            txn.rollback().await?;
            let refusal = PlaceRefusal::SoldOut { sku: line.sku, available: 0 };
            return Ok(Outcome::Placed(Err(refusal)));
        }
    }
    txn.commit().await?;
    Ok(Outcome::Placed(Ok(Placed::New(Box::new(draft.placed())))))
}

/// Reads prices, names and the address before anything is locked.
async fn read(db: &DatabaseConnection, place: Place, now: Timestamp) -> Result<Draft, DbErr> {
    let missing = |what: &str| DbErr::RecordNotFound(what.to_owned());
    let mut items: Vec<CartItem> = place.cart.items().to_vec();
    items.sort_unstable_by_key(|item| item.sku);
    let mut skus = sku::Entity::find()
        .filter(sku::Column::Id.is_in(items.iter().map(|item| item.sku.get())))
        .all(db)
        .await?;
    skus.sort_unstable_by_key(|sku| sku.id);
    let terms = goods::Entity::find()
        .filter(goods::Column::Id.is_in(skus.iter().map(|sku| sku.goods_id)))
        .all(db)
        .await?;
    let book = user_address::Entity::find_by_id(place.address.get()).one(db).await?;
    let book = book.ok_or_else(|| missing("address"))?;
    let prices = items.iter().zip(&skus);
    let prices = prices.map(|(item, sku)| (Money::from_fen(sku.price_fen), item.quantity));
    let amounts = amounts(prices, &place.freight, place.max).map_err(|_| missing("price"))?;
    let lines = items.iter().zip(skus).enumerate().map(|(nth, (item, sku))| {
        let goods = terms.iter().find(|goods| goods.id == sku.goods_id);
        Ok(line(&place, nth, *item, sku, goods.ok_or_else(|| missing("goods"))?))
    });
    let lines = lines.collect::<Result<_, DbErr>>()?;
    let address = Address {
        name: book.name,
        phone: book.phone,
        province: book.province,
        city: book.city,
        district: book.district,
        detail: book.detail,
    };
    Ok(Draft { place, now, lines, address, amounts })
}

/// Lines and ledger entries take ids that nobody else draws.
fn line(place: &Place, nth: usize, item: CartItem, sku: sku::Model, goods: &goods::Model) -> Line {
    let price = Money::from_fen(sku.price_fen);
    let id = (1 << 40) + 64 * (place.order.get() - (1 << 34)) + i64::try_from(nth).unwrap();
    Line {
        id: id.try_into().unwrap(),
        order: place.order,
        goods: goods.id.try_into().unwrap(),
        sku: item.sku,
        goods_name: goods.name.clone(),
        attr: sku.attr,
        image_url: sku.image_url,
        price,
        quantity: item.quantity,
        total: price.checked_mul(item.quantity).unwrap(),
        weight_g: sku.weight_g,
        deduct_stock: DeductStock::Order,
    }
}

async fn insert_order(txn: &DatabaseTransaction, draft: &Draft) -> Result<(), DbErr> {
    let Draft { place, now, amounts, address, .. } = draft;
    let (id, wxapp, ms) = (place.order.get(), place.wxapp.get(), now.as_millis());
    idempotency::Entity::insert(idempotency::ActiveModel {
        wxapp_id: Set(wxapp),
        user_id: Set(place.user.get()),
        operation: Set("place_order".into()),
        key: Set(place.key.key.key.as_str().to_owned()),
        request_hash: Set(place.key.request_hash.clone()),
        result_id: Set(id),
        created_at: Set(ms),
    })
    .exec_without_returning(txn)
    .await?;
    order::Entity::insert(order::ActiveModel {
        id: Set(id),
        wxapp_id: Set(wxapp),
        user_id: Set(place.user.get()),
        order_no: Set(place.order_no.to_string()),
        state: Set("unpaid".into()),
        goods_fen: Set(amounts.goods.as_fen()),
        freight_fen: Set(amounts.freight.as_fen()),
        discount_fen: Set(0),
        adjust_fen: Set(0),
        pay_fen: Set(amounts.pay.as_fen()),
        refunded_fen: Set(0),
        remark: Set(String::new()),
        transaction_id: Set(None),
        created_at: Set(ms),
        expires_at: Set(now.plus_seconds(place.expire_seconds).as_millis()),
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
        version: Set(1),
        ..Default::default()
    })
    .exec_without_returning(txn)
    .await?;
    order_address::Entity::insert(order_address::ActiveModel {
        order_id: Set(id),
        wxapp_id: Set(wxapp),
        name: Set(address.name.clone()),
        phone: Set(address.phone.clone()),
        province: Set(address.province.clone()),
        city: Set(address.city.clone()),
        district: Set(address.district.clone()),
        detail: Set(address.detail.clone()),
    })
    .exec_without_returning(txn)
    .await?;
    Ok(())
}

async fn insert_lines(txn: &DatabaseTransaction, draft: &Draft) -> Result<(), DbErr> {
    let rows = draft.lines.iter().map(|line| order_goods::ActiveModel {
        id: Set(line.id.get()),
        wxapp_id: Set(draft.place.wxapp.get()),
        order_id: Set(line.order.get()),
        goods_id: Set(line.goods.get()),
        sku_id: Set(line.sku.get()),
        goods_name: Set(line.goods_name.clone()),
        attr: Set(line.attr.clone()),
        image_url: Set(line.image_url.clone()),
        price_fen: Set(line.price.as_fen()),
        quantity: Set(line.quantity.pieces()),
        total_fen: Set(line.total.as_fen()),
        weight_g: Set(line.weight_g),
        deduct_stock: Set("order".into()),
    });
    order_goods::Entity::insert_many(rows).exec_without_returning(txn).await?;
    Ok(())
}

/// Takes the pieces and writes the ledger; false: there are not so many.
async fn deduct(txn: &DatabaseTransaction, draft: &Draft, line: &Line) -> Result<bool, DbErr> {
    let pieces = line.quantity.pieces();
    let deducted = sku::Entity::update_many()
        .col_expr(sku::Column::Stock, Expr::col(sku::Column::Stock).sub(pieces))
        .col_expr(sku::Column::Seq, Expr::col(sku::Column::Seq).add(1))
        .col_expr(sku::Column::Version, Expr::col(sku::Column::Version).add(1))
        .col_expr(sku::Column::UpdatedAt, Expr::val(draft.now.as_millis()))
        .filter(sku::Column::Id.eq(line.sku.get()))
        .filter(sku::Column::Stock.gte(pieces))
        .exec(txn)
        .await?;
    if deducted.rows_affected == 0 {
        return Ok(false);
    }
    let found = sku::Entity::find_by_id(line.sku.get()).one(txn).await?;
    let after = found.ok_or_else(|| DbErr::RecordNotFound("sku".into()))?;
    stock_entry::Entity::insert(stock_entry::ActiveModel {
        id: Set((1 << 46) + line.id.get()),
        wxapp_id: Set(draft.place.wxapp.get()),
        sku_id: Set(after.id),
        seq: Set(after.seq),
        kind: Set("order".into()),
        order_id: Set(Some(line.order.get())),
        order_goods_id: Set(Some(line.id.get())),
        delta: Set(-pieces),
        balance: Set(after.stock),
        who: Set("engine".into()),
        reason: Set(String::new()),
        created_at: Set(draft.now.as_millis()),
    })
    .exec_without_returning(txn)
    .await?;
    Ok(true)
}

impl Draft {
    fn placed(self) -> NewOrder {
        let Self { place, now, lines, address, amounts } = self;
        let order = Order {
            id: place.order,
            wxapp: place.wxapp,
            user: place.user,
            order_no: place.order_no,
            amounts,
            refunded: Money::ZERO,
            remark: place.remark,
            created_at: now,
            expires_at: now.plus_seconds(place.expire_seconds),
            state: OrderState::Unpaid(None),
            repricing: None,
            version: 1,
        };
        NewOrder { order, lines, address }
    }
}
