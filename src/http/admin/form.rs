//! Forms as browsers send them, read once by the guard: it must see the form's token before any
//! handler runs.

use std::collections::HashMap;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::http::error::{ApiError, Code};

/// The longest form: one of 200 SKUs must fit.
pub const FORM_MAX: usize = 256 * 1024;
/// The most fields of a form.
const FIELDS_MAX: usize = 4_000;
/// The field that proves that the form is one of this session.
pub const TOKEN: &str = "form_token";

/// The fields of a form; of a field that comes several times, all values in order.
#[derive(Debug, Clone, Default)]
pub struct Form(HashMap<String, Vec<String>>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let mut fields: HashMap<String, Vec<String>> = HashMap::new();
        for (index, (name, value)) in form_urlencoded::parse(bytes).enumerate() {
            if index >= FIELDS_MAX {
                return Err(ApiError::new(Code::TooLarge).with("max_fields", FIELDS_MAX));
            }
            fields.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Ok(Self(fields))
    }

    /// The first value of a field, or nothing at all.
    pub fn value(&self, name: &str) -> &str {
        self.0.get(name).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// The fields whose names begin so, without that beginning, and their first values.
    pub fn starting_with<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, values)| {
            Some((name.strip_prefix(start)?, values.first()?.as_str()))
        })
    }

    /// Leaves a field empty, for a page that is shown again.
    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// All values of a field.
    pub fn values(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

impl FromRequest for Form {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let form = request.extensions().get::<Form>().cloned();
        ready(form.ok_or_else(|| ApiError::invalid("body", "a form is needed")))
    }
}
