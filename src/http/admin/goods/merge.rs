//! A form of goods beside the goods as they are now: what it cannot know, and what somebody else
//! has added meanwhile.

use std::collections::BTreeSet;

use super::draft::{Draft, DraftRow};
use crate::domain::id::SkuId;
use crate::domain::sheet::{Sheet, SheetSku, SpecValue};

impl Draft {
    /// What the form cannot know of goods that are there: the ids that are used up, and the price
    /// of a retired SKU that is left empty.
    pub fn over(mut self, there: &Sheet) -> Self {
        self.last_id = self.last_id.max(there.last_id());
        self.codes = there.skus.iter().map(|sku| sku.code.clone()).collect();
        for row in self.rows.iter_mut().filter(|row| row.retired && row.price.is_empty()) {
            let old = there.skus.iter().find(|sku| sku.id.map(SkuId::get) == row.id);
            if let Some(old) = old.filter(|_| row.id.is_some()) {
                row.price = old.price.to_string();
            }
        }
        self
    }

    /// With the SKUs that somebody else has added meanwhile, and their values: nobody has said that
    /// those shall be retired. They stand before new ones of this form, so that of two for the same
    /// values theirs stays.
    pub fn with_added(mut self, theirs: &Sheet, mine: &Sheet) -> Self {
        let named: BTreeSet<i64> = self.rows.iter().filter_map(|row| row.id).collect();
        let added = theirs
            .skus
            .iter()
            .filter(|sku| !sku.retired && sku.id.is_some_and(|id| !named.contains(&id.get())));
        let added: Vec<&SheetSku> = added.collect();
        let wanted = |id: i64| added.iter().any(|sku| sku.values.contains(&id));
        self.last_id = theirs.last_id().max(mine.last_id());
        for spec in &theirs.specs {
            for value in spec.values.iter().filter(|value| wanted(value.id)) {
                self.take_value(spec.id, value);
            }
        }
        let place = self.rows.iter().position(|row| row.id.is_none()).unwrap_or(self.rows.len());
        self.rows.splice(place..place, added.into_iter().map(DraftRow::of));
        self
    }

    /// A value of somebody else; one of this form that has its id by chance gets another.
    fn take_value(&mut self, spec: i64, value: &SpecValue) {
        let saved = self.rows.iter().any(|row| row.id.is_some() && row.values.contains(&value.id));
        let next = self.highest_id() + 1;
        let Some(spec) = self.specs.iter_mut().find(|own| own.id == spec) else { return };
        let own = spec.values.iter_mut().find(|(id, _)| *id == value.id);
        match own {
            Some((_, text)) if saved || *text == value.value => return,
            Some((id, _)) => *id = next,
            None => {}
        }
        let ids = self.rows.iter_mut().flat_map(|row| &mut row.values);
        ids.filter(|id| **id == value.id).for_each(|id| *id = next);
        spec.values.push((value.id, value.value.clone()));
    }
}
