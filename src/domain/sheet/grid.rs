//! The grid of SKUs: what becomes of rows when properties change.

use std::collections::BTreeSet;

use super::{SKUS_MAX, SheetSku, Spec, words};
use crate::domain::money::Money;

/// Every combination of values, the last property fastest; cut off behind the most SKUs there are.
fn combinations(specs: &[Spec]) -> Vec<Vec<i64>> {
    let mut all = vec![Vec::new()];
    for spec in specs {
        let longer = |one: &Vec<i64>| {
            let one = one.clone();
            spec.values.iter().map(move |value| [one.as_slice(), &[value.id]].concat())
        };
        all = all.iter().flat_map(longer).take(SKUS_MAX + 1).collect();
    }
    all
}

/// The grid: a row for each combination of values. A row that is there stays with its id: as it
/// is, else because a property came to it or went from it. Rows that fit nothing are retired, and
/// forgotten when they were never saved.
pub fn arrange(specs: &[Spec], rows: Vec<SheetSku>) -> Vec<SheetSku> {
    if specs.is_empty() {
        return rows_without_specs(rows);
    }
    let mut left: Vec<Option<SheetSku>> = rows.into_iter().map(Some).collect();
    let combinations = combinations(specs);
    let sold: BTreeSet<i64> = left
        .iter()
        .flatten()
        .filter(|sku| !sku.retired && sku.id.is_some())
        .flat_map(|sku| sku.values.clone())
        .collect();
    // A retired one comes back under its own words, or under those of values that are sold: else
    // the id of a value that went may have been given to another, and its stock with it.
    let is_its_own = |sku: &SheetSku, wanted: &[i64]| {
        let words = words(specs, wanted).unwrap_or_default();
        sku.attr.is_empty() || sku.attr == words || wanted.iter().all(|id| sold.contains(id))
    };
    let mut found: Vec<Option<SheetSku>> = combinations
        .iter()
        .map(|wanted| take(&mut left, |sku| !sku.retired && same(&sku.values, wanted)))
        .collect();
    for (wanted, found) in combinations.iter().zip(&mut found) {
        if found.is_none() {
            let back = |sku: &SheetSku| {
                sku.retired && same(&sku.values, wanted) && is_its_own(sku, wanted)
            };
            *found = take(&mut left, back);
        }
    }
    // Rows that have words and no values yet are known by their words. One alone gets the first
    // combination, as what all were until now; of several nobody knows which is which.
    let has_no_values = |sku: &SheetSku| !sku.retired && sku.values.is_empty();
    let alone = left.iter().flatten().filter(|sku| has_no_values(sku)).count() == 1;
    for (wanted, found) in combinations.iter().zip(&mut found) {
        if found.is_none() {
            let words = words(specs, wanted).unwrap_or_default();
            *found = take(&mut left, |sku| has_no_values(sku) && sku.attr == words);
        }
    }
    for (wanted, found) in combinations.iter().zip(&mut found) {
        if found.is_none() {
            let near = |sku: &SheetSku| {
                !sku.retired && (within(&sku.values, wanted) || within(wanted, &sku.values))
            };
            *found = take(&mut left, |sku| near(sku) && (alone || !has_no_values(sku)));
        }
    }
    let row = |(values, found): (Vec<i64>, Option<SheetSku>)| {
        let sku = found.unwrap_or_else(SheetSku::blank);
        SheetSku { attr: words(specs, &values).unwrap_or_default(), values, ..sku }
    };
    let grid = combinations.into_iter().zip(found).map(row);
    let gone = left.into_iter().flatten().filter(|sku| sku.id.is_some());
    grid.chain(gone.map(|sku| SheetSku { retired: true, ..sku })).collect()
}

/// Of rows that no property tells apart one is sold, unless they never had any values.
fn rows_without_specs(mut rows: Vec<SheetSku>) -> Vec<SheetSku> {
    let mut sold = false;
    for sku in rows.iter_mut().filter(|sku| !sku.values.is_empty()) {
        sku.retired |= sold;
        sold = true;
    }
    rows.retain(|sku| sku.id.is_some() || !sku.retired);
    for sku in rows.iter_mut().filter(|sku| !sku.retired) {
        if !std::mem::take(&mut sku.values).is_empty() {
            sku.attr.clear();
        }
    }
    if rows.iter().all(|sku| sku.retired) {
        rows.push(SheetSku::blank());
    }
    rows
}

fn take(left: &mut [Option<SheetSku>], fits: impl Fn(&SheetSku) -> bool) -> Option<SheetSku> {
    left.iter_mut().find(|sku| sku.as_ref().is_some_and(&fits)).and_then(Option::take)
}

fn within(some: &[i64], all: &[i64]) -> bool {
    some.iter().all(|value| all.contains(value))
}

fn same(left: &[i64], right: &[i64]) -> bool {
    left.len() == right.len() && within(left, right)
}

impl SheetSku {
    /// A row that nobody has filled in.
    pub fn blank() -> Self {
        Self {
            id: None,
            code: String::new(),
            values: Vec::new(),
            attr: String::new(),
            price: Money::ZERO,
            line_price: Money::ZERO,
            weight_g: 0,
            image_url: String::new(),
            retired: false,
        }
    }
}
