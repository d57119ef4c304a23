//! `POST /wechat/pay/v2/notify/{wxapp_id}`: payment notifications of API v2.
//!
//! Takes the bytes, hands them to the payment actor, and answers what WeChat wants to hear: HTTP 200
//! with SUCCESS ends its repeats, everything else brings the notification again. Verifying, parsing
//! and deciding are the engine's. The body is never logged.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::actors::directory::DirectoryError;
use crate::actors::payment::{Notify, NotifyReply};
use crate::domain::id::WxappId;
use crate::http::AppState;
use crate::http::extract::body;
use crate::wechat::pay::{NOTIFY_OK, notify_fail};

/// WeChat waits five seconds for the answer; ours comes before.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_500);

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/wechat/pay/v2/notify/{wxapp_id}").route(web::post().to(notify)));
}

async fn notify(
    request: HttpRequest,
    state: Data<AppState>,
    wxapp: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let max = state.config.server.notify_body_max_bytes;
    let reply = match body(&request, payload, max).await {
        Ok(body) => hand_over(&state, &wxapp, body.to_vec()).await,
        Err(_) => NotifyReply::Fail("unreadable body"),
    };
    answer(reply)
}

async fn hand_over(state: &AppState, wxapp: &str, body: Vec<u8>) -> NotifyReply {
    let id = wxapp.parse().ok().and_then(|id| WxappId::parse(id).ok());
    let Some(id) = id else {
        return NotifyReply::Fail("unknown mini-program");
    };
    let shop = match state.directory.shop(id).await {
        Ok(shop) => shop,
        Err(DirectoryError::Unknown) => return NotifyReply::Fail("unknown mini-program"),
        Err(_) => return NotifyReply::Unavailable,
    };
    // A notification whose answer comes too late goes on: it is committed, and the repeat finds it.
    match tokio::time::timeout(
        ANSWER_WITHIN,
        shop.payment.send(Notify { body, span: tracing::Span::current() }),
    )
    .await
    {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) | Err(_) => NotifyReply::Unavailable,
    }
}

fn answer(reply: NotifyReply) -> HttpResponse {
    let (mut response, body) = match reply {
        NotifyReply::Success => (HttpResponse::Ok(), NOTIFY_OK.to_owned()),
        NotifyReply::Fail(reason) => (HttpResponse::Ok(), notify_fail(reason)),
        NotifyReply::Unavailable => (HttpResponse::ServiceUnavailable(), notify_fail("try again")),
    };
    response.insert_header((header::CONTENT_TYPE, "text/xml; charset=utf-8")).body(body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::body::to_bytes;

    use super::*;

    async fn said(reply: NotifyReply) -> (u16, String) {
        let response = answer(reply);
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body()).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn wechat_hears_exactly_its_own_words() {
        let ok = "<xml><return_code><![CDATA[SUCCESS]]></return_code>\
                  <return_msg><![CDATA[OK]]></return_msg></xml>";
        assert_eq!(said(NotifyReply::Success).await, (200, ok.to_owned()));
        let fail = "<xml><return_code><![CDATA[FAIL]]></return_code>\
                    <return_msg><![CDATA[bad sign]]></return_msg></xml>";
        assert_eq!(said(NotifyReply::Fail("bad sign")).await, (200, fail.to_owned()));
        let (status, body) = said(NotifyReply::Unavailable).await;
        assert_eq!(status, 503);
        assert!(body.contains("FAIL"));
    }
}
