//! What a sheet takes, and how its grid follows the properties.
#![allow(clippy::unwrap_used)]

use super::*;

fn spec(id: i64, name: &str, values: &[(i64, &str)]) -> Spec {
    let values = values.iter().map(|(id, value)| SpecValue { id: *id, value: (*value).into() });
    Spec { id, name: name.into(), values: values.collect() }
}

fn sku(id: i64, values: &[i64]) -> SheetSku {
    SheetSku {
        id: SkuId::parse(id).ok(),
        code: format!("S{id}"),
        values: values.to_vec(),
        price: Money::from_fen(100),
        ..SheetSku::blank()
    }
}

fn sheet(specs: Vec<Spec>, skus: Vec<SheetSku>) -> Sheet {
    Sheet {
        code: "G".into(),
        name: "茶".into(),
        category: None,
        images: vec!["https://shop/a.jpg".into()],
        blocks: vec![
            Block::Text("一".into()),
            Block::Image("/b.png".into()),
            Block::Text("二".into()),
        ],
        specs,
        deduct_stock: DeductStock::Order,
        on_sale: true,
        sale_starts_at: None,
        sale_ends_at: None,
        limit_per_user: None,
        sort: 100,
        skus,
    }
}

/// Id, values in words, retired.
fn rows(skus: &[SheetSku]) -> Vec<(Option<i64>, &str, bool)> {
    skus.iter().map(|sku| (sku.id.map(SkuId::get), sku.attr.as_str(), sku.retired)).collect()
}

#[test]
fn skus_that_had_words_only_are_known_by_them_and_not_by_their_place() {
    let named = |id, attr: &str| SheetSku { attr: attr.into(), ..sku(id, &[]) };
    let colour = spec(1, "颜色", &[(2, "蓝"), (3, "红")]);
    let grid = arrange(std::slice::from_ref(&colour), vec![named(11, "红"), named(12, "蓝")]);
    assert_eq!(rows(&grid), [(Some(12), "蓝", false), (Some(11), "红", false)]);
    let grid = arrange(&[colour], vec![named(11, "红"), named(12, "绿")]);
    let expected = [(None, "蓝", false), (Some(11), "红", false), (Some(12), "绿", true)];
    assert_eq!(rows(&grid), expected, "green is retired, and not called blue");
}

#[test]
fn a_sku_keeps_its_id_when_properties_come_go_and_change() {
    let colour = spec(1, "颜色", &[(2, "红"), (3, "蓝")]);
    let size = spec(4, "尺寸", &[(5, "大"), (6, "小")]);
    let grid = arrange(std::slice::from_ref(&colour), vec![sku(11, &[])]);
    assert_eq!(rows(&grid), [(Some(11), "红", false), (None, "蓝", false)]);

    let grid = arrange(&[colour.clone(), size.clone()], vec![sku(11, &[2]), sku(12, &[3])]);
    let expected = [
        (Some(11), "红 大", false),
        (None, "红 小", false),
        (Some(12), "蓝 大", false),
        (None, "蓝 小", false),
    ];
    assert_eq!(rows(&grid), expected);

    let four = vec![sku(11, &[2, 5]), sku(13, &[2, 6]), sku(12, &[3, 5]), sku(14, &[3, 6])];
    let grid = arrange(&[colour], four.clone());
    let expected = [
        (Some(11), "红", false),
        (Some(12), "蓝", false),
        (Some(13), "", true),
        (Some(14), "", true),
    ];
    assert_eq!(rows(&grid), expected);

    let renamed = spec(1, "颜色", &[(2, "朱红"), (3, "蓝")]);
    let grid = arrange(&[renamed, size.clone()], four.clone());
    assert_eq!(grid.len(), 4);
    assert_eq!(rows(&grid)[0], (Some(11), "朱红 大", false));

    let without_blue = spec(1, "颜色", &[(2, "红")]);
    let grid = arrange(&[without_blue, size], four.clone());
    assert!(grid[..2].iter().all(|sku| !sku.retired) && grid[2..].iter().all(|sku| sku.retired));
    assert_eq!(rows(&grid)[1], (Some(13), "红 小", false));

    let grid = arrange(&[], four);
    assert_eq!(grid.iter().filter(|sku| !sku.retired).count(), 1);
    assert_eq!((grid[0].id.map(SkuId::get), grid.len()), (Some(11), 4));
}

#[test]
fn a_combination_that_was_retired_stays_so_and_a_row_never_saved_is_forgotten() {
    let colour = spec(1, "颜色", &[(2, "红"), (3, "蓝")]);
    let retired = SheetSku { retired: true, ..sku(11, &[2]) };
    let unsaved = SheetSku { id: None, ..sku(9, &[7]) };
    let grid = arrange(&[colour], vec![retired, unsaved]);
    assert_eq!(rows(&grid), [(Some(11), "红", true), (None, "蓝", false)]);
}

#[test]
fn a_value_that_has_the_id_of_one_that_went_does_not_take_its_sku() {
    let green = spec(1, "颜色", &[(2, "红"), (3, "绿")]);
    let red = SheetSku { attr: "红".into(), ..sku(11, &[2]) };
    let blue = SheetSku { attr: "蓝".into(), retired: true, ..sku(12, &[3]) };
    let grid = arrange(&[green], vec![red.clone(), blue.clone()]);
    assert_eq!(rows(&grid), [(Some(11), "红", false), (None, "绿", false), (Some(12), "蓝", true)]);
    let back = spec(1, "颜色", &[(2, "红"), (3, "蓝")]);
    let grid = arrange(&[back], vec![red.clone(), blue.clone()]);
    assert_eq!(rows(&grid), [(Some(11), "红", false), (Some(12), "蓝", true)]);
    let sheet = sheet(vec![spec(1, "颜色", &[(2, "红")])], vec![red, blue]);
    assert_eq!(sheet.last_id(), 3);
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Sheet), field: &str, row: Option<usize>) {
    let colour = spec(1, "颜色", &[(2, "红"), (3, "蓝")]);
    let mut sheet = sheet(vec![colour], vec![sku(11, &[2]), sku(12, &[3])]);
    assert_eq!(sheet.flaws(), []);
    change(&mut sheet);
    let flaws: Vec<_> = sheet.flaws().iter().map(|flaw| (flaw.field, flaw.row)).collect();
    assert!(flaws.contains(&(field, row)), "{flaws:?}");
}

#[test]
fn what_cannot_be_taken_is_named_by_field_and_row() {
    refused(|sheet| sheet.name = " ".into(), "name", None);
    refused(|sheet| sheet.name = "长".repeat(129), "name", None);
    refused(|sheet| sheet.code.clear(), "code", None);
    refused(|sheet| sheet.limit_per_user = Some(0), "limit_per_user", None);
    refused(|sheet| sheet.sort = -1, "sort", None);
    refused(|sheet| sheet.images[0] = "javascript:alert(1)".into(), "images", None);
    refused(|sheet| sheet.images[0] = "data:image/png,x".into(), "images", None);
    refused(|sheet| sheet.blocks[1] = Block::Image("/a b".into()), "blocks", None);
    refused(|sheet| sheet.blocks[0] = Block::Text("长".repeat(10_000)), "blocks", None);
    refused(|sheet| sheet.specs[0].values[1].id = 2, "values", Some(1));
    refused(|sheet| sheet.skus[1].values = vec![2], "values", Some(1));
    refused(|sheet| sheet.skus[1].values = vec![9], "values", Some(1));
    refused(|sheet| sheet.skus[1].code = "S11".into(), "code", Some(1));
    refused(|sheet| sheet.skus[0].price = Money::from_fen(-1), "price", Some(0));
    refused(|sheet| sheet.skus[0].price = Money::from_fen(1_000_000_001), "price", Some(0));
    refused(|sheet| sheet.skus[0].weight_g = -1, "weight_g", Some(0));
    refused(|sheet| sheet.skus.iter_mut().for_each(|sku| sku.retired = true), "skus", None);
    let at = |seconds| Some(Timestamp::from_seconds(seconds));
    let window = |sheet: &mut Sheet| {
        (sheet.sale_starts_at, sheet.sale_ends_at) = (at(20), at(20));
    };
    refused(window, "sale_ends_at", None);
}

#[test]
fn prices_are_those_of_what_is_sold_and_content_is_the_text() {
    let cheap = SheetSku { price: Money::from_fen(1), retired: true, ..sku(12, &[]) };
    let sheet = sheet(vec![], vec![sku(11, &[]), cheap]);
    assert_eq!(sheet.prices(), (Money::from_fen(100), Money::from_fen(100)));
    assert_eq!(sheet.content(), "一\n二");
}

#[test]
fn the_log_tells_what_differs_and_not_too_much_of_it() {
    let before = sheet(vec![], vec![sku(11, &[])]);
    let mut after = before.clone();
    after.name = "好茶".into();
    after.skus[0].price = Money::from_fen(150);
    let (old, new) = differences(Some(&before), &after);
    assert_eq!(old.keys().collect::<Vec<_>>(), ["name", "sku 11"]);
    assert_eq!((&*new["name"], &*new["sku 11"]), ("好茶", "S11  ¥1.50"));
    after.skus = (1..=500).map(|id| SheetSku { code: "长".repeat(64), ..sku(id, &[]) }).collect();
    let (_, new) = differences(None, &after);
    let bytes: usize = new.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    assert!(bytes < 45_000 && new.len() > 100, "{bytes}");
}
