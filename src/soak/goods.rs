//! What is sold: six goods with one SKU each, some deducted with the order and some with the
//! payment, one with a limit for each buyer.

use serde_json::{Value, json};

use super::SoakError;
use super::plan::SKUS;
use crate::store::seed::{SeedFile, Seeded};

/// The goods with a limit, and the limit in pieces.
pub(super) const LIMITED: (usize, i64) = (4, 5);
/// Pieces of each SKU at the beginning.
pub(super) const FIRST_STOCK: i64 = 40;

/// A SKU under test.
#[derive(Debug, Clone)]
pub(super) struct SkuUnderTest {
    pub id: i64,
    pub goods: i64,
}

/// Deducted with the payment instead of the order.
fn is_deducted_on_payment(sku: usize) -> bool {
    sku % 3 == 2
}

/// A file that sets the stock of some.
pub(super) fn file(stocks: &[(usize, i64)]) -> Result<SeedFile, SoakError> {
    let goods: Vec<Value> = stocks.iter().map(|(sku, stock)| goods(*sku, *stock)).collect();
    let text = json!({ "goods": goods }).to_string();
    SeedFile::parse(text.as_bytes()).map_err(|error| SoakError::Seed(error.into()))
}

/// Every SKU with the stock of the beginning.
pub(super) fn first() -> Result<SeedFile, SoakError> {
    file(&(0..SKUS).map(|sku| (sku, FIRST_STOCK)).collect::<Vec<_>>())
}

fn goods(sku: usize, stock: i64) -> Value {
    let code = format!("SOAK-{sku}");
    let mode = if is_deducted_on_payment(sku) { "payment" } else { "order" };
    let price = 990 + 100 * i64::try_from(sku).unwrap_or(0);
    let mut goods = json!({
        "name": format!("高山茶 {sku}"), "code": code, "deduct_stock": mode,
        "skus": [{ "code": code, "price_fen": price, "stock": stock }],
    });
    if sku == LIMITED.0 {
        goods["limit_per_user"] = json!(LIMITED.1);
    }
    goods
}

/// The ids that the database has given, by place.
pub(super) fn under_test(seeded: &Seeded) -> Vec<SkuUnderTest> {
    let skus = seeded
        .goods
        .iter()
        .filter_map(|goods| Some(SkuUnderTest { id: goods.skus.first()?.id, goods: goods.id }));
    skus.collect()
}
