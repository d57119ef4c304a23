//! The file that `buynow seed` reads, and what it refuses. Every refusal names the place:
//! `goods[2].skus[0].price_fen`.

use std::collections::HashMap;

use serde::Deserialize;

use crate::domain::goods::DeductStock;

/// The most goods of one file.
pub const GOODS_MAX: usize = 100_000;
/// The most SKUs of one of the goods.
pub const SKUS_MAX: usize = crate::store::catalogue::SKUS_MAX;
/// The highest price, in fen: ten million yuan.
pub const PRICE_MAX_FEN: i64 = 1_000_000_000;
/// The largest stock, weight and limit.
pub const NUMBER_MAX: i64 = 999_999_999;

/// What is wrong with a seed file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct SeedFileError {
    pub path: String,
    pub what: String,
}

fn refuse<T>(path: impl Into<String>, what: impl Into<String>) -> Result<T, SeedFileError> {
    Err(SeedFileError { path: path.into(), what: what.into() })
}

/// A whole file. Made by [`SeedFile::parse`], so it is valid.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedFile {
    pub goods: Vec<SeedGoods>,
}

/// Goods of the file. Only `name` and `skus` are required.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedGoods {
    pub name: String,
    /// What a repeated import knows it by; the first SKU's code when absent.
    #[serde(default)]
    pub code: String,
    #[serde(default = "at_order")]
    pub deduct_stock: DeductStock,
    /// A name at the top of the tree; made when it is not there.
    #[serde(default)]
    pub category: Option<String>,
    #[serde(default)]
    pub images: Vec<String>,
    #[serde(default)]
    pub content: String,
    #[serde(default)]
    pub specs: Vec<SeedSpec>,
    #[serde(default = "yes")]
    pub on_sale: bool,
    /// Pieces one buyer may have in live orders.
    #[serde(default)]
    pub limit_per_user: Option<i64>,
    pub skus: Vec<SeedSku>,
}

/// A property such as colour, with its values. Without ids everywhere they are numbered in the
/// order of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedSpec {
    #[serde(default)]
    pub id: Option<i64>,
    pub name: String,
    pub values: Vec<SeedValue>,
}

/// A value of a property: a text, or `{"id": number, "value": text}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum SeedValue {
    Text(String),
    Object {
        #[serde(default)]
        id: Option<i64>,
        value: String,
    },
}

impl SeedValue {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(value) | Self::Object { value, .. } => value,
        }
    }
    pub fn id(&self) -> Option<i64> {
        match self {
            Self::Text(_) => None,
            Self::Object { id, .. } => *id,
        }
    }
}

/// A SKU of the file. `code`, `price_fen` and `stock` are required.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedSku {
    /// What a repeated import knows it by.
    pub code: String,
    /// The spec values in words, separated by blanks, commas or slashes.
    #[serde(default)]
    pub attr: String,
    /// Ids of values of the goods' specs; taken from `attr` when absent.
    #[serde(default)]
    pub spec_value_ids: Option<Vec<i64>>,
    pub price_fen: i64,
    #[serde(default)]
    pub line_price_fen: i64,
    pub stock: i64,
    #[serde(default)]
    pub weight_g: i64,
    #[serde(default)]
    pub image_url: String,
}

fn at_order() -> DeductStock {
    DeductStock::Order
}
fn yes() -> bool {
    true
}

impl SeedFile {
    /// Reads and checks a file; what is wrong first is named.
    pub fn parse(bytes: &[u8]) -> Result<Self, SeedFileError> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let mut file: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            SeedFileError { path, what: error.into_inner().to_string() }
        })?;
        if let Err(error) = json.end() {
            return refuse("after the end", error.to_string());
        }
        for goods in &mut file.goods {
            if let (true, Some(first)) = (goods.code.is_empty(), goods.skus.first()) {
                goods.code.clone_from(&first.code);
            }
        }
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), SeedFileError> {
        if self.goods.len() > GOODS_MAX {
            return refuse("goods", format!("more than {GOODS_MAX}"));
        }
        let mut goods_codes = HashMap::new();
        let mut sku_codes = HashMap::new();
        for (index, goods) in self.goods.iter().enumerate() {
            let path = format!("goods[{index}]");
            goods.check(&path)?;
            unique(&mut goods_codes, &goods.code, format!("{path}.code"))?;
            for (index, sku) in goods.skus.iter().enumerate() {
                unique(&mut sku_codes, &sku.code, format!("{path}.skus[{index}].code"))?;
            }
        }
        Ok(())
    }
}

fn unique<'a>(
    seen: &mut HashMap<&'a str, String>,
    code: &'a str,
    path: String,
) -> Result<(), SeedFileError> {
    match seen.insert(code, path.clone()) {
        None => Ok(()),
        Some(first) => refuse(path, format!("{code:?} is used at {first} already")),
    }
}

impl SeedGoods {
    fn check(&self, path: &str) -> Result<(), SeedFileError> {
        text(&format!("{path}.name"), &self.name, 1, 128)?;
        if self.skus.is_empty() || self.skus.len() > SKUS_MAX {
            return refuse(format!("{path}.skus"), format!("from 1 to {SKUS_MAX} are needed"));
        }
        text(&format!("{path}.code"), &self.code, 1, 64)?;
        if let Some(category) = &self.category {
            text(&format!("{path}.category"), category, 1, 64)?;
        }
        if self.content.len() > 65_535 {
            return refuse(format!("{path}.content"), "longer than 65535 bytes");
        }
        if let Some(limit) = self.limit_per_user {
            number(&format!("{path}.limit_per_user"), limit, 1, NUMBER_MAX)?;
        }
        self.check_parts(path)
    }

    fn check_parts(&self, path: &str) -> Result<(), SeedFileError> {
        if self.images.len() > 20 || self.specs.len() > 10 {
            return refuse(path, "at most 20 images and 10 specs");
        }
        for (index, image) in self.images.iter().enumerate() {
            text(&format!("{path}.images[{index}]"), image, 1, 512)?;
        }
        for (index, spec) in self.specs.iter().enumerate() {
            spec.check(&format!("{path}.specs[{index}]"))?;
        }
        let known: Vec<i64> = self.value_ids().collect();
        for (index, sku) in self.skus.iter().enumerate() {
            let path = format!("{path}.skus[{index}]");
            sku.check(&path)?;
            let ids = sku.spec_value_ids.as_deref().unwrap_or_default();
            if let Some(unknown) = ids.iter().find(|id| !known.contains(id)) {
                return refuse(
                    format!("{path}.spec_value_ids"),
                    format!("{unknown} is no value of specs"),
                );
            }
        }
        Ok(())
    }

    /// The ids that the file gives to spec values.
    fn value_ids(&self) -> impl Iterator<Item = i64> {
        self.specs.iter().flat_map(|spec| &spec.values).filter_map(SeedValue::id)
    }
}

impl SeedSpec {
    fn check(&self, path: &str) -> Result<(), SeedFileError> {
        text(&format!("{path}.name"), &self.name, 1, 64)?;
        if self.values.is_empty() || self.values.len() > 100 {
            return refuse(format!("{path}.values"), "from 1 to 100 are needed");
        }
        for (index, value) in self.values.iter().enumerate() {
            let path = format!("{path}.values[{index}]");
            text(&path, value.as_str(), 1, 64)?;
            number(&path, value.id().unwrap_or(1), 1, NUMBER_MAX)?;
        }
        Ok(())
    }
}

impl SeedSku {
    fn check(&self, path: &str) -> Result<(), SeedFileError> {
        text(&format!("{path}.code"), &self.code, 1, 64)?;
        text(&format!("{path}.attr"), &self.attr, 0, 128)?;
        text(&format!("{path}.image_url"), &self.image_url, 0, 512)?;
        number(&format!("{path}.price_fen"), self.price_fen, 0, PRICE_MAX_FEN)?;
        number(&format!("{path}.line_price_fen"), self.line_price_fen, 0, PRICE_MAX_FEN)?;
        number(&format!("{path}.stock"), self.stock, 0, NUMBER_MAX)?;
        number(&format!("{path}.weight_g"), self.weight_g, 0, NUMBER_MAX)
    }
}

fn number(path: &str, value: i64, min: i64, max: i64) -> Result<(), SeedFileError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    refuse(path, format!("{value} is not from {min} to {max}"))
}

fn text(path: &str, value: &str, min: usize, max: usize) -> Result<(), SeedFileError> {
    let length = value.chars().take(max + 1).count();
    if length < min || length > max || (min > 0 && value.trim().is_empty()) {
        return refuse(path, format!("must have {min} to {max} characters"));
    }
    if value.chars().any(char::is_control) {
        return refuse(path, "control characters are not allowed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn refused(json: &str, path: &str) {
        let error = SeedFile::parse(json.as_bytes()).unwrap_err();
        assert_eq!(error.path, path, "{error}");
    }

    #[test]
    fn only_name_code_price_and_stock_are_required() {
        let json = r#"{"goods":[{"name":"茶","skus":[{"code":"A","price_fen":100,"stock":5}]}]}"#;
        let file = SeedFile::parse(json.as_bytes()).unwrap();
        let goods = &file.goods[0];
        assert_eq!((goods.code.as_str(), goods.deduct_stock), ("A", DeductStock::Order));
        assert!(goods.on_sale);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let sku = |fields: &str| {
            format!(
                r#"{{"goods":[{{"name":"茶","skus":[{{"code":"A","price_fen":1,"stock":1}},{{{fields}}}]}}]}}"#
            )
        };
        refused(&sku(r#""code":"B","price_fen":-1,"stock":1"#), "goods[0].skus[1].price_fen");
        refused(&sku(r#""code":"B","price_fen":1.5,"stock":1"#), "goods[0].skus[1].price_fen");
        refused(&sku(r#""code":"B","price_fen":1,"stock":-1"#), "goods[0].skus[1].stock");
        refused(&sku(r#""code":"B","price_fen":1"#), "goods[0].skus[1]");
        refused(&sku(r#""code":"","price_fen":1,"stock":1"#), "goods[0].skus[1].code");
        refused(&sku(r#""code":"A","price_fen":1,"stock":1"#), "goods[0].skus[1].code");
        refused(r#"{"goods":[{"name":"","skus":[]}]}"#, "goods[0].name");
        refused(r#"{"goods":[{"name":"茶","skus":[]}]}"#, "goods[0].skus");
        refused(
            r#"{"goods":[{"name":"茶","deduct_stock":"never","skus":[]}]}"#,
            "goods[0].deduct_stock",
        );
        refused(r#"{"goods":[]} x"#, "after the end");
    }

    #[test]
    fn an_unknown_field_is_named() {
        let json = r#"{"goods":[{"name":"茶","colour":1,"skus":[]}]}"#;
        let error = SeedFile::parse(json.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("colour"), "{error}");
    }
}
