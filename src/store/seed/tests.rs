#![allow(clippy::unwrap_used)]
use entity::{goods, sku, stock_entry};
use sea_orm::{EntityTrait, QueryOrder};

use super::*;
use crate::store::Readers;
use crate::store::audit::audit;
use crate::store::catalogue::{GoodsFilter, categories, goods_detail, goods_page};
use crate::store::test_databases::TestReaders;

const NOW: Timestamp = Timestamp::from_millis(1_000);
const SHIRT: &str = r#"{"goods":[{"name":"衬衫","category":"衣服","images":["a.jpg"],
  "specs":[{"name":"颜色","values":["红","蓝"]},{"name":"尺码","values":[{"value":"大"}]}],
  "skus":[{"code":"S-R","attr":"红 大","price_fen":9900,"stock":5},
          {"code":"S-B","attr":"蓝 大","price_fen":8900,"stock":0,"weight_g":200}]}]}"#;

fn wxapp() -> WxappId {
    WxappId::parse(10001).unwrap()
}

async fn shop() -> TestReaders {
    TestReaders::small().await
}

async fn load(readers: &Readers, json: &str) -> Result<Seeded, SeedError> {
    let file = SeedFile::parse(json.as_bytes()).unwrap();
    seed(readers.db(), wxapp(), &file, NOW).await
}

async fn ledger(readers: &Readers) -> Vec<(String, i64, i64, i64)> {
    let rows = stock_entry::Entity::find().order_by_asc(stock_entry::Column::Id);
    let rows = rows.all(readers.db()).await.unwrap();
    rows.into_iter().map(|row| (row.kind, row.seq, row.delta, row.balance)).collect()
}

async fn skus(readers: &Readers) -> Vec<sku::Model> {
    sku::Entity::find().order_by_asc(sku::Column::Sort).all(readers.db()).await.unwrap()
}

#[tokio::test]
async fn goods_of_the_file_are_for_sale() {
    let readers = shop().await;
    let seeded = load(&readers, SHIRT).await.unwrap();
    assert!(seeded.goods[0].created && seeded.goods[0].skus.iter().all(|sku| sku.created));
    let tree = categories(&readers, wxapp()).await.unwrap();
    assert_eq!(tree[0].name, "衣服");
    let filter = GoodsFilter { category: Some(tree[0].id), ..GoodsFilter::default() };
    let page = goods_page(&readers, wxapp(), &filter, None, 10).await.unwrap();
    let item = &page.items[0];
    assert_eq!(
        (item.price_min.as_fen(), item.price_max.as_fen(), item.sold_out),
        (8900, 9900, false)
    );
    let detail = goods_detail(&readers, wxapp(), item.id).await.unwrap().unwrap();
    assert_eq!(detail.skus[0].spec_value_ids, [2, 5]);
    assert_eq!(detail.skus[1].spec_value_ids, [3, 5]);
    assert_eq!(detail.skus[1].weight_g, 200);
    let initial = |stock| ("initial".to_owned(), 1, stock, stock);
    assert_eq!(ledger(&readers).await, [initial(5), initial(0)]);
    assert_eq!(audit(&readers, NOW).await.unwrap().breaches, []);
}

#[tokio::test]
async fn the_same_file_again_changes_nothing() {
    let readers = shop().await;
    let first = load(&readers, SHIRT).await.unwrap();
    let before = skus(&readers).await;
    let second = load(&readers, SHIRT).await.unwrap();
    assert_eq!(skus(&readers).await, before);
    assert_eq!(ledger(&readers).await.len(), 2);
    assert_eq!(second.goods[0].id, first.goods[0].id);
    assert!(!second.goods[0].created && second.goods[0].skus.iter().all(|sku| !sku.created));
    assert_eq!(goods::Entity::find().one(readers.db()).await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn a_changed_stock_is_an_import_and_raises_the_version() {
    let readers = shop().await;
    load(&readers, SHIRT).await.unwrap();
    load(
        &readers,
        &SHIRT.replace("\"stock\":5", "\"stock\":3").replace("\"stock\":0", "\"stock\":2"),
    )
    .await
    .unwrap();
    let imports = [("import".to_owned(), 2, -2, 3), ("import".to_owned(), 2, 2, 2)];
    assert_eq!(ledger(&readers).await[2..], imports);
    let rows: Vec<_> =
        skus(&readers).await.iter().map(|row| (row.stock, row.seq, row.version)).collect();
    assert_eq!(rows, [(3, 2, 2), (2, 2, 2)]);
    assert_eq!(audit(&readers, NOW).await.unwrap().breaches, []);
}

#[tokio::test]
async fn changed_goods_raise_the_version_of_all_their_skus() {
    let readers = shop().await;
    load(&readers, SHIRT).await.unwrap();
    let only_one = r#"{"goods":[{"name":"衬衫","code":"S-R","deduct_stock":"payment",
        "skus":[{"code":"S-R","attr":"红 大","price_fen":7900,"stock":5}]}]}"#;
    load(&readers, only_one).await.unwrap();
    let versions: Vec<_> = skus(&readers).await.iter().map(|row| row.version).collect();
    assert_eq!(versions, [3, 2]);
    let row = goods::Entity::find().one(readers.db()).await.unwrap().unwrap();
    assert_eq!((row.deduct_stock.as_str(), row.version), ("payment", 2));
    assert_eq!((row.price_min_fen, row.price_max_fen), (7900, 8900));
    assert_ne!(row.category_id, 0);
}

#[tokio::test]
async fn a_code_of_other_goods_is_refused_and_nothing_is_written() {
    let readers = shop().await;
    load(&readers, SHIRT).await.unwrap();
    let stolen = r#"{"goods":[{"name":"茶","skus":[{"code":"T","price_fen":1,"stock":1}]},
        {"name":"裤","code":"P","skus":[{"code":"S-B","price_fen":1,"stock":1}]}]}"#;
    let error = load(&readers, stolen).await.unwrap_err();
    assert!(error.to_string().starts_with("goods[1].skus[0].code: "), "{error}");
    assert_eq!(skus(&readers).await.len(), 2);
}

#[tokio::test]
async fn many_goods_go_in_few_transactions() {
    let goods: Vec<String> = (0..5_000)
        .map(|i| format!(r#"{{"name":"g{i}","category":"c{}","skus":[{{"code":"k{i}","price_fen":1,"stock":1}}]}}"#, i % 3))
        .collect();
    let file = SeedFile::parse(format!(r#"{{"goods":[{}]}}"#, goods.join(",")).as_bytes()).unwrap();
    assert_eq!(
        parts(&file.goods).map(<[SeedGoods]>::len).collect::<Vec<_>>(),
        [2_000, 2_000, 1_000]
    );
    let readers = shop().await;
    let seeded = seed(readers.db(), wxapp(), &file, NOW).await.unwrap();
    assert_eq!(seeded.goods.len(), 5_000);
    let report = audit(&readers, NOW).await.unwrap();
    assert_eq!((report.breaches.len(), report.skus), (0, 5_000));
}
