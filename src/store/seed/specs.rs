//! The properties of goods of a seed file, and which of their values a SKU has.

use super::format::{SeedGoods, SeedValue};
use crate::store::catalogue::{Spec, SpecValue};

/// The properties and values of the file with their ids, or numbered in its order when any has none.
pub(super) fn specs(file: &SeedGoods) -> Vec<Spec> {
    let values = || file.specs.iter().flat_map(|spec| &spec.values);
    let named = file.specs.iter().all(|spec| spec.id.is_some())
        && values().all(|value| value.id().is_some());
    let mut next = 0;
    let mut id = |given: Option<i64>| {
        next += 1;
        given.filter(|_| named).unwrap_or(next)
    };
    let mut specs = Vec::with_capacity(file.specs.len());
    for spec in &file.specs {
        let (spec_id, name) = (id(spec.id), spec.name.clone());
        let value =
            |value: &SeedValue| SpecValue { id: id(value.id()), value: value.as_str().to_owned() };
        specs.push(Spec { id: spec_id, name, values: spec.values.iter().map(value).collect() });
    }
    specs
}

/// The values that an `attr` names, one for each property; none when they are not all named.
pub(super) fn spec_value_ids(specs: &[Spec], attr: &str) -> Vec<i64> {
    let words: Vec<&str> =
        attr.split([' ', ',', '/', ';', '，', '、', '；', '　']).map(str::trim).collect();
    let named = |spec: &Spec| {
        let value = spec
            .values
            .iter()
            .find(|value| value.value == attr || words.contains(&value.value.as_str()));
        value.map(|value| value.id)
    };
    specs.iter().map(named).collect::<Option<_>>().unwrap_or_default()
}
