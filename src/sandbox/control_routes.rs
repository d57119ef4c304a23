//! The control API over HTTP, `/sandbox/*`: for the demo page and for tests of whole processes.
//!
//! JSON in and out, open to pages from loopback origins. Errors: `{"code","message"}`.

use std::net::IpAddr;

use actix_cors::Cors;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Json, JsonConfig, Path, Query, QueryConfig, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError, web};
use serde::Deserialize;
use serde_json::json;

use super::SandboxTemplate;
use super::control::{Control, ControlError, Notify, TokenAction};
use super::fault::Fault;
use super::refund::RefundStatus;
use super::settings::{Mode, SettingsChange};
use super::sheet::{PayAction, PayByNumber, PaySheet};
use super::stream;

pub(super) fn routes(config: &mut ServiceConfig) {
    let scope = web::scope("/sandbox")
        .wrap(cors())
        .app_data(json_config())
        .app_data(query_config())
        .route("/login", web::post().to(login))
        .route("/pay", web::post().to(pay))
        .route("/pay-by-number", web::post().to(pay_by_number))
        .route("/notify", web::post().to(notify))
        .route("/tick", web::post().to(tick))
        .route("/subscribe", web::post().to(subscribe))
        .route("/messages", web::get().to(messages))
        .route("/messages/stream", web::get().to(stream::messages))
        .route("/templates", web::post().to(register_template))
        .route("/fault", web::post().to(fault))
        .route("/fault", web::delete().to(clear_faults))
        .route("/release", web::post().to(release))
        .route("/calls", web::get().to(calls))
        .route("/trades/{out_trade_no}", web::get().to(trade))
        .route("/refunds/{out_refund_no}", web::get().to(refund))
        .route("/refunds/{out_refund_no}", web::post().to(set_refund))
        .route("/settings", web::get().to(settings))
        .route("/settings", web::post().to(change_settings))
        .route("/token", web::post().to(token));
    config.service(scope);
}

fn cors() -> Cors {
    Cors::default()
        .allowed_origin_fn(|origin, request| {
            let host = request.headers().get(header::HOST);
            may_control(origin.as_bytes(), host.map_or(b"", HeaderValue::as_bytes))
        })
        .allow_any_method()
        .allow_any_header()
        .max_age(600)
}

/// A page from loopback may, and one from the same address as this server. Names other than
/// `localhost` may not: a name can be made to point anywhere.
fn may_control(origin: &[u8], host: &[u8]) -> bool {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let origin = text(origin);
    let of_origin = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
    let Some(name) = of_origin.map(without_port) else {
        return false;
    };
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    match address {
        Ok(address) => address.is_loopback() || name == without_port(text(host)),
        Err(_) => name == "localhost",
    }
}

/// `[::1]:3000` without its port.
fn without_port(host: &str) -> &str {
    let port_at = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    port_at.map_or(host, |at| &host[..at])
}

/// JSON by its content type only: a foreign page cannot send that without asking first.
fn json_config() -> JsonConfig {
    JsonConfig::default()
        .limit(64 * 1024)
        .error_handler(|error, _| ControlError::Invalid(error.to_string()).into())
}

fn query_config() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| ControlError::Invalid(error.to_string()).into())
}

impl ResponseError for ControlError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::UnknownApp | Self::UnknownTrade | Self::UnknownPayment | Self::UnknownRefund => {
                StatusCode::NOT_FOUND
            }
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let code = match self {
            Self::UnknownApp => "unknown_app",
            Self::UnknownTrade => "unknown_trade",
            Self::UnknownPayment => "unknown_payment",
            Self::UnknownRefund => "unknown_refund",
            Self::Invalid(_) => "invalid",
            Self::Conflict(_) => "conflict",
            Self::TimedOut(_) => "timed_out",
            Self::Stopped => "stopped",
        };
        HttpResponseBuilder::new(self.status_code())
            .json(json!({"code": code, "message": self.to_string()}))
    }
}

type Answer = Result<HttpResponse, ControlError>;

fn ok(value: impl serde::Serialize) -> Answer {
    Ok(HttpResponse::Ok().json(value))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    appid: Option<String>,
    buyer: String,
}

async fn login(control: Data<Control>, body: Json<Login>) -> Answer {
    ok(control.login(body.appid.as_deref(), &body.buyer)?)
}

async fn pay(control: Data<Control>, sheet: Json<PaySheet>) -> Answer {
    let outcome = control.pay(&sheet);
    let mut notified = Vec::new();
    let by_itself = control.settings(SettingsChange::default()).notify == Mode::Auto;
    if sheet.wait && by_itself && sheet.action != PayAction::Late {
        let number = outcome.out_trade_no.as_deref().unwrap_or_default();
        for transaction_id in &outcome.transaction_ids {
            notified.push(control.told(number, transaction_id).await?);
        }
    }
    let mut answer = serde_json::to_value(outcome).unwrap_or_default();
    answer["notified"] = json!(notified);
    ok(answer)
}

async fn pay_by_number(control: Data<Control>, command: Json<PayByNumber>) -> Answer {
    let transaction_id = control.pay_by_number(&command)?;
    ok(json!({"transaction_id": transaction_id}))
}

async fn notify(control: Data<Control>, command: Json<Notify>) -> Answer {
    let answers = control.notify(&command).await?;
    ok(json!({"answers": answers}))
}

async fn tick(control: Data<Control>) -> Answer {
    ok(json!({"delivered": control.run_due().await?}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    appid: Option<String>,
    buyer: String,
    template_ids: Vec<String>,
}

async fn subscribe(control: Data<Control>, body: Json<Subscribe>) -> Answer {
    let accepted = control.subscribe(body.appid.as_deref(), &body.buyer, &body.template_ids)?;
    ok(json!({"accepted": accepted}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessagesQuery {
    appid: Option<String>,
    buyer: Option<String>,
    /// Answer only when there are this many.
    at_least: Option<usize>,
}

async fn messages(control: Data<Control>, query: Query<MessagesQuery>) -> Answer {
    let (appid, buyer) = (query.appid.as_deref(), query.buyer.as_deref());
    let messages = match query.at_least {
        Some(n) => control.wait_for_messages_of(appid, buyer, n).await?,
        None => control.messages(appid, buyer),
    };
    ok(messages)
}

/// A template as the control API writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    appid: String,
    template_id: String,
    title: String,
    fields: Vec<TemplateField>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateField {
    key: String,
    label: String,
}

async fn register_template(control: Data<Control>, body: Json<Template>) -> Answer {
    let body = body.into_inner();
    let fields = body.fields.into_iter();
    let template = SandboxTemplate {
        template_id: body.template_id,
        title: body.title,
        fields: fields.map(|field| (field.key, field.label)).collect(),
    };
    control.register_template(&body.appid, template)?;
    ok(json!({}))
}

async fn fault(control: Data<Control>, fault: Json<Fault>) -> Answer {
    control.fault(fault.into_inner())?;
    ok(json!({}))
}

async fn clear_faults(control: Data<Control>) -> Answer {
    control.clear_faults();
    ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    path: String,
}

async fn release(control: Data<Control>, body: Json<Release>) -> Answer {
    ok(json!({"released": control.release(&body.path)}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsQuery {
    path: Option<String>,
    /// Answer only when this many have come in.
    at_least: Option<u64>,
    /// Answer only when this many are over.
    done: Option<u64>,
    /// Answer only when this many are held.
    held: Option<u64>,
}

async fn calls(control: Data<Control>, query: Query<CallsQuery>) -> Answer {
    let Some(path) = &query.path else {
        return ok(json!({"paths": control.0.look(|world| world.calls.all())}));
    };
    if let Some(n) = query.at_least {
        control.wait_for_calls(path, n).await?;
    }
    if let Some(n) = query.done {
        control.wait_for_calls_done(path, n).await?;
    }
    if let Some(n) = query.held {
        control.wait_for_held(path, n).await?;
    }
    let mut calls = serde_json::to_value(control.calls(path)).unwrap_or_default();
    calls["path"] = json!(path);
    calls["held"] = json!(control.0.look(|world| world.held(path)));
    ok(calls)
}

async fn trade(control: Data<Control>, number: Path<String>) -> Answer {
    ok(control.trade(&number)?)
}

async fn refund(control: Data<Control>, number: Path<String>) -> Answer {
    ok(control.refund(&number)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetRefund {
    status: RefundStatus,
}

async fn set_refund(control: Data<Control>, number: Path<String>, body: Json<SetRefund>) -> Answer {
    ok(control.set_refund(&number, body.status)?)
}

async fn settings(control: Data<Control>) -> Answer {
    ok(control.settings(SettingsChange::default()))
}

async fn change_settings(control: Data<Control>, change: Json<SettingsChange>) -> Answer {
    ok(control.settings(change.into_inner()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    appid: Option<String>,
    action: TokenAction,
}

async fn token(control: Data<Control>, body: Json<Token>) -> Answer {
    control.token(body.appid.as_deref(), body.action)?;
    ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_or_address_are_let_in() {
        for (origin, host, expected) in [
            ("http://localhost:8080", "127.0.0.1:9", true),
            ("http://127.0.0.1", "127.0.0.1:9", true),
            ("http://[::1]:3000", "localhost:9", true),
            ("https://localhost", "localhost", true),
            ("http://192.168.1.5:8080", "192.168.1.5:9", true),
            ("http://192.168.1.5:8080", "192.168.1.6:9", false),
            ("http://evil.example:80", "evil.example:9", false),
            ("http://localhost.evil.example", "localhost", false),
            ("http://127.0.0.1.evil.example:80", "127.0.0.1", false),
            ("null", "", false),
        ] {
            assert_eq!(may_control(origin.as_bytes(), host.as_bytes()), expected, "{origin}");
        }
    }
}
