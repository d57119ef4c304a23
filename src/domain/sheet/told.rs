//! A sheet in words, and what differs between two: for the audit log and for a form that is stale.

use super::{Block, Sheet, SheetSku};
use crate::domain::id::CategoryId;
use crate::domain::notification::Facts;
use crate::domain::time::Timestamp;

/// Bytes of what an entry of the audit log tells of one side.
const TOLD_MAX: usize = 40_000;
/// Characters of one fact there.
const FACT_MAX: usize = 300;

/// What the audit log tells of two sheets: the fields in which they differ, of each the former and
/// the new value. Cut off where the log's own column ends.
pub fn differences(before: Option<&Sheet>, after: &Sheet) -> (Facts, Facts) {
    let (mut old, mut new) = (before.map(facts).unwrap_or_default(), facts(after));
    let same: Vec<String> = new
        .iter()
        .filter(|(name, value)| old.get(*name) == Some(value))
        .map(|f| f.0.clone())
        .collect();
    for name in same {
        old.remove(&name);
        new.remove(&name);
    }
    (cut(old), cut(new))
}

fn cut(facts: Facts) -> Facts {
    let mut left = TOLD_MAX;
    let fits = |(name, value): (String, String)| {
        let value: String = value.chars().take(FACT_MAX).collect();
        // Quotes, commas and what is escaped.
        left =
            left.checked_sub(name.len() + value.len() + value.matches(['"', '\n']).count() + 8)?;
        Some((name, value))
    };
    facts.into_iter().map_while(fits).collect()
}

/// The fields of a sheet by name.
pub fn facts(sheet: &Sheet) -> Facts {
    let time = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.as_millis().to_string());
    let number = |number: Option<i64>| number.map_or_else(String::new, |n| n.to_string());
    let specs = sheet.specs.iter().map(|spec| {
        let values: Vec<&str> = spec.values.iter().map(|value| value.value.as_str()).collect();
        format!("{}: {}", spec.name, values.join(" "))
    });
    let blocks = sheet.blocks.iter().map(|block| match block {
        Block::Text(text) => text.clone(),
        Block::Image(address) => format!("[{address}]"),
    });
    let facts = [
        ("name", sheet.name.clone()),
        ("code", sheet.code.clone()),
        ("category_id", number(sheet.category.map(CategoryId::get))),
        ("images", sheet.images.join(" ")),
        ("blocks", blocks.collect::<Vec<_>>().join("\n")),
        ("specs", specs.collect::<Vec<_>>().join("; ")),
        ("deduct_stock", sheet.deduct_stock.as_str().to_owned()),
        ("on_sale", sheet.on_sale.to_string()),
        ("sale_starts_at", time(sheet.sale_starts_at)),
        ("sale_ends_at", time(sheet.sale_ends_at)),
        ("limit_per_user", number(sheet.limit_per_user)),
        ("sort", sheet.sort.to_string()),
    ];
    let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value));
    let skus = sheet.skus.iter().filter_map(|sku| Some((format!("sku {}", sku.id?), sku.told())));
    facts.chain(skus).collect()
}

impl SheetSku {
    fn told(&self) -> String {
        let mut told = format!("{} {} ¥{}", self.code, self.attr, self.price);
        if !self.line_price.is_zero() {
            told += &format!(" (¥{})", self.line_price);
        }
        if self.weight_g != 0 {
            told += &format!(" {} g", self.weight_g);
        }
        if self.retired {
            told += " -";
        }
        told
    }
}
