//! The form of goods while somebody fills it in: texts as they were typed, so that a page that is
//! shown again loses none of them, and what is wrong is said at its field.

use super::{moment, moment_text};
use crate::domain::goods::DeductStock;
use crate::domain::id::{CategoryId, SkuId};
use crate::domain::money::Money;
use crate::domain::sheet::{
    Block, Flaw, ROWS_MAX, SKUS_MAX, Sheet, SheetSku, Spec, SpecValue, arrange,
};
use crate::domain::time::Timestamp;
use crate::http::admin::form::Form;
use crate::http::admin::render::Trouble;
use crate::http::admin::texts::Tongue;
use crate::http::error::{ApiError, Code};

/// A form of goods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    pub code: String,
    pub name: String,
    pub category: String,
    /// One a line.
    pub images: String,
    pub blocks: Vec<DraftBlock>,
    pub specs: Vec<DraftSpec>,
    pub deduct_stock: String,
    pub on_sale: bool,
    pub sale_starts_at: String,
    pub sale_ends_at: String,
    pub limit_per_user: String,
    pub sort: String,
    pub rows: Vec<DraftRow>,
    /// Of values and properties that there were; a new one comes behind it.
    pub last_id: i64,
    /// Codes of the SKUs that are there, those that the form leaves off among them.
    pub codes: Vec<String>,
    pub fill_price: String,
    pub fill_weight: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftBlock {
    pub is_image: bool,
    pub text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftSpec {
    pub id: i64,
    pub name: String,
    pub values: Vec<(i64, String)>,
    /// Values to come, one a line.
    pub more: String,
}

/// A row of the grid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DraftRow {
    pub id: Option<i64>,
    pub values: Vec<i64>,
    pub code: String,
    pub attr: String,
    pub price: String,
    pub line_price: String,
    pub weight_g: String,
    pub image_url: String,
    pub retired: bool,
}

impl DraftRow {
    /// The ids of its values, for the field that carries them.
    pub fn values_text(&self) -> String {
        self.values.iter().map(i64::to_string).collect::<Vec<_>>().join(".")
    }
}

impl Draft {
    /// The form of goods that are not there yet.
    pub fn blank() -> Self {
        Self {
            deduct_stock: DeductStock::Order.as_str().to_owned(),
            sort: "100".to_owned(),
            rows: vec![DraftRow::default()],
            ..Self::default()
        }
    }

    /// The form of goods as they are.
    pub fn of(sheet: &Sheet) -> Self {
        let number = |number: Option<i64>| number.map_or_else(String::new, |n| n.to_string());
        let time = |at: Option<Timestamp>| at.map_or_else(String::new, moment_text);
        Self {
            code: sheet.code.clone(),
            name: sheet.name.clone(),
            category: number(sheet.category.map(CategoryId::get)),
            images: sheet.images.join("\n"),
            blocks: sheet.blocks.iter().map(DraftBlock::of).collect(),
            specs: sheet.specs.iter().map(DraftSpec::of).collect(),
            deduct_stock: sheet.deduct_stock.as_str().to_owned(),
            on_sale: sheet.on_sale,
            sale_starts_at: time(sheet.sale_starts_at),
            sale_ends_at: time(sheet.sale_ends_at),
            limit_per_user: number(sheet.limit_per_user),
            sort: sheet.sort.to_string(),
            rows: sheet.within_reach().map(DraftRow::of).collect(),
            last_id: sheet.last_id(),
            ..Self::default()
        }
    }

    /// What was typed. A field for stock is refused: it has no place here.
    pub fn typed(form: &Form) -> Result<Self, ApiError> {
        let stock = |name: &str| name != "deduct_stock" && name.contains("stock");
        if form.starting_with("").any(|(name, _)| stock(name)) {
            return Err(ApiError::invalid("stock", "is moved by its own page, with a reason"));
        }
        let text = |name: &str| form.value(name).trim().to_owned();
        Ok(Self {
            code: text("code"),
            name: text("name"),
            category: text("category"),
            images: text("images").replace('\r', ""),
            blocks: blocks(form)?,
            specs: specs(form)?,
            deduct_stock: text("deduct_stock"),
            on_sale: form.value("on_sale") == "yes",
            sale_starts_at: text("sale_starts_at"),
            sale_ends_at: text("sale_ends_at"),
            limit_per_user: text("limit_per_user"),
            sort: text("sort"),
            rows: rows(form)?,
            last_id: 0,
            codes: Vec::new(),
            fill_price: text("fill_price"),
            fill_weight: text("fill_weight"),
        })
    }

    /// The same with a grid that follows the properties, and the empty fields of new rows filled.
    pub fn arranged(mut self) -> Self {
        self.take_more_values();
        let specs: Vec<Spec> = self.specs.iter().map(DraftSpec::spec).collect();
        let skeletons = self.rows.iter().enumerate().map(|(place, row)| row.skeleton(place));
        let grid = arrange(&specs, skeletons.collect());
        let row = |sku: SheetSku| {
            // A new one has no place among those that were typed.
            let place = usize::try_from(sku.weight_g - 1).ok();
            let typed = place.and_then(|place| self.rows.get(place)).cloned().unwrap_or_default();
            let attr = match sku.retired && sku.attr.is_empty() {
                true => typed.attr.clone(),
                false => sku.attr,
            };
            DraftRow { values: sku.values, attr, retired: sku.retired, ..typed }
        };
        // The retired ones come last; what is left off stays as it is.
        self.rows = grid.into_iter().take(ROWS_MAX).map(row).collect();
        self.fill();
        self
    }

    /// Whether another press would make other rows of it.
    pub fn is_arranged(&self) -> bool {
        let rows = |draft: &Self| {
            let row = |row: &DraftRow| (row.id, row.values.clone(), row.retired);
            draft.rows.iter().map(row).collect::<Vec<_>>()
        };
        rows(&self.clone().arranged()) == rows(self)
    }

    /// The highest id of a value or property that is or was, retired rows among them: a new value
    /// must not have the id of one that went.
    pub fn highest_id(&self) -> i64 {
        let specs = self.specs.iter();
        let of_specs = specs.flat_map(|s| s.values.iter().map(|(id, _)| *id).chain([s.id]));
        let of_rows = self.rows.iter().flat_map(|row| row.values.iter().copied());
        of_specs.chain(of_rows).max().unwrap_or(0).max(self.last_id)
    }

    fn take_more_values(&mut self) {
        let mut next = self.highest_id();
        for spec in &mut self.specs {
            for value in std::mem::take(&mut spec.more).lines().map(str::trim) {
                let known = spec.values.iter().any(|(_, there)| there == value);
                if !value.is_empty() && !known {
                    next += 1;
                    spec.values.push((next, value.to_owned()));
                }
            }
            spec.values.retain(|(_, value)| !value.is_empty());
        }
        self.specs.retain(|spec| !(spec.name.is_empty() && spec.values.is_empty()));
    }

    fn fill(&mut self) {
        let (price, weight) =
            (std::mem::take(&mut self.fill_price), std::mem::take(&mut self.fill_weight));
        for row in self.rows.iter_mut().filter(|row| !row.retired) {
            if row.price.is_empty() {
                row.price.clone_from(&price);
            }
            if row.weight_g.is_empty() {
                row.weight_g.clone_from(&weight);
            }
        }
    }

    /// Codes for what has none.
    pub fn coded(mut self, fresh: impl Fn() -> String) -> Self {
        if self.code.is_empty() {
            self.code = fresh();
        }
        let mut next = 1;
        for place in 0..self.rows.len() {
            while self.rows[place].code.is_empty() {
                let code = format!("{}-{next}", self.code);
                next += 1;
                if !self.rows.iter().any(|row| row.code == code) && !self.codes.contains(&code) {
                    self.rows[place].code = code;
                }
            }
        }
        self
    }

    /// The sheet that is meant, or what is wrong with it, each at its field.
    pub fn sheet(&self, tongue: Tongue) -> Result<Sheet, Vec<Trouble>> {
        let mut read = Reading { flaws: Vec::new() };
        let time = |read: &mut Reading, field, text: &str| match text {
            "" => None,
            text => read.or_flaw(moment(text), Flaw::of(field, "not a time")),
        };
        let mut sheet = Sheet {
            code: self.code.clone(),
            name: self.name.clone(),
            category: self.read_category(&mut read),
            images: self
                .images
                .lines()
                .map(str::trim)
                .filter(|l| !l.is_empty())
                .map(str::to_owned)
                .collect(),
            blocks: self.blocks.iter().map(DraftBlock::block).collect(),
            specs: self.specs.iter().map(DraftSpec::spec).collect(),
            deduct_stock: DeductStock::parse(&self.deduct_stock).unwrap_or(DeductStock::Order),
            on_sale: self.on_sale,
            sale_starts_at: time(&mut read, "sale_starts_at", &self.sale_starts_at),
            sale_ends_at: time(&mut read, "sale_ends_at", &self.sale_ends_at),
            limit_per_user: read.number(Flaw::of("limit_per_user", NUMBER), &self.limit_per_user),
            sort: read.number(Flaw::of("sort", NUMBER), &self.sort).unwrap_or(100),
            skus: self.rows.iter().enumerate().map(|(at, row)| read.row(at, row)).collect(),
        };
        sheet.name_skus();
        read.flaws.extend(sheet.flaws());
        match read.flaws.is_empty() {
            true => Ok(sheet),
            false => Err(read.flaws.iter().map(|flaw| self.trouble(flaw, tongue)).collect()),
        }
    }

    fn read_category(&self, read: &mut Reading) -> Option<CategoryId> {
        let id = read.number(Flaw::of("category", "not a category"), &self.category)?;
        read.or_flaw(CategoryId::parse(id).ok(), Flaw::of("category", "not a category"))
    }

    /// What is wrong, at its field and with the name of its row.
    pub fn trouble(&self, flaw: &Flaw, tongue: Tongue) -> Trouble {
        let (g, why) = (tongue.goods(), tongue.word("invalid", flaw.why));
        let label = match flaw.field {
            "name" => g.name,
            "code" => g.code,
            "limit_per_user" => g.limit,
            "sort" => g.place,
            "sale_starts_at" => g.starts,
            "sale_ends_at" => g.ends,
            "images" | "image_url" => g.images,
            "blocks" => g.description,
            "category" => g.category,
            "price" => g.price,
            "line_price" => g.line_price,
            "weight_g" => g.weight,
            "attr" => g.attr,
            _ => g.specs,
        };
        match flaw.row {
            None => Trouble::new(flaw.field, format!("{label}: {why}")),
            Some(at) => {
                let row = self.rows.get(at);
                let name =
                    row.map_or("", |row| if row.attr.is_empty() { &row.code } else { &row.attr });
                let field =
                    if flaw.field == "values" || flaw.field == "id" { "code" } else { flaw.field };
                Trouble::new(&format!("sku-{at}-{field}"), format!("{name} {label}: {why}"))
            }
        }
    }
}

const NUMBER: &str = "not a number";

/// What cannot be read while a draft is read.
struct Reading {
    flaws: Vec<Flaw>,
}

impl Reading {
    fn or_flaw<T>(&mut self, value: Option<T>, flaw: Flaw) -> Option<T> {
        if value.is_none() {
            self.flaws.push(flaw);
        }
        value
    }

    fn number(&mut self, flaw: Flaw, text: &str) -> Option<i64> {
        match text {
            "" => None,
            text => self.or_flaw(text.parse().ok(), flaw),
        }
    }

    /// A price that is not there is none; one of a retired row stays unread.
    fn row(&mut self, at: usize, row: &DraftRow) -> SheetSku {
        let amount = |read: &mut Self, field, text: &str| {
            read.or_flaw(Money::parse_yuan(text), Flaw::at(at, field, "not an amount"))
        };
        let price = match (row.price.as_str(), row.retired) {
            ("", true) => None,
            (text, _) => amount(self, "price", text),
        };
        let line_price = match row.line_price.as_str() {
            "" => None,
            text => amount(self, "line_price", text),
        };
        SheetSku {
            id: row.id.and_then(|id| SkuId::parse(id).ok()),
            code: row.code.clone(),
            values: row.values.clone(),
            attr: row.attr.clone(),
            price: price.unwrap_or_default(),
            line_price: line_price.unwrap_or_default(),
            weight_g: self.number(Flaw::at(at, "weight_g", NUMBER), &row.weight_g).unwrap_or(0),
            image_url: row.image_url.clone(),
            retired: row.retired,
        }
    }
}

impl DraftBlock {
    fn of(block: &Block) -> Self {
        match block {
            Block::Text(text) => Self { is_image: false, text: text.clone() },
            Block::Image(address) => Self { is_image: true, text: address.clone() },
        }
    }
    fn block(&self) -> Block {
        match self.is_image {
            true => Block::Image(self.text.clone()),
            false => Block::Text(self.text.clone()),
        }
    }
}

impl DraftSpec {
    fn of(spec: &Spec) -> Self {
        let values = spec.values.iter().map(|value| (value.id, value.value.clone())).collect();
        Self { id: spec.id, name: spec.name.clone(), values, more: String::new() }
    }
    fn spec(&self) -> Spec {
        let value = |(id, value): &(i64, String)| SpecValue { id: *id, value: value.clone() };
        Spec {
            id: self.id,
            name: self.name.clone(),
            values: self.values.iter().map(value).collect(),
        }
    }
}

impl DraftRow {
    pub fn of(sku: &SheetSku) -> Self {
        let amount =
            |amount: Money| if amount.is_zero() { String::new() } else { amount.to_string() };
        Self {
            id: sku.id.map(SkuId::get),
            values: sku.values.clone(),
            code: sku.code.clone(),
            attr: sku.attr.clone(),
            price: sku.price.to_string(),
            line_price: amount(sku.line_price),
            weight_g: if sku.weight_g == 0 { String::new() } else { sku.weight_g.to_string() },
            image_url: sku.image_url.clone(),
            retired: sku.retired,
        }
    }

    /// What the grid goes by; its place among the rows, counted from 1, stands in for the weight.
    fn skeleton(&self, place: usize) -> SheetSku {
        SheetSku {
            id: self.id.and_then(|id| SkuId::parse(id).ok()),
            values: self.values.clone(),
            attr: self.attr.clone(),
            retired: self.retired,
            weight_g: i64::try_from(place + 1).unwrap_or(i64::MAX),
            ..SheetSku::blank()
        }
    }
}

/// In the order of their places, as numbers.
fn blocks(form: &Form) -> Result<Vec<DraftBlock>, ApiError> {
    let (kinds, texts, places) =
        (form.values("block-kind"), form.values("block-text"), form.values("block-place"));
    if kinds.len() != texts.len() || places.len() != texts.len() {
        return Err(ApiError::invalid("blocks", "the form is not whole"));
    }
    let mut blocks: Vec<(i64, DraftBlock)> = Vec::new();
    for ((kind, text), place) in kinds.iter().zip(texts).zip(places) {
        let text = text.trim().replace('\r', "");
        if !text.is_empty() {
            let place = place.trim().parse().unwrap_or(i64::MAX);
            blocks.push((place, DraftBlock { is_image: kind == "image", text }));
        }
    }
    blocks.sort_by_key(|(place, _)| *place);
    Ok(blocks.into_iter().map(|(_, block)| block).collect())
}

fn specs(form: &Form) -> Result<Vec<DraftSpec>, ApiError> {
    let bad = |_| ApiError::invalid("specs", "the form is not whole");
    let spec = |id: &String| {
        let value = |value: &String| {
            let text = form.value(&format!("value-{value}")).trim().to_owned();
            Ok((value.parse::<i64>().map_err(bad)?, text))
        };
        Ok(DraftSpec {
            id: id.parse().map_err(bad)?,
            name: form.value(&format!("spec-{id}-name")).trim().to_owned(),
            values: form
                .values(&format!("spec-{id}-value"))
                .iter()
                .map(value)
                .collect::<Result<_, ApiError>>()?,
            more: form.value(&format!("spec-{id}-more")).to_owned(),
        })
    };
    let specs: Vec<DraftSpec> =
        form.values("spec").iter().map(spec).collect::<Result<_, ApiError>>()?;
    let used = |spec: &DraftSpec| {
        !(spec.name.is_empty() && spec.more.trim().is_empty() && spec.values.is_empty())
    };
    Ok(specs.into_iter().filter(used).collect())
}

/// The columns of the grid, each field of a row at its place.
fn rows(form: &Form) -> Result<Vec<DraftRow>, ApiError> {
    let broken = || ApiError::invalid("skus", "the form is not whole");
    let count = form.values("sku-code").len();
    if count > ROWS_MAX {
        return Err(ApiError::new(Code::TooLarge).with("max_skus", SKUS_MAX));
    }
    let retired = form.values("sku-retired");
    let row = |at: usize| {
        let text = |name: &str| {
            form.values(name).get(at).map(|text| text.trim().to_owned()).ok_or_else(broken)
        };
        let id = text("sku-id")?;
        let values = text("sku-values")?;
        let ids = values.split('.').filter(|id| !id.is_empty()).map(str::parse);
        Ok(DraftRow {
            id: if id.is_empty() { None } else { Some(id.parse().map_err(|_| broken())?) },
            values: ids.collect::<Result<_, _>>().map_err(|_| broken())?,
            code: text("sku-code")?,
            attr: text("sku-attr")?,
            price: text("sku-price")?,
            line_price: text("sku-line_price")?,
            weight_g: text("sku-weight_g")?,
            image_url: text("sku-image_url")?,
            retired: retired.contains(&at.to_string()),
        })
    };
    (0..count).map(row).collect()
}
