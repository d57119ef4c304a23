//! The WeChat side over HTTP: every call is counted, may be hit by a fault, and is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::{Bytes, Data, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, rt, web};
use futures_util::stream;
use serde_json::Value;

use super::desk::{Desk, Entered, Sending};
use super::fault::{Fault, FaultKind};
use super::mail::MessageKind;
use super::merchant::{self, Interface};
use super::reply::Reply;
use super::weixin;
use super::world::World;
use crate::clock::Timestamp;
use crate::wechat::xml;

/// A held call goes on by itself after this long, in real time.
const HOLD_LIMIT: Duration = Duration::from_secs(60);

/// All routes of the two hosts.
pub(super) fn routes(config: &mut ServiceConfig) {
    for interface in Interface::ALL {
        let handler = move |desk: Data<Desk>, request: HttpRequest, body: Bytes| {
            pay_interface(desk, interface, request, body)
        };
        config.route(interface.path(), web::route().to(handler));
    }
    config
        .route(weixin::SESSION_PATH, web::get().to(session))
        .route(weixin::TOKEN_PATH, web::post().to(stable_token))
        .route(weixin::SUBSCRIBE_PATH, web::post().to(subscribe_send))
        .route(weixin::TEMPLATE_PATH, web::post().to(template_send));
}

async fn pay_interface(
    desk: Data<Desk>,
    interface: Interface,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let is_post = request.method() == Method::POST;
    let fields = xml::parse(&body).unwrap_or_default();
    let seen: BTreeMap<_, _> = fields.iter().collect();
    let seen = serde_json::to_value(seen).unwrap_or_default();
    let process = move |world: &mut World, now, fault: Option<&Fault>| {
        if !is_post {
            return Reply::Unsigned("请使用post方法");
        }
        let code = fault.and_then(|fault| fault.code.as_ref());
        merchant::answer(world, interface, &body, code, now)
    };
    serve(&desk, interface.path(), seen, None, process).await
}

async fn session(desk: Data<Desk>, query: Query<BTreeMap<String, String>>) -> HttpResponse {
    let query = query.into_inner();
    let seen = serde_json::to_value(&query).unwrap_or_default();
    let process = move |world: &mut World, now, fault: Option<&Fault>| {
        weixin::session(world, &query, fault.and_then(|f| f.code.as_ref()), now)
    };
    serve(&desk, weixin::SESSION_PATH, seen, None, process).await
}

async fn stable_token(desk: Data<Desk>, body: Bytes) -> HttpResponse {
    let seen = serde_json::from_slice(&body).unwrap_or_default();
    let process = move |world: &mut World, now, fault: Option<&Fault>| {
        weixin::stable_token(world, &body, fault.and_then(|f| f.code.as_ref()), now)
    };
    serve(&desk, weixin::TOKEN_PATH, seen, None, process).await
}

type TokenQuery = Query<BTreeMap<String, String>>;

async fn subscribe_send(desk: Data<Desk>, query: TokenQuery, body: Bytes) -> HttpResponse {
    send(desk, MessageKind::Subscribe, query, body).await
}

async fn template_send(desk: Data<Desk>, query: TokenQuery, body: Bytes) -> HttpResponse {
    send(desk, MessageKind::Template, query, body).await
}

async fn send(desk: Data<Desk>, kind: MessageKind, query: TokenQuery, body: Bytes) -> HttpResponse {
    let path = match kind {
        MessageKind::Subscribe => weixin::SUBSCRIBE_PATH,
        MessageKind::Template => weixin::TEMPLATE_PATH,
    };
    let token = query.get("access_token").cloned().unwrap_or_default();
    let seen: Value = serde_json::from_slice(&body).unwrap_or_default();
    let openid = seen.get("touser").and_then(Value::as_str);
    let sending = desk.begin_send(openid.unwrap_or_default());
    if sending.is_none() {
        let process = |_: &mut World, _, _: Option<&Fault>| weixin::concurrent();
        return serve(&desk, path, seen, None, process).await;
    }
    let process = move |world: &mut World, now, fault: Option<&Fault>| {
        let code = fault.and_then(|fault| fault.code.as_ref());
        weixin::send(world, kind, &token, &body, code, now)
    };
    serve(&desk, path, seen, sending, process).await
}

/// Takes a call through its life. It goes on when the client hangs up, as it would at WeChat.
async fn serve(
    desk: &Desk,
    path: &'static str,
    seen: Value,
    sending: Option<Sending>,
    process: impl FnOnce(&mut World, Timestamp, Option<&Fault>) -> Reply + 'static,
) -> HttpResponse {
    let entered = desk.enter(path, seen);
    let desk = desk.clone();
    let life = async move {
        let response = live(&desk, path, &entered, process).await;
        drop(sending);
        response
    };
    // A panic in the rules shows as a broken connection here and as itself in the log.
    rt::spawn(life).await.unwrap_or_else(|_| broken())
}

async fn live(
    desk: &Desk,
    path: &'static str,
    entered: &Entered,
    process: impl FnOnce(&mut World, Timestamp, Option<&Fault>) -> Reply,
) -> HttpResponse {
    let kind = entered.fault.as_ref().map(|fault| fault.kind);
    if kind == Some(FaultKind::Delay) {
        desk.released(path, entered, HOLD_LIMIT).await;
    }
    let plan = Plan::of(entered.fault.as_ref());
    let refusal = entered.fault.as_ref().filter(|_| plan.refuses);
    let reply = (plan.takes_effect || plan.refuses).then(|| {
        let forced = refusal.filter(|_| !plan.takes_effect);
        let nonce = |world: &mut World| world.serial.text32();
        desk.change(|world, now| (process(world, now, forced), nonce(world)))
    });
    if kind == Some(FaultKind::DelayAnswer) {
        desk.hold(path);
        desk.released(path, entered, HOLD_LIMIT).await;
    }
    let (response, outcome) = respond(reply, entered.fault.as_ref());
    desk.leave(path, entered.number, &outcome);
    response
}

/// What a fault lets happen.
struct Plan {
    takes_effect: bool,
    refuses: bool,
}

impl Plan {
    fn of(fault: Option<&Fault>) -> Self {
        let Some(fault) = fault else {
            return Self { takes_effect: true, refuses: false };
        };
        Self {
            refuses: fault.kind == FaultKind::Errcode,
            takes_effect: match fault.kind {
                FaultKind::BadSign
                | FaultKind::DropAfter
                | FaultKind::Delay
                | FaultKind::DelayAnswer => true,
                FaultKind::DropBefore => false,
                FaultKind::Http500 | FaultKind::Garbage | FaultKind::Errcode => fault.effect,
            },
        }
    }
}

/// The bytes of the answer, and what the list of calls says of it.
fn respond(reply: Option<(Reply, String)>, fault: Option<&Fault>) -> (HttpResponse, String) {
    let kind = fault.map(|fault| fault.kind);
    match kind {
        Some(FaultKind::Http500) => {
            let response = HttpResponse::InternalServerError().body("sandbox fault");
            return (response, "fault:http_500".to_owned());
        }
        Some(FaultKind::Garbage) => {
            let response = HttpResponse::Ok().body("<html>502 Bad Gateway");
            return (response, "fault:garbage".to_owned());
        }
        Some(FaultKind::DropBefore | FaultKind::DropAfter) => {
            return (broken(), "fault:drop".to_owned());
        }
        _ => {}
    }
    let Some((mut reply, nonce)) = reply else {
        return (broken(), "fault:drop".to_owned());
    };
    if let Some(Fault { kind: FaultKind::Errcode, code: Some(code), .. }) = fault {
        reply = reply.refused_with(code);
    }
    let outcome = reply.outcome();
    let (content_type, body) = reply.render(nonce, kind == Some(FaultKind::BadSign));
    let response = HttpResponse::Ok().content_type(content_type).body(body);
    (response, outcome)
}

/// A body that fails before its first byte: actix then closes the connection without having sent
/// so much as a status line.
fn broken() -> HttpResponse {
    let nothing = std::io::Error::other("sandbox: the connection breaks here, on command");
    HttpResponse::Ok().streaming(stream::iter([Err::<Bytes, _>(nothing)]))
}
