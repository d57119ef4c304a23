//! What is to be shipped, as a file with columns to fill in: streamed, a page of orders at a time.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use futures_util::{Stream, stream};
use serde_json::json;

use super::table;
use crate::domain::address::Address;
use crate::domain::id::WxappId;
use crate::domain::staff::Right;
use crate::http::AppState;
use crate::http::admin::guard::Staff;
use crate::http::admin::log::{self, Noted};
use crate::http::admin::orders::mask;
use crate::http::admin::render;
use crate::http::admin::texts::{ShippingTexts, Tongue};
use crate::http::error::ApiError;
use crate::store::desk;
use crate::store::order_views::{OrderView, RefundProgress};
use crate::store::page::After;
use crate::store::staff::log::About;

/// Orders of one file.
pub const ORDERS_MAX: usize = 5_000;
/// Says before the first row how many there will be, about: the script of the page counts along.
const ORDERS: &str = "x-orders";
/// Orders read at a time.
const PAGE: u32 = 100;

/// How one file is written.
#[derive(Clone, Copy)]
struct Sheet {
    shop: WxappId,
    s: &'static ShippingTexts,
    tongue: Tongue,
    /// Whether buyers are shown.
    people: bool,
}

/// Where the stream stands.
enum Step {
    Head,
    Behind(Option<After>, usize),
    End,
}

/// The file. That somebody took it, and whether with buyers' addresses, is written down first.
pub async fn to_ship(app: Data<AppState>, staff: &Staff) -> Result<HttpResponse, ApiError> {
    let shop = staff.shop()?.wxapp.id;
    let people = staff.may_here(Right::PersonalData);
    let waiting = desk::count_to_ship(&app.readers, shop, ORDERS_MAX as u64).await?;
    let noted = Noted {
        what: "export_to_ship",
        about: About("export", shop.get()),
        before: json!({}),
        after: json!({"orders": waiting, "personal_data": people}),
    };
    let entry = log::entry(&app, staff, noted).await?;
    app.journal.write(entry).await?;
    let sheet = Sheet { shop, s: staff.tongue.shipping(), tongue: staff.tongue, people };
    let at: String = render::time(app.clock.now()).chars().filter(char::is_ascii_digit).collect();
    let name = format!("attachment; filename=\"to-ship-{at}.csv\"");
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((ORDERS, waiting.to_string()))
        .streaming(lines(app, sheet)))
}

fn lines(app: Data<AppState>, sheet: Sheet) -> impl Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold(Step::Head, move |step| {
        let app = app.clone();
        async move {
            next(&app, sheet, step).await.map_err(|error| std::io::Error::other(error.to_string()))
        }
    })
}

async fn next(app: &AppState, sheet: Sheet, step: Step) -> Result<Option<(Bytes, Step)>, ApiError> {
    let (after, written) = match step {
        Step::Head => {
            let mut head = table::BOM.as_bytes().to_vec();
            head.extend(table::line(sheet.head())?);
            return Ok(Some((head.into(), Step::Behind(None, 0))));
        }
        Step::Behind(after, written) if written < ORDERS_MAX => (after, written),
        Step::Behind(..) | Step::End => return Ok(None),
    };
    let page = desk::to_ship(&app.readers, sheet.shop, after, PAGE).await?;
    let mut bytes = Vec::new();
    for order in page.items.iter().filter(|order| order.refund != RefundProgress::Open) {
        bytes.extend(sheet.line(order)?);
    }
    let step = match page.next {
        Some(after) => Step::Behind(Some(after), written + page.items.len()),
        None => Step::End,
    };
    Ok(Some((bytes.into(), step)))
}

impl Sheet {
    fn head(&self) -> [&'static str; 10] {
        let (o, t) = (self.tongue.orders(), self.tongue.texts());
        [
            o.order_no,
            t.created,
            o.goods,
            self.s.pieces,
            o.buyer,
            o.phone,
            self.s.address,
            o.remark,
            o.company,
            o.express_no,
        ]
    }

    fn line(&self, order: &OrderView) -> Result<Vec<u8>, ApiError> {
        let (goods, pieces) = super::left(order);
        let address = order.address.clone();
        let address = match self.people {
            true => address,
            false => address.map(mask::address),
        };
        let to = address.unwrap_or_else(nowhere);
        let Address { name, phone, province, city, district, detail } = to;
        table::line([
            order.order_no.as_str(),
            &render::time(order.created_at),
            &goods,
            &pieces.to_string(),
            &name,
            &phone,
            &format!("{province} {city} {district} {detail}"),
            &order.remark,
            "",
            "",
        ])
    }
}

fn nowhere() -> Address {
    let none = String::new;
    Address {
        name: none(),
        phone: none(),
        province: none(),
        city: none(),
        district: none(),
        detail: none(),
    }
}
