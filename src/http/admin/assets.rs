//! The files of the site: part of the binary, known by name.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Path;

use super::access::{Access, Routes};
use crate::http::error::ApiError;

macro_rules! files {
    ($($name:literal $kind:literal),+ $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("../../../assets/admin/", $name)))),+]
    };
}

const FILES: &[(&str, &str, &str)] = files![
    "admin.css" "text/css; charset=utf-8",
    "admin.js" "text/javascript; charset=utf-8",
    "shipping.js" "text/javascript; charset=utf-8",
    "export.js" "text/javascript; charset=utf-8",
    "icon.svg" "image/svg+xml",
];

pub fn routes(routes: &mut Routes) {
    routes.page("/assets/{file}", Access::Public, file);
}

async fn file(name: Path<String>) -> Result<HttpResponse, ApiError> {
    let found = FILES.iter().find(|(known, _, _)| *known == name.as_str());
    let (_, kind, text) = found.ok_or_else(|| ApiError::not_found("file"))?;
    Ok(HttpResponse::Ok()
        .content_type(*kind)
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(*text))
}
