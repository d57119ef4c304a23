//! What an order would cost: `/checkout`. No side effect.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, ServiceConfig};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::addresses::Address;
use super::items::{Item, Wanted};
use super::refusals;
use crate::actors::goods::{AdmitError, Quote, Quoted, QuotedLine, QuotedOffer};
use crate::domain::admission::PlaceRefusal;
use crate::domain::cart::CartItem;
use crate::domain::id::AddressId;
use crate::domain::money::Money;
use crate::domain::price::Amounts;
use crate::http::AppState;
use crate::http::auth::Shopper;
use crate::http::error::{ApiError, Code, Language};
use crate::http::extract::Json;
use crate::http::openapi::Refusals;
use crate::store::accounts;

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/checkout").route(web::post().to(checkout)));
}

/// What the buyer wants to buy, and where it should go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutBody {
    items: Option<Vec<Item>>,
    /// The whole cart; not available yet.
    cart: Option<bool>,
    /// The default address when absent.
    #[schema(value_type = Option<i64>)]
    address_id: Option<AddressId>,
}

/// A quote.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checkout {
    pub lines: Vec<CheckoutLine>,
    pub goods_fen: i64,
    pub freight_fen: i64,
    pub discount_fen: i64,
    pub pay_fen: i64,
    pub address: Option<Address>,
    pub deliverable: bool,
    pub problems: Vec<CheckoutProblem>,
}

/// A line of a quote.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckoutLine {
    pub goods_id: i64,
    pub sku_id: i64,
    pub goods_name: String,
    pub attr: String,
    pub image_url: String,
    pub price_fen: i64,
    pub quantity: i64,
    pub total_fen: i64,
    /// Pieces that can be promised now.
    pub stock: i64,
}

/// What stands in the way of the order.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckoutProblem {
    #[schema(example = "sold_out")]
    pub code: &'static str,
    pub sku_id: Option<i64>,
    pub message: &'static str,
}

/// Quotes an order without placing it.
#[utoipa::path(post, path = "/api/v1/checkout", tag = "orders", security(("buyer" = [])),
    request_body = CheckoutBody, responses((status = 200, body = Checkout), Refusals))]
pub async fn checkout(
    request: HttpRequest,
    state: Data<AppState>,
    shopper: Shopper,
    Json(body): Json<CheckoutBody>,
) -> Result<web::Json<Checkout>, ApiError> {
    let engine = &state.config.engine;
    let wanted = Wanted::parse(body.items, body.cart, engine.max_lines)?;
    let address = address(&state, &shopper, body.address_id).await?;
    let quote = Quote {
        cart: wanted.cart,
        freight: shopper.shop.wxapp.freight,
        max: Money::from_fen(engine.max_order_fen),
    };
    let quoted = shopper.shop.goods.send(quote).await.map_err(ApiError::unavailable)?;
    let quoted = quoted.map_err(|error| quote_error(error, &wanted.items))?;
    answer(quoted, &wanted.items, address, Language::of(request.headers())).map(web::Json)
}

async fn address(
    state: &AppState,
    shopper: &Shopper,
    requested: Option<AddressId>,
) -> Result<Option<Address>, ApiError> {
    let (readers, wxapp, user) = (&state.readers, shopper.shop.wxapp.id, shopper.user);
    let Some(id) = requested else {
        let book = accounts::addresses(readers, wxapp, user).await?;
        return Ok(book.into_iter().find(|entry| entry.is_default).map(Address::from));
    };
    let entry = accounts::address(readers, wxapp, user, id).await?;
    entry.map(Address::from).map(Some).ok_or_else(|| ApiError::not_found("address_id"))
}

fn quote_error(error: AdmitError, items: &[CartItem]) -> ApiError {
    match error {
        AdmitError::Refused(refusal) => refusals::place(refusal, items),
        AdmitError::Unavailable => ApiError::new(Code::Unavailable),
    }
}

fn answer(
    quoted: Quoted,
    items: &[CartItem],
    address: Option<Address>,
    language: Language,
) -> Result<Checkout, ApiError> {
    let mut problems = Vec::new();
    let mut lines = Vec::with_capacity(quoted.lines.len());
    for QuotedLine { item, offer, problem } in quoted.lines {
        let Some(offer) = offer else {
            return Err(refusals::place(PlaceRefusal::UnknownSku(item.sku), items));
        };
        let code = problem.map(|problem| refusals::place(problem, items).code());
        problems.extend(code.map(|code| problem_of(code, Some(item.sku.get()), language)));
        lines.push(line(item, offer));
    }
    if quoted.amounts.is_none() {
        problems.push(problem_of(Code::LimitExceeded, None, language));
    }
    let amounts = quoted.amounts.unwrap_or_default();
    Ok(checkout_of(lines, amounts, address, problems))
}

fn checkout_of(
    lines: Vec<CheckoutLine>,
    amounts: Amounts,
    address: Option<Address>,
    problems: Vec<CheckoutProblem>,
) -> Checkout {
    Checkout {
        lines,
        goods_fen: amounts.goods.as_fen(),
        freight_fen: amounts.freight.as_fen(),
        discount_fen: amounts.discount.as_fen(),
        pay_fen: amounts.pay.as_fen(),
        address,
        // Freight is flat for now: every address can be delivered to.
        deliverable: true,
        problems,
    }
}

fn problem_of(code: Code, sku_id: Option<i64>, language: Language) -> CheckoutProblem {
    CheckoutProblem { code: code.as_str(), sku_id, message: code.message(language) }
}

fn line(item: CartItem, offer: QuotedOffer) -> CheckoutLine {
    let QuotedOffer { sku, goods, available } = offer;
    let total = sku.price.checked_mul(item.quantity).unwrap_or_default();
    CheckoutLine {
        goods_id: goods.id.get(),
        sku_id: sku.id.get(),
        goods_name: goods.name,
        attr: sku.attr,
        image_url: if sku.image_url.is_empty() { goods.image_url } else { sku.image_url },
        price_fen: sku.price.as_fen(),
        quantity: item.quantity.pieces(),
        total_fen: total.as_fen(),
        stock: available.max(0),
    }
}
