//! Forms that carry files (`multipart/form-data`), read whole and bounded.

use std::time::Duration;

use actix_multipart::Multipart;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt as _;

use super::form::Form;
use crate::http::error::{ApiError, Code};

/// All of a form together.
pub const UPLOAD_MAX: usize = 4 * 1024 * 1024;
/// How long a form with files may take to arrive.
const UPLOAD_WAIT: Duration = Duration::from_secs(60);

/// A file of a form. Neither its name nor what the browser calls its type is to be trusted.
#[derive(Debug, Clone)]
pub struct Upload {
    pub name: String,
    pub bytes: Bytes,
}

/// Whether the body is such a form.
pub fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
    })
}

/// Reads fields and files.
pub async fn read(headers: &HeaderMap, payload: Payload) -> Result<Form, ApiError> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(ApiError::invalid("Content-Encoding", "compressed bodies are not taken"));
    }
    let read = tokio::time::timeout(UPLOAD_WAIT, parts(Multipart::new(headers, payload)));
    read.await.map_err(|_| bad())?
}

fn bad() -> ApiError {
    ApiError::invalid("body", "did not arrive whole")
}

async fn parts(mut parts: Multipart) -> Result<Form, ApiError> {
    let (mut form, mut left) = (Form::default(), UPLOAD_MAX);
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(|_| bad())?;
        let name = part.name().unwrap_or_default().to_owned();
        let file = part.content_disposition().and_then(|part| part.get_filename());
        let file = file.map(str::to_owned);
        let mut bytes = BytesMut::new();
        while let Some(chunk) = part.next().await {
            let chunk = chunk.map_err(|_| bad())?;
            let too_large = || ApiError::new(Code::TooLarge).with("max_bytes", UPLOAD_MAX);
            left = left.checked_sub(chunk.len()).ok_or_else(too_large)?;
            bytes.extend_from_slice(&chunk);
        }
        match file {
            Some(file) => form.add_file(name, Upload { name: file, bytes: bytes.freeze() })?,
            None => {
                let text = String::from_utf8(bytes.to_vec());
                form.add(name, text.map_err(|_| ApiError::invalid("body", "is not UTF-8"))?)?;
            }
        }
    }
    Ok(form)
}
