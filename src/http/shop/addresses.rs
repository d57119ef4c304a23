//! The buyer's address book: `/addresses`.

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::address::Address as Place;
use crate::domain::id::AddressId;
use crate::http::AppState;
use crate::http::auth::Shopper;
use crate::http::error::{ApiError, Code};
use crate::http::extract::{Json, PathId, text};
use crate::http::openapi::Refusals;
use crate::store::accounts::{self, ADDRESSES_MAX, BookAddress};

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/addresses")
                .route(web::get().to(list_addresses))
                .route(web::post().to(add_address)),
        )
        .service(
            web::resource("/addresses/{id}")
                .route(web::put().to(replace_address))
                .route(web::delete().to(delete_address)),
        )
        .service(
            web::resource("/addresses/{id}/default").route(web::put().to(make_address_default)),
        );
}

/// An address of the book; names as `wx.chooseAddress` gives them.
#[derive(Debug, Serialize, ToSchema)]
pub struct Address {
    pub id: i64,
    pub name: String,
    pub phone: String,
    pub province: String,
    pub city: String,
    pub district: String,
    pub detail: String,
    pub is_default: bool,
}

impl From<BookAddress> for Address {
    fn from(entry: BookAddress) -> Self {
        let Place { name, phone, province, city, district, detail } = entry.address;
        let (id, is_default) = (entry.id.get(), entry.is_default);
        Self { id, name, phone, province, city, district, detail, is_default }
    }
}

/// What an address says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressBody {
    #[schema(max_length = 64, example = "王小明")]
    name: String,
    #[schema(max_length = 32, example = "13800138000")]
    phone: String,
    #[schema(max_length = 64, example = "广东省")]
    province: String,
    #[schema(max_length = 64, example = "广州市")]
    city: String,
    /// May be empty: some cities have none.
    #[schema(max_length = 64, example = "天河区")]
    #[serde(default)]
    district: String,
    #[schema(max_length = 255, example = "体育西路 1 号")]
    detail: String,
    /// Makes it the default; the first address is the default anyway.
    #[serde(default)]
    is_default: bool,
}

impl AddressBody {
    fn check(&self) -> Result<Place, ApiError> {
        Ok(Place {
            name: text("name", &self.name, 1, 64)?,
            phone: phone(&self.phone)?,
            province: text("province", &self.province, 1, 64)?,
            city: text("city", &self.city, 1, 64)?,
            district: text("district", &self.district, 0, 64)?,
            detail: text("detail", &self.detail, 1, 255)?,
        })
    }
}

fn phone(value: &str) -> Result<String, ApiError> {
    let phone = text("phone", value, 5, 32)?;
    let fits = |c: char| c.is_ascii_digit() || "+-() ".contains(c);
    if phone.chars().all(fits) {
        Ok(phone)
    } else {
        Err(ApiError::invalid("phone", "digits, blanks, +, - and brackets only"))
    }
}

/// The whole book.
#[derive(Debug, Serialize, ToSchema)]
pub struct Addresses {
    pub items: Vec<Address>,
}

/// The buyer's addresses, the default first.
#[utoipa::path(get, path = "/api/v1/addresses", tag = "addresses", security(("buyer" = [])),
    responses((status = 200, body = Addresses), Refusals))]
pub async fn list_addresses(
    state: Data<AppState>,
    shopper: Shopper,
) -> Result<web::Json<Addresses>, ApiError> {
    let wxapp = shopper.shop.wxapp.id;
    let book = accounts::addresses(&state.readers, wxapp, shopper.user).await?;
    Ok(web::Json(Addresses { items: book.into_iter().map(Address::from).collect() }))
}

/// Adds an address.
#[utoipa::path(post, path = "/api/v1/addresses", tag = "addresses", security(("buyer" = [])),
    request_body = AddressBody, responses((status = 201, body = Address), Refusals))]
pub async fn add_address(
    state: Data<AppState>,
    shopper: Shopper,
    Json(body): Json<AddressBody>,
) -> Result<HttpResponse, ApiError> {
    let address = body.check()?;
    let wxapp = shopper.shop.wxapp.id;
    let count = accounts::address_count(&state.readers, wxapp, shopper.user).await?;
    if count >= ADDRESSES_MAX {
        return Err(ApiError::new(Code::LimitExceeded).with("max", ADDRESSES_MAX));
    }
    let id = state.ids.draw_one().await.map_err(ApiError::unavailable)?;
    let id = AddressId::parse(id).map_err(ApiError::internal)?;
    let entry = BookAddress { id, address, is_default: body.is_default || count == 0 };
    let (backend, now) = (state.readers.backend(), state.clock.now());
    let write = accounts::insert_address(backend, wxapp, shopper.user, entry.clone(), now);
    state.journal.write(write).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(Address::from(entry)))
}

/// Replaces an address.
#[utoipa::path(put, path = "/api/v1/addresses/{id}", tag = "addresses", security(("buyer" = [])),
    params(("id" = i64, Path)), request_body = AddressBody,
    responses((status = 200, body = Address), Refusals))]
pub async fn replace_address(
    state: Data<AppState>,
    shopper: Shopper,
    PathId(id): PathId<AddressId>,
    Json(body): Json<AddressBody>,
) -> Result<web::Json<Address>, ApiError> {
    let former = own(&state, &shopper, id).await?;
    let is_default = body.is_default || former.is_default;
    let entry = BookAddress { id, address: body.check()?, is_default };
    let (backend, now) = (state.readers.backend(), state.clock.now());
    let wxapp = shopper.shop.wxapp.id;
    let write = accounts::update_address(backend, wxapp, shopper.user, entry.clone(), now);
    state.journal.write(write).await?;
    Ok(web::Json(entry.into()))
}

/// Deletes an address; orders keep their copy.
#[utoipa::path(delete, path = "/api/v1/addresses/{id}", tag = "addresses", security(("buyer" = [])),
    params(("id" = i64, Path)), responses((status = 204), Refusals))]
pub async fn delete_address(
    state: Data<AppState>,
    shopper: Shopper,
    PathId(id): PathId<AddressId>,
) -> Result<HttpResponse, ApiError> {
    own(&state, &shopper, id).await?;
    let (backend, wxapp) = (state.readers.backend(), shopper.shop.wxapp.id);
    state.journal.write(accounts::delete_address(backend, wxapp, shopper.user, id)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Makes an address the default.
#[utoipa::path(put, path = "/api/v1/addresses/{id}/default", tag = "addresses",
    security(("buyer" = [])), params(("id" = i64, Path)),
    responses((status = 200, body = Address), Refusals))]
pub async fn make_address_default(
    state: Data<AppState>,
    shopper: Shopper,
    PathId(id): PathId<AddressId>,
) -> Result<web::Json<Address>, ApiError> {
    let entry = own(&state, &shopper, id).await?;
    let (backend, wxapp) = (state.readers.backend(), shopper.shop.wxapp.id);
    state.journal.write(accounts::set_default_address(backend, wxapp, shopper.user, id)).await?;
    Ok(web::Json(BookAddress { is_default: true, ..entry }.into()))
}

/// The buyer's own address; another's is not found.
async fn own(state: &AppState, shopper: &Shopper, id: AddressId) -> Result<BookAddress, ApiError> {
    let wxapp = shopper.shop.wxapp.id;
    let entry = accounts::address(&state.readers, wxapp, shopper.user, id).await?;
    entry.ok_or_else(|| ApiError::not_found("id"))
}

#[cfg(test)]
mod tests {
    use super::phone;

    #[test]
    fn phones_have_digits() {
        for good in ["13800138000", "+86 138-0013-8000", "(020) 12345"] {
            assert!(phone(good).is_ok(), "{good}");
        }
        for bad in ["", "1234", "一三八零零一三八", "1380013800x"] {
            assert!(phone(bad).is_err(), "{bad}");
        }
    }
}
