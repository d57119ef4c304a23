//! Goods, buyers and old orders, made by the database itself: a million orders in seconds.
//!
//! Plain SQL that all three databases understand. Each kind of row has ids of its own, below those
//! that the server will draw.

use buynow::clock::Clock;
use sea_orm::DatabaseConnection;
use sha2::{Digest as _, Sha256};

use super::database::{Database, Place};

pub const WXAPP: i64 = 10_001;
pub const PRICE_FEN: i64 = 9_900;

const GOODS: i64 = 1 << 30;
const SKU: i64 = 2 << 30;
const USER: i64 = 3 << 30;
const ADDRESS: i64 = 4 << 30;
const ORDER: i64 = 5 << 30;
const LINE: i64 = 6 << 30;
const ENTRY: i64 = 7 << 30;
const ATTEMPT: i64 = 8 << 30;
const PAYMENT: i64 = 9 << 30;
const MESSAGE: i64 = 10 << 30;
const FIRST_FREE: i64 = 16 << 30;

/// Pieces that a SKU has at the beginning.
const PIECES: i64 = 1_000_000_000;
/// SKUs that old orders leave alone: the hot one, and the one that is sold out.
const SPARED: i64 = 2;
const DAY_MS: i64 = 86_400_000;

/// What a database is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Filling {
    pub skus: i64,
    pub buyers: i64,
    /// Orders that were completed long ago.
    pub old_orders: i64,
    /// Orders that wait for their payment.
    pub unpaid_orders: i64,
}

impl Default for Filling {
    fn default() -> Self {
        Self { skus: 1_000, buyers: 256, old_orders: 0, unpaid_orders: 0 }
    }
}

pub fn hot_sku() -> i64 {
    SKU
}

pub fn sold_out_sku() -> i64 {
    SKU + 1
}

/// One of the others.
pub fn sku(nth: i64) -> i64 {
    SKU + SPARED + nth
}

/// The goods of [`sku`].
pub fn goods(nth: i64) -> i64 {
    GOODS + SPARED + nth
}

pub fn user(buyer: usize) -> i64 {
    USER + i64::try_from(buyer).unwrap()
}

pub fn address(buyer: usize) -> i64 {
    ADDRESS + i64::try_from(buyer).unwrap()
}

/// What a buyer has to show.
pub fn token(buyer: usize) -> String {
    format!("benchmark-{buyer:032}")
}

/// The number of an unpaid order's attempt, and what WeChat must say of it.
pub fn out_trade_no(nth: i64) -> (String, String) {
    (format!("20261125{:016}", nth), format!("{}.benchmark", ATTEMPT + nth))
}

pub async fn fill(place: &Place, filling: Filling) {
    let db = place.connect().await;
    let rows = [filling.skus, filling.buyers, filling.old_orders + filling.unpaid_orders];
    count_to(place, &db, rows.into_iter().max().unwrap_or_default()).await;
    let now = Clock::system().now().as_millis();
    let steps = [shop(filling, now), buyers(filling, now), orders(filling, now)];
    for sql in steps.iter().flatten() {
        place.execute(&db, sql).await;
    }
    place.execute(&db, "DROP TABLE bench_n").await;
    // Their own housekeeping would do so within a minute.
    match place.database {
        Database::Sqlite => {}
        Database::Postgres => place.execute(&db, "ANALYZE").await,
        Database::Mariadb => {
            let tables = "\"order\", order_goods, order_address, stock_entry, payment_attempt, \
                          payment, notification, sku, goods, user_address";
            place.execute(&db, &format!("ANALYZE TABLE {tables}")).await;
        }
    }
    db.close().await.unwrap();
}

/// A table of the numbers from 0.
async fn count_to(place: &Place, db: &DatabaseConnection, rows: i64) {
    place.execute(db, "CREATE TABLE bench_n (i BIGINT NOT NULL PRIMARY KEY)").await;
    place.execute(db, "INSERT INTO bench_n VALUES (0)").await;
    let mut have = 1;
    while have < rows {
        let more =
            format!("INSERT INTO bench_n SELECT i + {have} FROM bench_n WHERE i < {}", rows - have);
        place.execute(db, &more).await;
        have = rows.min(2 * have);
    }
}

fn shop(filling: Filling, now: i64) -> Vec<String> {
    let (skus, orders) = (filling.skus, filling.old_orders + filling.unpaid_orders);
    let sharing = skus - SPARED;
    // How many of the orders are for this SKU.
    let nth = format!("(i - {SPARED})");
    let sold = format!(
        "(CASE WHEN i < {SPARED} OR {nth} >= {orders} THEN 0 ELSE \
         ({orders} - 1 - {nth} - ({orders} - 1 - {nth}) % {sharing}) / {sharing} + 1 END)"
    );
    let pieces = format!("(CASE WHEN i = 1 THEN 0 ELSE {PIECES} END)");
    vec![
        format!(
            "INSERT INTO goods (id, wxapp_id, category_id, code, name, images, content, specs, \
             deduct_stock, status, price_min_fen, price_max_fen, sales, sort, version, created_at, \
             updated_at) SELECT {GOODS} + i, {WXAPP}, 0, CONCAT('G', i), CONCAT('武夷山岩茶 ', i), \
             '[]', '', '[]', 'order', 'on_sale', {PRICE_FEN}, {PRICE_FEN}, 0, 100, 1, {now}, \
             {now} FROM bench_n WHERE i < {skus}"
        ),
        format!(
            "INSERT INTO sku (id, wxapp_id, goods_id, code, attr, spec_value_ids, price_fen, \
             line_price_fen, stock, seq, version, weight_g, image_url, sort, created_at, \
             updated_at) SELECT {SKU} + i, {WXAPP}, {GOODS} + i, CONCAT('S', i), '罐装', '[]', \
             {PRICE_FEN}, 0, {pieces} - {sold}, 1 + {sold}, 1 + {sold}, 500, '', 0, {now}, {now} \
             FROM bench_n WHERE i < {skus}"
        ),
        format!(
            "INSERT INTO stock_entry (id, wxapp_id, sku_id, seq, kind, delta, balance, who, \
             reason, created_at) SELECT {ENTRY} - 1 - i, {WXAPP}, {SKU} + i, 1, 'import', {pieces}, \
             {pieces}, 'seed', '', {now} FROM bench_n WHERE i < {skus}"
        ),
        format!("INSERT INTO id_block (name, next) VALUES ('id', {FIRST_FREE})"),
    ]
}

fn buyers(filling: Filling, now: i64) -> Vec<String> {
    let buyers = filling.buyers;
    let later = now + 30 * DAY_MS;
    let sessions = (0..buyers).map(|buyer| {
        let hash = hex::encode(Sha256::digest(token(usize::try_from(buyer).unwrap())));
        format!("('{hash}', {WXAPP}, {}, {now}, {later})", USER + buyer)
    });
    let sessions: Vec<String> = sessions.collect();
    vec![
        format!(
            "INSERT INTO \"user\" (id, wxapp_id, openid, nickname, avatar_url, created_at) \
             SELECT {USER} + i, {WXAPP}, CONCAT('bench-', i), '', '', {now} \
             FROM bench_n WHERE i < {buyers}"
        ),
        format!(
            "INSERT INTO user_address (id, wxapp_id, user_id, name, phone, province, city, \
             district, detail, is_default, created_at, updated_at) SELECT {ADDRESS} + i, {WXAPP}, \
             {USER} + i, '小明', '13800138000', '广东省', '深圳市', '南山区', '科技园 1 号', \
             TRUE, {now}, {now} FROM bench_n WHERE i < {buyers}"
        ),
        format!(
            "INSERT INTO session (token_hash, wxapp_id, user_id, created_at, expires_at) VALUES {}",
            sessions.join(", ")
        ),
    ]
}

fn orders(filling: Filling, now: i64) -> Vec<String> {
    let all = filling.old_orders + filling.unpaid_orders;
    if all == 0 {
        return Vec::new();
    }
    let sharing = filling.skus - SPARED;
    let (nth_sku, nth_sale) =
        (format!("i % {sharing}"), format!("(i - i % {sharing}) / {sharing}"));
    let times = Times::of(filling, now);
    let mut steps = vec![
        order_rows(filling, &times),
        format!(
            "INSERT INTO order_goods (id, wxapp_id, order_id, goods_id, sku_id, goods_name, attr, \
             image_url, price_fen, quantity, total_fen, weight_g, deduct_stock) SELECT {LINE} + i, \
             {WXAPP}, {ORDER} + i, {GOODS} + {SPARED} + {nth_sku}, {SKU} + {SPARED} + {nth_sku}, \
             '武夷山岩茶', '罐装', '', {PRICE_FEN}, 1, {PRICE_FEN}, 500, 'order' FROM bench_n \
             WHERE i < {all}"
        ),
        format!(
            "INSERT INTO order_address (order_id, wxapp_id, name, phone, province, city, district, \
             detail) SELECT {ORDER} + i, {WXAPP}, '小明', '13800138000', '广东省', '深圳市', '南山区', \
             '科技园 1 号' FROM bench_n WHERE i < {all}"
        ),
        format!(
            "INSERT INTO stock_entry (id, wxapp_id, sku_id, seq, kind, order_id, order_goods_id, \
             delta, balance, who, reason, created_at) SELECT {ENTRY} + i, {WXAPP}, \
             {SKU} + {SPARED} + {nth_sku}, 2 + {nth_sale}, 'order', {ORDER} + i, {LINE} + i, -1, \
             {PIECES} - 1 - {nth_sale}, 'engine', '', {} FROM bench_n WHERE i < {all}",
            times.created
        ),
        attempt_rows(filling, &times),
    ];
    if filling.old_orders > 0 {
        steps.extend(settled_rows(filling, &times));
    }
    steps
}

/// When things have happened to an order, as SQL.
struct Times {
    created: String,
    expires: String,
    /// Null where it has not been paid.
    paid: String,
}

impl Times {
    /// Old orders came evenly over the last year; unpaid ones come a moment from now, so that
    /// nobody asks WeChat about them meanwhile.
    fn of(filling: Filling, now: i64) -> Self {
        let old = filling.old_orders;
        let first = now - 400 * DAY_MS;
        let step = 365 * DAY_MS / old.max(1);
        let created =
            format!("(CASE WHEN i < {old} THEN {first} + i * {step} ELSE {} END)", now + 3_600_000);
        Self {
            expires: format!("({created} + {DAY_MS})"),
            paid: format!("(CASE WHEN i < {old} THEN {created} + 60000 ELSE NULL END)"),
            created,
        }
    }
}

fn order_rows(filling: Filling, times: &Times) -> String {
    let (old, all, buyers) =
        (filling.old_orders, filling.old_orders + filling.unpaid_orders, filling.buyers);
    let Times { created, expires, paid } = times;
    let number = number("i");
    format!(
        "INSERT INTO \"order\" (id, wxapp_id, user_id, order_no, state, goods_fen, freight_fen, \
         discount_fen, adjust_fen, pay_fen, refunded_fen, remark, transaction_id, created_at, \
         expires_at, close_tries, paid_at, shipped_at, completed_at, version) SELECT {ORDER} + i, \
         {WXAPP}, {USER} + i % {buyers}, {number}, \
         CASE WHEN i < {old} THEN 'completed' ELSE 'unpaid' END, {PRICE_FEN}, 0, 0, 0, \
         {PRICE_FEN}, 0, '', CASE WHEN i < {old} THEN CONCAT('42', i) ELSE NULL END, {created}, \
         {expires}, 0, {paid}, {paid} + {DAY_MS}, {paid} + 7 * {DAY_MS}, 1 \
         FROM bench_n WHERE i < {all}"
    )
}

/// `20261125` and sixteen digits.
fn number(i: &str) -> String {
    let padded = format!("CONCAT('0000000000000000', {i})");
    format!("CONCAT('20261125', SUBSTR({padded}, LENGTH({padded}) - 15))")
}

fn attempt_rows(filling: Filling, times: &Times) -> String {
    let (old, all, buyers) =
        (filling.old_orders, filling.old_orders + filling.unpaid_orders, filling.buyers);
    let Times { created, expires, .. } = times;
    let number = number("i");
    format!(
        "INSERT INTO payment_attempt (id, wxapp_id, order_id, user_id, mch_id, appid, \
         out_trade_no, state, amount_fen, provider, sign_type, key_version, notify_url, body, \
         attach, openid, client_ip, time_expire, prepay_id, prepay_at, created_at, updated_at) \
         SELECT {ATTEMPT} + i, {WXAPP}, {ORDER} + i, {USER} + i % {buyers}, '{MCH_ID}', \
         '{APPID}', {number}, CASE WHEN i < {old} THEN 'paid' ELSE 'open' END, {PRICE_FEN}, 'v2', \
         'HMAC-SHA256', 1, 'http://127.0.0.1/wechat/pay/v2/notify/{WXAPP}', '买它小店-武夷山岩茶', \
         CONCAT({ATTEMPT} + i, '.benchmark'), CONCAT('bench-', i % {buyers}), '127.0.0.1', \
         {expires}, CONCAT('wx', i), {created}, {created}, {created} FROM bench_n WHERE i < {all}"
    )
}

pub const MCH_ID: &str = "1900000001";
pub const APPID: &str = buynow::config::SANDBOX_APPID;

fn settled_rows(filling: Filling, times: &Times) -> [String; 2] {
    let (old, buyers) = (filling.old_orders, filling.buyers);
    let paid = &times.paid;
    [
        format!(
            "INSERT INTO payment (id, wxapp_id, order_id, attempt_id, mch_id, transaction_id, \
             kind, amount_fen, cash_fen, bank_type, payer_openid, paid_at, created_at) \
             SELECT {PAYMENT} + i, {WXAPP}, {ORDER} + i, {ATTEMPT} + i, '{MCH_ID}', \
             CONCAT('42', i), 'settled', {PRICE_FEN}, {PRICE_FEN}, 'OTHERS', \
             CONCAT('bench-', i % {buyers}), {paid}, {paid} FROM bench_n WHERE i < {old}"
        ),
        format!(
            "INSERT INTO notification (id, wxapp_id, user_id, order_id, event, ref_id, state, \
             payload, tries, next_at, created_at, updated_at) SELECT {MESSAGE} + i, {WXAPP}, \
             {USER} + i % {buyers}, {ORDER} + i, 'order_paid', 0, 'sent', '{{}}', 1, {paid}, \
             {paid}, {paid} FROM bench_n WHERE i < {old}"
        ),
    ]
}
