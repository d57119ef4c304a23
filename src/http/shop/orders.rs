//! Orders: `/orders`. Place, look, pay, give up.

use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::items::{Item, Wanted};
use super::payments::{self, Payment, PaymentErrorJson};
use super::refusals;
use super::views::OrderJson;
use crate::actors::order::{CancelOrder, Lookups, PlaceOrder, PlacedOrder};
use crate::actors::payment::{AskWechat, CloseOrder, Closed};
use crate::domain::id::{AddressId, IdempotencyKey, OrderId, OutTradeNo};
use crate::domain::money::Money;
use crate::http::AppState;
use crate::http::auth::Shopper;
use crate::http::error::{ApiError, Code, Language};
use crate::http::extract::{Json, PathId, Query, text};
use crate::http::openapi::Refusals;
use crate::http::page;
use crate::store::order_views::{self, ListState, OrderFilter, OrderView};

/// The header under which a request may be repeated.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// The name that cursors of the list carry.
const LIST: &str = "orders";
/// How long a look with `refresh` waits for WeChat.
const REFRESH_WAIT: Duration = Duration::from_secs(5);
/// Between two looks at an order that another server closes.
const ELSEWHERE_PAUSE: Duration = Duration::from_millis(50);

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/orders")
                .route(web::get().to(list_orders))
                .route(web::post().to(place_order)),
        )
        .service(
            web::resource("/orders/by-no/{out_trade_no}").route(web::get().to(get_order_by_no)),
        )
        .service(web::resource("/orders/{id}").route(web::get().to(get_order)))
        .service(web::resource("/orders/{id}/payment").route(web::post().to(pay_order)))
        .service(web::resource("/orders/{id}/cancel").route(web::post().to(cancel_order)));
}

/// What the buyer buys.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    items: Option<Vec<Item>>,
    /// The whole cart; not available yet.
    cart: Option<bool>,
    #[schema(value_type = i64)]
    address_id: AddressId,
    #[schema(max_length = 255)]
    #[serde(default)]
    remark: Option<String>,
    /// What the buyer was shown; when it would be another amount: `price_changed`.
    #[schema(minimum = 0)]
    expect_pay_fen: Option<i64>,
    /// Whether payment parameters are wanted at once; true when absent.
    prepay: Option<bool>,
}

/// The order, and how to pay it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Placed {
    pub order: OrderJson,
    /// None when there is nothing to pay, none was asked for, or it failed.
    pub payment: Option<Payment>,
    /// Why there are no payment parameters; the order stands and can be paid later.
    pub payment_error: Option<PaymentErrorJson>,
}

/// Places an order. Repeated with the same key it answers the same order, as it is now.
#[utoipa::path(post, path = "/api/v1/orders", tag = "orders", security(("buyer" = [])),
    params(("Idempotency-Key" = String, Header, description = "1 to 64 visible ASCII characters")),
    request_body = OrderBody,
    responses((status = 201, body = Placed), (status = 200, body = Placed, description = "Repeated"),
        Refusals))]
pub async fn place_order(
    request: HttpRequest,
    state: Data<AppState>,
    shopper: Shopper,
    Json(body): Json<OrderBody>,
) -> Result<HttpResponse, ApiError> {
    let key = idempotency_key(&request)?;
    let prepay = body.prepay.unwrap_or(true);
    let order = command(&state, &shopper, key, body)?;
    let lookups = request.app_data::<Rc<Lookups>>().ok_or_else(|| ApiError::new(Code::Internal))?;
    let placed = place(&state, &shopper, order, lookups).await?;
    let language = Language::of(request.headers());
    let answer = answer(&state, &shopper, &request, &placed, prepay, language).await;
    let mut response = if placed.replayed { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(answer))
}

fn idempotency_key(request: &HttpRequest) -> Result<IdempotencyKey, ApiError> {
    let header = request.headers().get(IDEMPOTENCY_KEY);
    let header = header.ok_or_else(|| ApiError::new(Code::IdempotencyKeyMissing))?;
    let invalid = || ApiError::invalid(IDEMPOTENCY_KEY, "1 to 64 visible ASCII characters");
    let text = header.to_str().map_err(|_| invalid())?;
    IdempotencyKey::parse(text).map_err(|_| invalid())
}

fn command(
    state: &AppState,
    shopper: &Shopper,
    key: IdempotencyKey,
    body: OrderBody,
) -> Result<PlaceOrder, ApiError> {
    let wanted = Wanted::parse(body.items, body.cart, state.config.engine.max_lines)?;
    let remark = body.remark.unwrap_or_default().replace(['\r', '\n', '\t'], " ");
    let expect_pay = match body.expect_pay_fen {
        Some(fen) if fen < 0 => return Err(ApiError::invalid("expect_pay_fen", "negative")),
        expected => expected.map(Money::from_fen),
    };
    Ok(PlaceOrder {
        user: shopper.user,
        key,
        items: wanted.items,
        cart: wanted.cart,
        address: body.address_id,
        remark: text("remark", &remark, 0, 255)?,
        expect_pay,
        freight: shopper.shop.wxapp.freight,
        span: tracing::Span::current(),
        arrival: None,
    })
}

/// Passes the gate, takes a permit and places the order. It goes on, with its permit, when the
/// caller goes away.
async fn place(
    state: &AppState,
    shopper: &Shopper,
    order: PlaceOrder,
    lookups: &Rc<Lookups>,
) -> Result<PlacedOrder, ApiError> {
    let items = order.items.clone();
    let order = shopper.shop.gate.pass(order, lookups).await;
    let order = order.map_err(|refusal| refusals::place(refusal, &items))?;
    let permit = state.permits.clone().try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::new(Code::Busy))?;
    let actor = shopper.shop.order.clone();
    let placing = actix_web::rt::spawn(async move {
        let placed = actor.send(order).await;
        drop(permit);
        placed
    });
    let placed = placing.await.map_err(ApiError::unavailable)?;
    let placed = placed.map_err(ApiError::unavailable)?;
    placed.map_err(|error| refusals::place_error(error, &items))
}

async fn answer(
    state: &AppState,
    shopper: &Shopper,
    request: &HttpRequest,
    placed: &PlacedOrder,
    prepay: bool,
    language: Language,
) -> Placed {
    let order = &placed.order;
    let payable = order.state == ListState::Unpaid && !order.closing;
    let (payment, payment_error) = if prepay && payable {
        match payments::prepay(state, shopper, request, order.id).await {
            Ok(payment) => (Some(payment), None),
            Err(error) => (None, Some(PaymentErrorJson::of(&error, language))),
        }
    } else {
        (None, None)
    };
    let order = OrderJson::from(order.as_ref().clone());
    Placed { order, payment, payment_error }
}

/// Which orders.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrdersQuery {
    /// `unpaid`, `paid`, `shipped`, `completed`, `closed` or `refunded`.
    #[param(example = "unpaid")]
    state: Option<String>,
    /// `open`: only orders with a refund under way.
    refund: Option<String>,
    /// 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    cursor: Option<String>,
}

impl OrdersQuery {
    fn filter(&self) -> Result<OrderFilter, ApiError> {
        let unknown = |name| move || ApiError::invalid(name, "unknown value");
        let state = self.state.as_deref();
        let state = state.map(|state| ListState::parse(state).ok_or_else(unknown("state")));
        let refund_open = match self.refund.as_deref() {
            None => false,
            Some("open") => true,
            Some(_) => return Err(unknown("refund")()),
        };
        Ok(OrderFilter { state: state.transpose()?, refund_open })
    }
}

/// One page of orders.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrdersPage {
    pub items: Vec<OrderJson>,
    pub next_cursor: Option<String>,
}

/// The buyer's orders, the newest first.
#[utoipa::path(get, path = "/api/v1/orders", tag = "orders", security(("buyer" = [])),
    params(OrdersQuery), responses((status = 200, body = OrdersPage), Refusals))]
pub async fn list_orders(
    state: Data<AppState>,
    shopper: Shopper,
    Query(query): Query<OrdersQuery>,
) -> Result<web::Json<OrdersPage>, ApiError> {
    let filter = query.filter()?;
    let limit = page::limit(query.limit)?;
    let after = page::after(LIST, query.cursor.as_deref())?;
    let (readers, wxapp) = (&state.readers, shopper.shop.wxapp.id);
    let page = order_views::orders_page(readers, wxapp, shopper.user, filter, after, limit).await?;
    Ok(web::Json(OrdersPage {
        items: page.items.into_iter().map(OrderJson::from).collect(),
        next_cursor: page.next.map(|next| page::cursor(LIST, next)),
    }))
}

/// Whether WeChat is asked before an unpaid order is shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    #[serde(default)]
    refresh: bool,
}

/// One order. With `refresh=true` WeChat is asked about an unpaid one, at most once a few seconds.
#[utoipa::path(get, path = "/api/v1/orders/{id}", tag = "orders", security(("buyer" = [])),
    params(("id" = i64, Path), OrderQuery), responses((status = 200, body = OrderJson), Refusals))]
pub async fn get_order(
    state: Data<AppState>,
    shopper: Shopper,
    PathId(id): PathId<OrderId>,
    Query(query): Query<OrderQuery>,
) -> Result<web::Json<OrderJson>, ApiError> {
    let order = own(&state, &shopper, id).await?;
    refreshed(&state, &shopper, order, query.refresh).await
}

/// The order with this number, of any of its payment attempts.
#[utoipa::path(get, path = "/api/v1/orders/by-no/{out_trade_no}", tag = "orders",
    security(("buyer" = [])), params(("out_trade_no" = String, Path), OrderQuery),
    responses((status = 200, body = OrderJson), Refusals))]
pub async fn get_order_by_no(
    state: Data<AppState>,
    shopper: Shopper,
    number: web::Path<String>,
    Query(query): Query<OrderQuery>,
) -> Result<web::Json<OrderJson>, ApiError> {
    let not_found = || ApiError::not_found("out_trade_no");
    let number = OutTradeNo::parse(number.into_inner()).map_err(|_| not_found())?;
    let (readers, wxapp) = (&state.readers, shopper.shop.wxapp.id);
    let order = order_views::order_by_no(readers, wxapp, shopper.user, &number).await?;
    refreshed(&state, &shopper, order.ok_or_else(not_found)?, query.refresh).await
}

async fn refreshed(
    state: &AppState,
    shopper: &Shopper,
    order: OrderView,
    refresh: bool,
) -> Result<web::Json<OrderJson>, ApiError> {
    let due = refresh
        && order.state == ListState::Unpaid
        && state.refreshes.take(order.id, state.clock.now());
    if !due {
        return Ok(web::Json(order.into()));
    }
    // What WeChat says is settled by the engine; when it says nothing, the order is shown as it is.
    let asked =
        shopper.shop.payment.send(AskWechat { order: order.id, span: tracing::Span::current() });
    match tokio::time::timeout(REFRESH_WAIT, asked).await {
        Ok(Ok(Ok(()))) => own(state, shopper, order.id).await.map(|order| web::Json(order.into())),
        Ok(Ok(Err(error))) => {
            tracing::warn!(%error, order = %order.id, "WeChat could not be asked");
            Ok(web::Json(order.into()))
        }
        Ok(Err(_)) | Err(_) => Ok(web::Json(order.into())),
    }
}

/// Payment parameters for an unpaid order; as often as you like.
#[utoipa::path(post, path = "/api/v1/orders/{id}/payment", tag = "orders",
    security(("buyer" = [])), params(("id" = i64, Path)),
    responses((status = 200, body = Payment), Refusals))]
pub async fn pay_order(
    request: HttpRequest,
    state: Data<AppState>,
    shopper: Shopper,
    PathId(id): PathId<OrderId>,
) -> Result<web::Json<Payment>, ApiError> {
    payments::prepay(&state, &shopper, &request, id).await.map(web::Json)
}

/// Gives an unpaid order up. `closing` is true when WeChat has not confirmed within some seconds;
/// it goes on by itself.
#[utoipa::path(post, path = "/api/v1/orders/{id}/cancel", tag = "orders",
    security(("buyer" = [])), params(("id" = i64, Path)),
    responses((status = 200, body = OrderJson), Refusals))]
pub async fn cancel_order(
    state: Data<AppState>,
    shopper: Shopper,
    PathId(id): PathId<OrderId>,
) -> Result<web::Json<OrderJson>, ApiError> {
    // What is not his costs the journal nothing.
    own(&state, &shopper, id).await?;
    let cancel = CancelOrder { order: id, user: shopper.user, span: tracing::Span::current() };
    let cancelled = shopper.shop.order.send(cancel).await.map_err(ApiError::unavailable)?;
    if let Some(refused) = cancelled.err().and_then(refusals::cancel) {
        return Err(refused);
    }
    let order = own(&state, &shopper, id).await?;
    if order.state != ListState::Unpaid {
        return Ok(web::Json(order.into()));
    }
    let wait = Duration::from_millis(state.config.engine.cancel_wait_ms);
    let _late = tokio::time::timeout(wait, close(&state, &shopper, id)).await;
    own(&state, &shopper, id).await.map(|order| web::Json(order.into()))
}

/// Closes at WeChat, or waits for another server that is at it.
async fn close(state: &AppState, shopper: &Shopper, id: OrderId) {
    let close = CloseOrder { order: id, span: tracing::Span::current() };
    match shopper.shop.payment.send(close).await {
        Ok(Ok(Closed::Elsewhere)) => {
            while own(state, shopper, id).await.is_ok_and(|order| order.closing) {
                tokio::time::sleep(ELSEWHERE_PAUSE).await;
            }
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, order = %id, "an order could not be closed at once");
        }
        Ok(Ok(Closed::Quiet | Closed::NotYet)) | Err(_) => {}
    }
}

/// The buyer's own order; another's is not found.
pub(super) async fn own(
    state: &AppState,
    shopper: &Shopper,
    id: OrderId,
) -> Result<OrderView, ApiError> {
    let wxapp = shopper.shop.wxapp.id;
    let order = order_views::order(&state.readers, wxapp, shopper.user, id).await?;
    order.ok_or_else(|| ApiError::not_found("id"))
}
