//! No query of the staff walks a whole table: SQLite's own plans say along which index they go.
#![allow(clippy::unwrap_used)]

use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait, QuerySelect as _, QueryTrait as _};
use sea_orm::{Select, Statement, TryGetable as _};

use super::ledger::one;
use super::list::{GoodsWanted, select};
use crate::domain::id::{SkuId, WxappId};
use crate::store::db::{Readers, open_readers};
use crate::store::page::After;

async fn plan<E: EntityTrait>(readers: &Readers, select: Select<E>) -> String {
    let statement = select.limit(21).build(DbBackend::Sqlite);
    let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let explain = Statement { sql, ..statement };
    let rows = readers.db().query_all_raw(explain).await.unwrap();
    let text = |row: sea_orm::QueryResult| String::try_get_by(&row, "detail").unwrap();
    rows.into_iter().map(text).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn lists_of_goods_and_ledgers_go_along_an_index() {
    let readers = open_readers("sqlite::memory:", 1).await.unwrap();
    crate::store::migrate::up(readers.db()).await.unwrap();
    let wxapp = WxappId::parse(10_001).unwrap();
    let all = GoodsWanted::default();
    let named = GoodsWanted { text: "茶".into(), ..all.clone() };
    let by_number = GoodsWanted { text: "123".into(), ..all.clone() };
    let low = GoodsWanted { low: Some(5), ..all.clone() };
    let on_sale = GoodsWanted { on_sale: Some(true), ..all.clone() };
    let by_id = "goods_wxapp_id_id_idx";
    for after in [None, Some(After { key: 500, id: 500 })] {
        for (wanted, index) in [
            (&all, by_id),
            (&named, by_id),
            (&by_number, by_id),
            (&low, by_id),
            (&on_sale, "goods_wxapp_id_status_id_idx"),
        ] {
            let plan = plan(&readers, select(wxapp, wanted, None, after)).await;
            assert!(plan.contains(index), "{plan} instead of {index}");
            for bad in ["SCAN ", "TEMP B-TREE"] {
                assert!(!plan.contains(bad), "{wanted:?}: {plan}");
            }
        }
    }
    let of_category = plan(&readers, select(wxapp, &all, Some(vec![3, 4]), None)).await;
    assert!(!of_category.contains("SCAN "), "{of_category}");
    let entry = plan(&readers, one(SkuId::parse(50).unwrap(), 7)).await;
    assert!(entry.contains("stock_entry_sku_id_seq_key") && !entry.contains("SCAN "), "{entry}");
}
