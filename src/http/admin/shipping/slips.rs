//! Slips and the pick list: chosen, marked as printed in one commit, and then shown for the
//! printer. Whoever is second finds the mark and prints nothing twice unless he says so.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use askama::Template;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::barcode;
use crate::domain::id::{OrderId, SkuId, WxappId};
use crate::domain::staff::Right;
use crate::http::admin::form::Form;
use crate::http::admin::guard::Staff;
use crate::http::admin::log::{self, Noted};
use crate::http::admin::orders::mask;
use crate::http::admin::render::{self, Frame};
use crate::http::admin::texts::ShippingTexts;
use crate::http::error::{ApiError, Code};
use crate::http::extract::{Json, Query};
use crate::http::openapi::Refusals;
use crate::http::{AppState, auth, page};
use crate::store::desk::{self, Print};
use crate::store::order_views::{LineView, ListState, OrderView, RefundProgress};
use crate::store::staff::log::{About, logins};

/// The name that cursors of this list carry.
const LIST: &str = "slips";
/// Orders of a page, and of one print.
const SLIPS_MAX: usize = 100;
/// How often a print is tried anew without what others have printed meanwhile.
const TRIES: usize = 3;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    cursor: Option<String>,
    done: String,
}

/// An order in the list, and whether its slip was printed.
struct Choice {
    order: OrderView,
    print: Option<Print>,
}

#[derive(Template)]
#[template(path = "admin/shipping_slips.html")]
struct SlipsPage {
    frame: Frame,
    s: &'static ShippingTexts,
    base: String,
    orders: String,
    choices: Vec<Choice>,
    logins: BTreeMap<i64, String>,
    next: Option<String>,
    key: String,
}

impl SlipsPage {
    fn who(&self, print: &Print) -> String {
        self.logins.get(&print.staff).cloned().unwrap_or_default()
    }
    fn goods(&self, order: &OrderView) -> String {
        super::left(order).0
    }
}

pub async fn show(
    app: Data<AppState>,
    staff: Staff,
    Query(wanted): Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    let (shop, s) = (staff.shop()?.wxapp.id, staff.tongue.shipping());
    let after = page::after(LIST, wanted.cursor.as_deref())?;
    let found = desk::to_ship(&app.readers, shop, after, SLIPS_MAX as u32).await?;
    let orders = found.items.into_iter().filter(|order| order.refund != RefundProgress::Open);
    let orders: Vec<OrderView> = orders.collect();
    let ids: Vec<i64> = orders.iter().map(|order| order.id.get()).collect();
    let mut prints = desk::prints(&app.readers, shop, &ids).await?;
    let choice = |order: OrderView| Choice { print: prints.remove(&order.id), order };
    let notice = match wanted.done.as_str() {
        "printed_before" => Some(s.all_printed_before),
        "none" => Some(s.none_chosen),
        _ => None,
    };
    let base = format!("/admin/shops/{shop}/shipping");
    let next = found.next.map(|next| format!("{base}/slips?cursor={}", page::cursor(LIST, next)));
    render::page(&SlipsPage {
        frame: Frame::of(&staff, "shipping").notice(notice),
        s,
        orders: format!("/admin/shops/{shop}/orders"),
        choices: orders.into_iter().map(choice).collect(),
        logins: logins(&app.readers).await?,
        next,
        base,
        key: auth::new_token(),
    })
}

/// Orders whose slips are to be printed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminPrint)]
pub struct PrintBody {
    /// Ids, at most 100.
    orders: Vec<i64>,
    /// Those that were printed before are printed once more.
    #[serde(default)]
    again: bool,
}

/// What was printed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminPrinted)]
pub struct Printed {
    /// None: nothing.
    job_id: Option<i64>,
    orders: Vec<i64>,
    /// Printed before, by somebody else or in another print; left out.
    printed_before: Vec<i64>,
}

/// Marks the slips. Of two who print one order at the same moment, one has it. The key of a form
/// that was sent before marks nothing more, and is answered with what it has printed.
async fn mark(
    app: &AppState,
    staff: &Staff,
    body: PrintBody,
    key: &str,
) -> Result<Printed, ApiError> {
    if body.orders.len() > SLIPS_MAX {
        return Err(ApiError::new(Code::TooLarge).with("max_orders", SLIPS_MAX));
    }
    let shop = staff.shop()?.wxapp.id;
    let found = desk::by_ids(&app.readers, shop, &body.orders).await?;
    let mut ids: Vec<OrderId> =
        found.iter().filter(|order| to_pack(order)).map(|order| order.id).collect();
    ids.sort_unstable();
    for _ in 0..TRIES {
        let prints = prints(app, shop, &ids).await?;
        if log::has_acted(app, staff, key).await? {
            return repeated(app, staff, &ids).await;
        }
        let is_free = |id: &OrderId| body.again || !prints.contains_key(id);
        let (free, before): (Vec<OrderId>, Vec<OrderId>) = ids.iter().partition(|id| is_free(id));
        let job_id = match free.is_empty() {
            true => None,
            false => match print(app, staff, &free, body.again, key).await? {
                Some(job) => Some(job),
                // Somebody has printed one of them meanwhile, or this form was sent twice.
                None => continue,
            },
        };
        return Ok(Printed { job_id, orders: plain(&free), printed_before: plain(&before) });
    }
    Err(ApiError::new(Code::Busy))
}

async fn prints(
    app: &AppState,
    shop: WxappId,
    ids: &[OrderId],
) -> Result<BTreeMap<OrderId, Print>, ApiError> {
    Ok(desk::prints(&app.readers, shop, &plain(ids)).await?)
}

fn plain(ids: &[OrderId]) -> Vec<i64> {
    ids.iter().map(|id| id.get()).collect()
}

/// All of these together with their entry, or none: then there is no print.
async fn print(
    app: &AppState,
    staff: &Staff,
    orders: &[OrderId],
    again: bool,
    key: &str,
) -> Result<Option<i64>, ApiError> {
    let shop = staff.shop()?.wxapp.id;
    let job = app.ids.draw_one().await.map_err(ApiError::unavailable)?;
    let noted = Noted {
        what: "print_slips",
        about: About("print", job),
        before: json!({}),
        after: json!({"orders": orders, "again": again,
            "personal_data": staff.may_here(Right::PersonalData)}),
    };
    let entry = log::keyed(app, staff, noted, key).await?;
    let print = Print { job, staff: staff.id().get(), copies: 1, at: app.clock.now() };
    let marks = desk::mark_printed(app.readers.backend(), shop, orders, &print, again);
    Ok(log::once(app, marks.then(entry)).await?.then_some(job))
}

/// What a form has printed that is sent once more: the last print of these orders that is one's
/// own.
async fn repeated(app: &AppState, staff: &Staff, ids: &[OrderId]) -> Result<Printed, ApiError> {
    // Read anew: it may have been marked since they were read.
    let prints = prints(app, staff.shop()?.wxapp.id, ids).await?;
    let mine = prints.values().filter(|print| print.staff == staff.id().get());
    let job = mine.max_by_key(|print| (print.at, print.job)).map(|print| print.job);
    let is_in = |id: &&OrderId| prints.get(*id).is_some_and(|print| Some(print.job) == job);
    let (orders, before): (Vec<&OrderId>, Vec<&OrderId>) = ids.iter().partition(is_in);
    let get = |ids: Vec<&OrderId>| ids.into_iter().map(|id| id.get()).collect();
    Ok(Printed { job_id: job, orders: get(orders), printed_before: get(before) })
}

/// Whether its goods are to be packed.
fn to_pack(order: &OrderView) -> bool {
    order.state == ListState::Paid && order.refund != RefundProgress::Open
}

pub async fn print_form(
    app: Data<AppState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let orders = form.values("order").iter().filter_map(|id| id.parse().ok()).collect();
    let body = PrintBody { orders, again: form.value("again") == "yes" };
    let slips = format!("/admin/shops/{}/shipping/slips", staff.shop()?.wxapp.id);
    let printed = mark(&app, &staff, body, form.value("key")).await?;
    Ok(render::see(&match printed.job_id {
        Some(job) => format!("{slips}/{job}"),
        None if printed.printed_before.is_empty() => format!("{slips}?done=none"),
        None => format!("{slips}?done=printed_before"),
    }))
}

/// Marks slips as printed, so that nobody packs them twice; those that were, are left out.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/shipping/slips", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id")), request_body = PrintBody,
    responses((status = 200, body = Printed), Refusals), security(("staff" = [])))]
pub async fn print_json(
    app: Data<AppState>,
    staff: Staff,
    Json(body): Json<PrintBody>,
) -> Result<web::Json<Printed>, ApiError> {
    Ok(web::Json(mark(&app, &staff, body, "").await?))
}

/// So many pieces of a SKU, in so many orders.
struct Pick {
    name: String,
    attr: String,
    pieces: i64,
    orders: usize,
}

#[derive(Template)]
#[template(path = "admin/shipping_print.html")]
struct PrintPage {
    frame: Frame,
    s: &'static ShippingTexts,
    base: String,
    picks: Vec<Pick>,
    slips: Vec<Slip>,
}

/// A slip on paper.
struct Slip {
    order: OrderView,
    barcode: String,
    copies: i64,
    /// It has been shipped, or its money goes back, since it was marked.
    is_stale: bool,
}

impl Slip {
    fn lines(&self) -> Vec<(&LineView, i64)> {
        let lines = self.order.lines.iter().map(|line| (line, super::left_of(&self.order, line)));
        lines.filter(|(_, left)| *left > 0).collect()
    }
}

/// What was marked together, for the printer: the pick list, and a page for each order. Only for
/// who has marked it: the entry in the log is his.
pub async fn show_print(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let shop = staff.shop()?.wxapp.id;
    let not_found = || ApiError::not_found("id");
    let job: i64 = at.1.parse().map_err(|_| not_found())?;
    let prints = desk::print_job(&app.readers, shop, job, staff.id()).await?;
    let ids: Vec<i64> = prints.keys().map(|order| order.get()).collect();
    let mut orders = desk::by_ids(&app.readers, shop, &ids).await?;
    if orders.is_empty() {
        return Err(not_found());
    }
    if !staff.may_here(Right::PersonalData) {
        for order in &mut orders {
            order.address = order.address.take().map(mask::address);
        }
    }
    let picks = picks(&orders);
    let slip = |order: OrderView| Slip {
        barcode: barcode::svg(&order.order_no),
        copies: prints.get(&order.id).map_or(1, |print| print.copies),
        is_stale: !to_pack(&order),
        order,
    };
    render::page(&PrintPage {
        frame: Frame::of(&staff, "shipping"),
        s: staff.tongue.shipping(),
        base: format!("/admin/shops/{shop}/shipping"),
        picks,
        slips: orders.into_iter().map(slip).collect(),
    })
}

/// What to fetch from the shelves, once for all orders, by name and attribute.
fn picks(orders: &[OrderView]) -> Vec<Pick> {
    let mut by_sku: BTreeMap<SkuId, Pick> = BTreeMap::new();
    for order in orders.iter().filter(|order| to_pack(order)) {
        for line in &order.lines {
            let left = super::left_of(order, line);
            if left == 0 {
                continue;
            }
            let pick = by_sku.entry(line.sku).or_insert_with(|| Pick {
                name: line.goods_name.clone(),
                attr: line.attr.clone(),
                pieces: 0,
                orders: 0,
            });
            pick.pieces += left;
            pick.orders += 1;
        }
    }
    let mut picks: Vec<Pick> = by_sku.into_values().collect();
    picks.sort_by(|a, b| (&a.name, &a.attr).cmp(&(&b.name, &b.attr)));
    picks
}
