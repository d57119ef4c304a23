//! Forms as browsers send them, read once by the guard: it must see the form's token before any
//! handler runs.

use std::collections::HashMap;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::upload::Upload;
use crate::http::error::{ApiError, Code};

/// The longest form: one of 500 SKUs must fit, and as many that they replace.
pub const FORM_MAX: usize = 1024 * 1024;
/// The longest form of somebody who is not logged in.
pub const PUBLIC_FORM_MAX: usize = 64 * 1024;
/// The most fields of a form: eight of each SKU, and the rest of the goods.
const FIELDS_MAX: usize = 10_000;
/// The field that proves that the form is one of this session.
pub const TOKEN: &str = "form_token";

/// The fields of a form; of a field that comes several times, all values in order.
#[derive(Debug, Clone, Default)]
pub struct Form {
    fields: HashMap<String, Vec<String>>,
    files: HashMap<String, Upload>,
    count: usize,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(bytes) {
            form.add(name.into_owned(), value.into_owned())?;
        }
        Ok(form)
    }

    /// Adds a value of a field.
    pub fn add(&mut self, name: String, value: String) -> Result<(), ApiError> {
        self.one_more()?;
        self.fields.entry(name).or_default().push(value);
        Ok(())
    }

    /// Adds a file; of several under one name the first counts.
    pub fn add_file(&mut self, name: String, file: Upload) -> Result<(), ApiError> {
        self.one_more()?;
        self.files.entry(name).or_insert(file);
        Ok(())
    }

    fn one_more(&mut self) -> Result<(), ApiError> {
        self.count += 1;
        if self.count > FIELDS_MAX {
            return Err(ApiError::new(Code::TooLarge).with("max_fields", FIELDS_MAX));
        }
        Ok(())
    }

    /// A file that was chosen; a browser sends an empty one where none was.
    pub fn file(&self, name: &str) -> Option<&Upload> {
        self.files.get(name).filter(|file| !file.name.is_empty() || !file.bytes.is_empty())
    }

    /// The first value of a field, or nothing at all.
    pub fn value(&self, name: &str) -> &str {
        self.fields.get(name).and_then(|values| values.first()).map_or("", String::as_str)
    }

    /// The fields whose names begin so, without that beginning, and their first values.
    pub fn starting_with<'a>(&'a self, start: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.fields.iter().filter_map(move |(name, values)| {
            Some((name.strip_prefix(start)?, values.first()?.as_str()))
        })
    }

    /// Leaves a field empty, for a page that is shown again.
    pub fn forget(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// All values of a field.
    pub fn values(&self, name: &str) -> &[String] {
        self.fields.get(name).map_or(&[], Vec::as_slice)
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
