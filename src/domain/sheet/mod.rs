//! The sheet of goods (商品资料): all that staff may write of goods and their SKUs. Stock is no part
//! of it and cannot be: it moves by the ledger alone.
//!
//! Nothing here knows forms or rows. A SKU is known by its id; one that a sheet leaves out is
//! retired, never deleted, so that what was ordered keeps its name and price.

mod grid;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::goods::DeductStock;
use crate::domain::id::{CategoryId, SkuId};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;

pub use grid::arrange;
pub use told::{differences, facts};

/// The most SKUs of one of the goods.
pub const SKUS_MAX: usize = 500;
/// The most rows that are written at once: as many again that are retired.
pub const ROWS_MAX: usize = 2 * SKUS_MAX;
/// The highest price: ten million yuan.
pub const PRICE_MAX: Money = Money::from_fen(1_000_000_000);
/// The largest weight, limit and place in a list.
pub const NUMBER_MAX: i64 = 999_999_999;
pub const SPECS_MAX: usize = 5;
pub const VALUES_MAX: usize = 100;
pub const BLOCKS_MAX: usize = 50;
pub const IMAGES_MAX: usize = 20;
/// Bytes of a description, and of properties: what a text column of MariaDB holds, with escapes.
const TEXT_MAX: usize = 30_000;

/// A property in which SKUs differ, such as colour (规格).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub id: i64,
    pub name: String,
    pub values: Vec<SpecValue>,
}

/// A value of a [`Spec`], such as red.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecValue {
    pub id: i64,
    pub value: String,
}

/// A part of a description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    Text(String),
    /// Address of an image.
    Image(String),
}

/// All of the goods that staff may write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sheet {
    pub code: String,
    pub name: String,
    pub category: Option<CategoryId>,
    pub images: Vec<String>,
    pub blocks: Vec<Block>,
    pub specs: Vec<Spec>,
    pub deduct_stock: DeductStock,
    pub on_sale: bool,
    pub sale_starts_at: Option<Timestamp>,
    pub sale_ends_at: Option<Timestamp>,
    /// Pieces that one buyer may have in live orders.
    pub limit_per_user: Option<i64>,
    /// Place in lists, the lowest first.
    pub sort: i64,
    pub skus: Vec<SheetSku>,
}

/// A SKU of a sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SheetSku {
    /// None: it is new.
    pub id: Option<SkuId>,
    pub code: String,
    /// Ids of values, one of each property; none: `attr` is typed.
    pub values: Vec<i64>,
    /// The values in words.
    pub attr: String,
    pub price: Money,
    /// Struck through; zero: none.
    pub line_price: Money,
    pub weight_g: i64,
    pub image_url: String,
    /// No more sold.
    pub retired: bool,
}

/// What cannot be taken of a sheet: the field, in which row of SKUs, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw {
    pub field: &'static str,
    pub row: Option<usize>,
    pub why: &'static str,
}

impl Flaw {
    pub const fn of(field: &'static str, why: &'static str) -> Self {
        Self { field, row: None, why }
    }
    pub const fn at(row: usize, field: &'static str, why: &'static str) -> Self {
        Self { field, row: Some(row), why }
    }
}

impl Sheet {
    /// Lowest and highest price of what is sold; zero when nothing is.
    pub fn prices(&self) -> (Money, Money) {
        let prices = || self.skus.iter().filter(|sku| !sku.retired).map(|sku| sku.price);
        (prices().min().unwrap_or_default(), prices().max().unwrap_or_default())
    }

    /// The SKUs that are sold, and of the retired ones those that could be again under the
    /// properties there are: few enough to be written at once.
    pub fn within_reach(&self) -> impl Iterator<Item = &SheetSku> {
        let sold = self.skus.iter().filter(|sku| !sku.retired);
        let back = |sku: &&SheetSku| sku.retired && is_combination(&self.specs, &sku.values);
        sold.chain(self.skus.iter().filter(back)).take(SKUS_MAX)
    }

    /// The highest id of a value or property, those of retired SKUs among them.
    pub fn last_id(&self) -> i64 {
        let ids = |spec: &Spec| spec.values.iter().map(|v| v.id).max().unwrap_or(0).max(spec.id);
        let values = self.skus.iter().flat_map(|sku| sku.values.iter().copied());
        self.specs.iter().map(ids).chain(values).max().unwrap_or(0)
    }

    /// The description without its images.
    pub fn content(&self) -> String {
        let text = |block: &Block| match block {
            Block::Text(text) => Some(text.clone()),
            Block::Image(_) => None,
        };
        self.blocks.iter().filter_map(text).collect::<Vec<_>>().join("\n")
    }

    /// Writes the values of each SKU in words.
    pub fn name_skus(&mut self) {
        for sku in self.skus.iter_mut().filter(|sku| !sku.values.is_empty()) {
            if let Some(words) = words(&self.specs, &sku.values) {
                sku.attr = words;
            }
        }
    }

    /// What cannot be taken; nothing: the sheet can be written.
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        text(&mut flaws, Flaw::of("name", ""), &self.name, 1, 128);
        text(&mut flaws, Flaw::of("code", ""), &self.code, 1, 64);
        if self.limit_per_user.is_some_and(|limit| !(1..=NUMBER_MAX).contains(&limit)) {
            flaws.push(Flaw::of("limit_per_user", OUT_OF_RANGE));
        }
        if !(0..=NUMBER_MAX).contains(&self.sort) {
            flaws.push(Flaw::of("sort", OUT_OF_RANGE));
        }
        if let (Some(starts), Some(ends)) = (self.sale_starts_at, self.sale_ends_at)
            && ends <= starts
        {
            flaws.push(Flaw::of("sale_ends_at", "ends before it begins"));
        }
        self.flaws_of_story(&mut flaws);
        self.flaws_of_specs(&mut flaws);
        self.flaws_of_skus(&mut flaws);
        flaws
    }

    fn flaws_of_story(&self, flaws: &mut Vec<Flaw>) {
        if self.images.len() > IMAGES_MAX || !self.images.iter().all(|image| is_image(image)) {
            flaws.push(Flaw::of("images", "not addresses of images"));
        }
        if self.blocks.len() > BLOCKS_MAX {
            flaws.push(Flaw::of("blocks", "are too many"));
        }
        let mut bytes = 0;
        for block in &self.blocks {
            let (Block::Text(text) | Block::Image(text)) = block;
            bytes += text.len() + 20;
            let odd = |c: char| c.is_control() && c != '\n';
            match block {
                Block::Text(text) if text.trim().is_empty() || text.chars().any(odd) => {
                    flaws.push(Flaw::of("blocks", "has control characters"));
                }
                Block::Image(address) if !is_image(address) => {
                    flaws.push(Flaw::of("blocks", "not addresses of images"));
                }
                Block::Text(_) | Block::Image(_) => {}
            }
        }
        if bytes > TEXT_MAX {
            flaws.push(Flaw::of("blocks", TOO_LONG));
        }
    }

    fn flaws_of_specs(&self, flaws: &mut Vec<Flaw>) {
        let many = self.specs.iter().any(|spec| spec.values.len() > VALUES_MAX);
        if self.specs.len() > SPECS_MAX || many {
            flaws.push(Flaw::of("specs", "are too many"));
        }
        let mut bytes = 0;
        let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for spec in &self.specs {
            text(flaws, Flaw::of("specs", ""), &spec.name, 1, 64);
            let mut values = BTreeSet::new();
            for value in &spec.values {
                text(flaws, Flaw::of("specs", ""), &value.value, 1, 64);
                bytes += value.value.len() + 30;
                let known = !ids.insert(value.id) || !values.insert(&value.value);
                if known || !(1..=NUMBER_MAX).contains(&value.id) {
                    flaws.push(Flaw::of("specs", TWICE));
                }
            }
            bytes += spec.name.len() + 40;
            if !names.insert(&spec.name) || spec.values.is_empty() {
                flaws.push(Flaw::of("specs", "need a name of their own and a value"));
            }
        }
        if bytes > TEXT_MAX {
            flaws.push(Flaw::of("specs", TOO_LONG));
        }
    }

    fn flaws_of_skus(&self, flaws: &mut Vec<Flaw>) {
        let sold = self.skus.iter().filter(|sku| !sku.retired).count();
        if sold == 0 || sold > SKUS_MAX || self.skus.len() > ROWS_MAX {
            flaws.push(Flaw::of("skus", "from 1 to 500 are needed"));
        }
        let (mut codes, mut ids, mut combinations) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (row, sku) in self.skus.iter().enumerate() {
            sku.flaws(row, flaws);
            if !codes.insert(&sku.code) {
                flaws.push(Flaw::at(row, "code", TWICE));
            }
            if sku.id.is_some_and(|id| !ids.insert(id)) {
                flaws.push(Flaw::at(row, "id", TWICE));
            }
            if sku.retired || (self.specs.is_empty() && sku.values.is_empty()) {
                continue;
            }
            let mut values = sku.values.clone();
            values.sort_unstable();
            // What was loaded with no values is known by its words.
            let by_words = sku.id.is_some() && values.is_empty();
            if !by_words && !is_combination(&self.specs, &sku.values) {
                flaws.push(Flaw::at(row, "values", "needs one value of each property"));
            } else if !by_words && !combinations.insert(values) {
                flaws.push(Flaw::at(row, "values", TWICE));
            }
        }
    }
}

const OUT_OF_RANGE: &str = "out of range";
const TOO_LONG: &str = "is too long";
const TWICE: &str = "is there twice";

impl SheetSku {
    fn flaws(&self, row: usize, flaws: &mut Vec<Flaw>) {
        text(flaws, Flaw::at(row, "code", ""), &self.code, 1, 64);
        text(flaws, Flaw::at(row, "attr", ""), &self.attr, 0, 128);
        let amount = |amount: Money| (Money::ZERO..=PRICE_MAX).contains(&amount);
        if !amount(self.price) {
            flaws.push(Flaw::at(row, "price", OUT_OF_RANGE));
        }
        if !amount(self.line_price) {
            flaws.push(Flaw::at(row, "line_price", OUT_OF_RANGE));
        }
        if !(0..=NUMBER_MAX).contains(&self.weight_g) {
            flaws.push(Flaw::at(row, "weight_g", OUT_OF_RANGE));
        }
        if !self.image_url.is_empty() && !is_image(&self.image_url) {
            flaws.push(Flaw::at(row, "image_url", "not addresses of images"));
        }
    }
}

fn text(flaws: &mut Vec<Flaw>, at: Flaw, value: &str, min: usize, max: usize) {
    let length = value.chars().take(max + 1).count();
    let why = if length < min || (min > 0 && value.trim().is_empty()) {
        "is empty"
    } else if length > max {
        TOO_LONG
    } else if value.chars().any(char::is_control) {
        "has control characters"
    } else {
        return;
    };
    flaws.push(Flaw { why, ..at });
}

/// An address of the web or of this server; nothing that a page could run.
fn is_image(address: &str) -> bool {
    let length = address.chars().take(513).count();
    let odd = |c: char| c.is_control() || c.is_whitespace() || "<>\"'".contains(c);
    let scheme = address.split(['/', '?', '#']).next().unwrap_or_default();
    let web = address.starts_with("https://") || address.starts_with("http://");
    (1..=512).contains(&length) && !address.chars().any(odd) && (web || !scheme.contains(':'))
}

fn is_combination(specs: &[Spec], values: &[i64]) -> bool {
    let has = |spec: &Spec| spec.values.iter().filter(|v| values.contains(&v.id)).count() == 1;
    values.len() == specs.len() && specs.iter().all(has)
}

/// The values in words, in the order of the properties; none when one of them is unknown.
fn words(specs: &[Spec], values: &[i64]) -> Option<String> {
    let known: BTreeMap<i64, &str> =
        specs.iter().flat_map(|spec| &spec.values).map(|v| (v.id, v.value.as_str())).collect();
    let mut sorted = values.to_vec();
    let place = |id: &i64| specs.iter().position(|spec| spec.values.iter().any(|v| v.id == *id));
    sorted.sort_by_key(place);
    let words: Option<Vec<&str>> = sorted.iter().map(|id| known.get(id).copied()).collect();
    words.map(|words| words.join(" "))
}

#[cfg(test)]
mod tests;
