//! One transaction of a seed: what is there is read under lock, what differs is written.

use std::collections::HashMap;

use entity::{category, goods, sku, stock_entry};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};

use super::format::{SeedFileError, SeedGoods, SeedSku};
use super::specs::{spec_value_ids, specs};
use super::{SeedError, SeededGoods, SeededSku};
use crate::domain::id::WxappId;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::catalogue::Spec;
use crate::store::db::row_lock;
use crate::store::ids::{BLOCK, take_blocks};

/// Codes in one query, rows in one INSERT: well below every database's limit of parameters.
const ROWS_PER_STATEMENT: usize = 500;
const WHO: &str = "seed";

/// One transaction of a seed.
pub(super) struct Load<'a> {
    pub txn: &'a DatabaseTransaction,
    pub wxapp: WxappId,
    pub now: Timestamp,
    /// The place in the file of the first of these goods.
    pub first: usize,
}

/// What is there of the goods and SKUs of the file, by code.
struct Known {
    goods: HashMap<String, goods::Model>,
    skus: HashMap<String, sku::Model>,
    categories: HashMap<String, i64>,
    ids: std::ops::Range<i64>,
}

impl Known {
    fn id(&mut self) -> Result<i64, SeedError> {
        let none = || StoreError::row("id_block", "a block was too small").into();
        self.ids.next().ok_or_else(none)
    }
}

/// New rows that wait to be inserted together.
#[derive(Default)]
struct Fresh {
    goods: Vec<goods::Model>,
    skus: Vec<sku::Model>,
    entries: Vec<stock_entry::Model>,
}

impl Load<'_> {
    pub(super) async fn goods(&self, file: &[SeedGoods]) -> Result<Vec<SeededGoods>, SeedError> {
        let mut known = self.read(file).await?;
        self.categories(file, &mut known).await?;
        let mut fresh = Fresh::default();
        let mut seeded = Vec::with_capacity(file.len());
        for (index, goods) in file.iter().enumerate() {
            let path = format!("goods[{}]", self.first + index);
            seeded.push(self.one_goods(&path, goods, &mut known, &mut fresh).await?);
        }
        self.insert(fresh).await?;
        for (goods, seeded) in file.iter().zip(&seeded).filter(|(_, seeded)| !seeded.created) {
            self.price_range(seeded.id, goods).await?;
        }
        Ok(seeded)
    }

    async fn read(&self, file: &[SeedGoods]) -> Result<Known, SeedError> {
        let codes: Vec<&str> = file.iter().map(|goods| goods.code.as_str()).collect();
        let sku_codes: Vec<&str> =
            file.iter().flat_map(|goods| &goods.skus).map(|sku| sku.code.as_str()).collect();
        let mut known = Known {
            goods: HashMap::new(),
            skus: HashMap::new(),
            categories: HashMap::new(),
            ids: 0..0,
        };
        for codes in codes.chunks(ROWS_PER_STATEMENT) {
            let rows = goods::Entity::find()
                .filter(goods::Column::WxappId.eq(self.wxapp.get()))
                .filter(goods::Column::Code.is_in(codes.iter().copied()))
                .order_by_asc(goods::Column::Id)
                .lock(row_lock(self.txn));
            let rows = rows.all(self.txn).await?;
            known.goods.extend(rows.into_iter().map(|row| (row.code.clone(), row)));
        }
        for codes in sku_codes.chunks(ROWS_PER_STATEMENT) {
            let rows = sku::Entity::find()
                .filter(sku::Column::WxappId.eq(self.wxapp.get()))
                .filter(sku::Column::Code.is_in(codes.iter().copied()))
                .order_by_asc(sku::Column::Id)
                .lock(row_lock(self.txn));
            let rows = rows.all(self.txn).await?;
            known.skus.extend(rows.into_iter().map(|row| (row.code.clone(), row)));
        }
        // A category, a row and a ledger entry for each at the most.
        let needed = 2 * (codes.len() + sku_codes.len());
        let blocks = i64::try_from(needed).unwrap_or(i64::MAX / BLOCK - 1) / BLOCK + 1;
        known.ids = take_blocks(self.txn, blocks).await?;
        Ok(known)
    }

    /// Finds the categories that the file names, and makes those that are not there.
    async fn categories(&self, file: &[SeedGoods], known: &mut Known) -> Result<(), SeedError> {
        let mut names: Vec<&String> =
            file.iter().filter_map(|goods| goods.category.as_ref()).collect();
        names.sort_unstable();
        names.dedup();
        for part in names.chunks(ROWS_PER_STATEMENT) {
            let rows = category::Entity::find()
                .filter(category::Column::WxappId.eq(self.wxapp.get()))
                .filter(category::Column::ParentId.eq(0))
                .filter(category::Column::Name.is_in(part.iter().map(|name| name.as_str())))
                .all(self.txn)
                .await?;
            known.categories.extend(rows.into_iter().map(|row| (row.name, row.id)));
        }
        for name in names {
            if known.categories.contains_key(name) {
                continue;
            }
            let row = category::Model {
                id: known.id()?,
                wxapp_id: self.wxapp.get(),
                parent_id: 0,
                name: name.clone(),
                image_url: String::new(),
                sort: 100,
                created_at: self.now.as_millis(),
            };
            known.categories.insert(name.clone(), row.id);
            category::Entity::insert(row.into_active_model())
                .exec_without_returning(self.txn)
                .await?;
        }
        Ok(())
    }

    async fn one_goods(
        &self,
        path: &str,
        file: &SeedGoods,
        known: &mut Known,
        fresh: &mut Fresh,
    ) -> Result<SeededGoods, SeedError> {
        let specs = specs(file);
        let there = known.goods.remove(&file.code);
        let created = there.is_none();
        let (id, changed) = match there {
            Some(row) => {
                let wanted = self.goods_row(file, &specs, known, row.id, Some(&row))?;
                let changed = self.update_goods(row, wanted).await?;
                (changed.0, changed.1)
            }
            None => {
                let id = known.id()?;
                fresh.goods.push(self.goods_row(file, &specs, known, id, None)?);
                (id, false)
            }
        };
        if changed {
            self.bump_skus(id).await?;
        }
        let mut skus = Vec::with_capacity(file.skus.len());
        for (index, sku) in file.skus.iter().enumerate() {
            let place = Place {
                path: format!("{path}.skus[{index}].code"),
                goods: id,
                index,
                bumped: changed,
            };
            skus.push(self.one_sku(place, sku, &specs, known, fresh).await?);
        }
        Ok(SeededGoods { id, code: file.code.clone(), created, skus })
    }

    /// The row as the file wants it; what the file does not say stays as it is.
    fn goods_row(
        &self,
        file: &SeedGoods,
        specs: &[Spec],
        known: &Known,
        id: i64,
        there: Option<&goods::Model>,
    ) -> Result<goods::Model, SeedError> {
        let json = |error| StoreError::row("goods", error);
        let named = file.category.as_ref().and_then(|name| known.categories.get(name)).copied();
        let prices = || file.skus.iter().map(|sku| sku.price_fen);
        let now = self.now.as_millis();
        Ok(goods::Model {
            id,
            wxapp_id: self.wxapp.get(),
            category_id: named.or(there.map(|row| row.category_id)).unwrap_or(0),
            code: file.code.clone(),
            name: file.name.clone(),
            images: serde_json::to_string(&file.images).map_err(json)?,
            content: file.content.clone(),
            blocks: there
                .filter(|row| row.content == file.content)
                .and_then(|row| row.blocks.clone()),
            specs: serde_json::to_string(specs).map_err(json)?,
            deduct_stock: file.deduct_stock.as_str().to_owned(),
            status: if file.on_sale { "on_sale" } else { "off_sale" }.to_owned(),
            sale_starts_at: there.and_then(|row| row.sale_starts_at),
            sale_ends_at: there.and_then(|row| row.sale_ends_at),
            limit_per_user: file.limit_per_user,
            price_min_fen: there
                .map_or_else(|| prices().min(), |row| Some(row.price_min_fen))
                .unwrap_or(0),
            price_max_fen: there
                .map_or_else(|| prices().max(), |row| Some(row.price_max_fen))
                .unwrap_or(0),
            sales: there.map_or(0, |row| row.sales),
            sort: there.map_or(100, |row| row.sort),
            version: there.map_or(1, |row| row.version),
            created_at: there.map_or(now, |row| row.created_at),
            updated_at: there.map_or(now, |row| row.updated_at),
        })
    }

    /// Writes what differs; says whether anything did.
    async fn update_goods(
        &self,
        there: goods::Model,
        wanted: goods::Model,
    ) -> Result<(i64, bool), SeedError> {
        let id = there.id;
        if wanted == there {
            return Ok((id, false));
        }
        let wanted =
            goods::Model { version: there.version + 1, updated_at: self.now.as_millis(), ..wanted };
        wanted.into_active_model().reset_all().update(self.txn).await?;
        Ok((id, true))
    }

    /// The terms of the goods have changed, so those of all its SKUs have.
    async fn bump_skus(&self, goods: i64) -> Result<(), SeedError> {
        use sea_orm::ExprTrait;
        let version = sea_orm::sea_query::Expr::col(sku::Column::Version).add(1);
        sku::Entity::update_many()
            .col_expr(sku::Column::Version, version)
            .filter(sku::Column::GoodsId.eq(goods))
            .exec(self.txn)
            .await?;
        Ok(())
    }

    async fn one_sku(
        &self,
        place: Place,
        file: &SeedSku,
        specs: &[Spec],
        known: &mut Known,
        fresh: &mut Fresh,
    ) -> Result<SeededSku, SeedError> {
        let there = known.skus.remove(&file.code);
        if there.as_ref().is_some_and(|row| row.goods_id != place.goods) {
            let what = format!("{:?} belongs to other goods of this shop", file.code);
            return Err(SeedFileError { path: place.path, what }.into());
        }
        let created = there.is_none();
        let id = match there.as_ref() {
            Some(row) => row.id,
            None => known.id()?,
        };
        let wanted = self.sku_row(&place, file, specs, id, there.as_ref())?;
        let before = there.as_ref().map_or(0, |row| row.stock);
        if created || wanted.stock != before {
            let kind = if created { "initial" } else { "import" };
            fresh.entries.push(self.entry(known.id()?, &wanted, kind, wanted.stock - before));
        }
        match there {
            None => fresh.skus.push(wanted),
            Some(there) => self.update_sku(there, wanted, place.bumped).await?,
        }
        Ok(SeededSku { id, code: file.code.clone(), created })
    }

    fn sku_row(
        &self,
        place: &Place,
        file: &SeedSku,
        specs: &[Spec],
        id: i64,
        there: Option<&sku::Model>,
    ) -> Result<sku::Model, SeedError> {
        let ids = file.spec_value_ids.clone().unwrap_or_else(|| spec_value_ids(specs, &file.attr));
        let values = serde_json::to_string(&ids);
        let now = self.now.as_millis();
        let moved = there.is_none_or(|row| row.stock != file.stock);
        Ok(sku::Model {
            id,
            wxapp_id: self.wxapp.get(),
            goods_id: place.goods,
            code: file.code.clone(),
            attr: file.attr.clone(),
            spec_value_ids: values.map_err(|error| StoreError::row("sku", error))?,
            price_fen: file.price_fen,
            line_price_fen: file.line_price_fen,
            stock: file.stock,
            seq: there.map_or(0, |row| row.seq) + i64::from(moved),
            version: there.map_or(1, |row| row.version),
            weight_g: file.weight_g,
            image_url: file.image_url.clone(),
            sort: i64::try_from(place.index).unwrap_or(i64::MAX),
            retired_at: None,
            created_at: there.map_or(now, |row| row.created_at),
            updated_at: there.map_or(now, |row| row.updated_at),
        })
    }

    async fn update_sku(
        &self,
        there: sku::Model,
        wanted: sku::Model,
        bumped: bool,
    ) -> Result<(), SeedError> {
        if wanted == there {
            return Ok(());
        }
        // The goods' own change may have raised the row's version since it was read.
        let wanted = sku::Model {
            version: there.version + 1 + i64::from(bumped),
            updated_at: self.now.as_millis(),
            ..wanted
        };
        wanted.into_active_model().reset_all().update(self.txn).await?;
        Ok(())
    }

    fn entry(&self, id: i64, sku: &sku::Model, kind: &str, delta: i64) -> stock_entry::Model {
        stock_entry::Model {
            id,
            wxapp_id: self.wxapp.get(),
            sku_id: sku.id,
            seq: sku.seq,
            kind: kind.to_owned(),
            order_id: None,
            order_goods_id: None,
            delta,
            balance: sku.stock,
            who: WHO.to_owned(),
            reason: String::new(),
            created_at: self.now.as_millis(),
        }
    }

    async fn insert(&self, fresh: Fresh) -> Result<(), SeedError> {
        self.insert_all::<goods::Entity, _>(fresh.goods).await?;
        self.insert_all::<sku::Entity, _>(fresh.skus).await?;
        self.insert_all::<stock_entry::Entity, _>(fresh.entries).await
    }

    async fn insert_all<E, A>(&self, rows: Vec<E::Model>) -> Result<(), SeedError>
    where
        E: EntityTrait,
        E::Model: IntoActiveModel<A>,
        A: ActiveModelTrait<Entity = E>,
    {
        let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model).peekable();
        while rows.peek().is_some() {
            let part: Vec<A> = rows.by_ref().take(ROWS_PER_STATEMENT).collect();
            E::insert_many(part).exec_without_returning(self.txn).await?;
        }
        Ok(())
    }

    /// The lowest and highest price over all SKUs of the goods, in the file or not.
    async fn price_range(&self, goods: i64, file: &SeedGoods) -> Result<(), SeedError> {
        let prices: Vec<i64> = sku::Entity::find()
            .select_only()
            .column(sku::Column::PriceFen)
            .filter(sku::Column::GoodsId.eq(goods))
            .filter(sku::Column::RetiredAt.is_null())
            .into_tuple()
            .all(self.txn)
            .await?;
        let of_file = || file.skus.iter().map(|sku| sku.price_fen);
        let lowest = prices.iter().copied().min().or(of_file().min()).unwrap_or(0);
        let highest = prices.iter().copied().max().or(of_file().max()).unwrap_or(0);
        use sea_orm::sea_query::Expr;
        goods::Entity::update_many()
            .col_expr(goods::Column::PriceMinFen, Expr::value(lowest))
            .col_expr(goods::Column::PriceMaxFen, Expr::value(highest))
            .filter(goods::Column::Id.eq(goods))
            .exec(self.txn)
            .await?;
        Ok(())
    }
}

/// Where a SKU stands: in the file, and in the shop.
struct Place {
    path: String,
    goods: i64,
    index: usize,
    /// Its version was raised already by a change of its goods.
    bumped: bool,
}
