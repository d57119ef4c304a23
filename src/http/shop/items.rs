//! What a request wants to buy: `items`, or one day the buyer's cart.

use serde::Deserialize;
use utoipa::ToSchema;

use super::refusals;
use crate::domain::cart::{Cart, CartItem};
use crate::domain::id::SkuId;
use crate::domain::money::Quantity;
use crate::http::error::ApiError;

/// A SKU and how many pieces of it.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    #[schema(value_type = i64, example = 1048577)]
    sku_id: SkuId,
    #[schema(value_type = i64, minimum = 1, maximum = 99999)]
    quantity: Quantity,
}

/// The items of a request, as sent, and the cart that they come to.
#[derive(Debug)]
pub struct Wanted {
    pub items: Vec<CartItem>,
    pub cart: Cart,
}

impl Wanted {
    /// Exactly one of `items` and `cart`; carts are not there yet, so it must be `items`.
    pub fn parse(
        items: Option<Vec<Item>>,
        cart: Option<bool>,
        lines_max: usize,
    ) -> Result<Self, ApiError> {
        if cart.is_some() {
            return Err(ApiError::invalid("cart", "not available yet: send items"));
        }
        let items = items.ok_or_else(|| ApiError::invalid("items", "missing"))?;
        let items: Vec<CartItem> = items
            .iter()
            .map(|item| CartItem { sku: item.sku_id, quantity: item.quantity })
            .collect();
        let cart = Cart::parse(&items, lines_max).map_err(refusals::cart)?;
        Ok(Self { items, cart })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::http::extract::parse_json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        items: Option<Vec<Item>>,
        cart: Option<bool>,
    }

    fn parse(json: &str) -> Result<Wanted, String> {
        let refused = |error: ApiError| {
            let problem = error.problem(Default::default());
            format!("{} {}", problem.code, problem.detail["field"].as_str().unwrap_or_default())
        };
        let body: Body = parse_json(json.as_bytes()).map_err(refused)?;
        Wanted::parse(body.items, body.cart, 2).map_err(refused)
    }

    #[test]
    fn items_are_checked_by_place() {
        for (json, refusal) in [
            (r#"{}"#, "items"),
            (r#"{"items":[]}"#, "items"),
            (r#"{"cart":true}"#, "cart"),
            (r#"{"items":[{"sku_id":1,"quantity":0}]}"#, "items[0].quantity"),
            (r#"{"items":[{"sku_id":1,"quantity":100000}]}"#, "items[0].quantity"),
            (r#"{"items":[{"sku_id":1,"quantity":-1}]}"#, "items[0].quantity"),
            (r#"{"items":[{"sku_id":1,"quantity":1.5}]}"#, "items[0].quantity"),
            (r#"{"items":[{"sku_id":1,"quantity":99999999999999999999}]}"#, "items[0].quantity"),
            (r#"{"items":[{"sku_id":0,"quantity":1}]}"#, "items[0].sku_id"),
            (r#"{"items":[{"sku_id":1}]}"#, "items[0].quantity"),
            (
                r#"{"items":[{"sku_id":1,"quantity":1},{"sku_id":2,"quantity":1},{"sku_id":3,"quantity":1}]}"#,
                "items",
            ),
        ] {
            assert_eq!(parse(json).unwrap_err(), format!("invalid_request {refusal}"), "{json}");
        }
    }

    #[test]
    fn the_same_sku_twice_is_one_line_and_two_items() {
        let json = r#"{"items":[{"sku_id":1,"quantity":1},{"sku_id":1,"quantity":2}]}"#;
        let wanted = parse(json).unwrap();
        assert_eq!((wanted.items.len(), wanted.cart.items().len()), (2, 1));
    }
}
