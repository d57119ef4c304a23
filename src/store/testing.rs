//! Rows that tests start from, inserted as they are.
#![allow(clippy::unwrap_used)]

use entity::{goods, sku, stock_entry, user, user_address};
use sea_orm::{ActiveModelTrait, DatabaseConnection, EntityTrait, IntoActiveModel};

use crate::domain::address::Address;
use crate::domain::goods::{Goods, Sku};
use crate::domain::id::{AddressId, UserId, WxappId};

async fn insert<M, A>(db: &DatabaseConnection, row: M)
where
    M: IntoActiveModel<A>,
    A: ActiveModelTrait + sea_orm::ActiveModelBehavior + Send,
{
    A::Entity::insert(row.into_active_model()).exec_without_returning(db).await.unwrap();
}

pub async fn insert_goods(db: &DatabaseConnection, row: &Goods) {
    let images = serde_json::to_string(&[&row.image_url]).unwrap();
    let row = goods::Model {
        id: row.id.get(),
        wxapp_id: row.wxapp.get(),
        category_id: 0,
        code: format!("G{}", row.id),
        name: row.name.clone(),
        images: if row.image_url.is_empty() { "[]".into() } else { images },
        content: String::new(),
        blocks: None,
        specs: "[]".into(),
        deduct_stock: row.deduct_stock.as_str().into(),
        status: if row.on_sale { "on_sale" } else { "off_sale" }.into(),
        sale_starts_at: row.sale_starts_at.map(|at| at.as_millis()),
        sale_ends_at: row.sale_ends_at.map(|at| at.as_millis()),
        limit_per_user: row.limit_per_user,
        price_min_fen: 0,
        price_max_fen: 0,
        sales: row.sales,
        sort: 0,
        version: row.version,
        created_at: 0,
        updated_at: 0,
    };
    insert(db, row).await;
}

/// With the first entry of its ledger, whose id is the SKU's.
pub async fn insert_sku(db: &DatabaseConnection, row: &Sku) {
    let initial = stock_entry::Model {
        id: row.id.get(),
        wxapp_id: row.wxapp.get(),
        sku_id: row.id.get(),
        seq: 1,
        kind: "initial".into(),
        order_id: None,
        order_goods_id: None,
        delta: row.stock,
        balance: row.stock,
        who: "test".into(),
        reason: String::new(),
        created_at: 0,
    };
    insert(db, initial).await;
    let row = sku::Model {
        id: row.id.get(),
        wxapp_id: row.wxapp.get(),
        goods_id: row.goods.get(),
        code: format!("S{}", row.id),
        attr: row.attr.clone(),
        spec_value_ids: "[]".into(),
        price_fen: row.price.as_fen(),
        line_price_fen: 0,
        stock: row.stock,
        seq: row.seq,
        version: row.version,
        weight_g: row.weight_g,
        image_url: row.image_url.clone(),
        sort: 0,
        retired_at: row.retired.then_some(0),
        created_at: 0,
        updated_at: 0,
    };
    insert(db, row).await;
}

/// A buyer with one address.
pub async fn insert_buyer(
    db: &DatabaseConnection,
    wxapp: WxappId,
    buyer: UserId,
    id: AddressId,
    address: &Address,
) {
    let row = user::Model {
        id: buyer.get(),
        wxapp_id: wxapp.get(),
        openid: format!("openid-{buyer}"),
        nickname: String::new(),
        avatar_url: String::new(),
        created_at: 0,
    };
    insert(db, row).await;
    let address = address.clone();
    let row = user_address::Model {
        id: id.get(),
        wxapp_id: wxapp.get(),
        user_id: buyer.get(),
        name: address.name,
        phone: address.phone,
        province: address.province,
        city: address.city,
        district: address.district,
        detail: address.detail,
        is_default: true,
        created_at: 0,
        updated_at: 0,
    };
    insert(db, row).await;
}
