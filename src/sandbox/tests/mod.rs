//! The simulation as its users meet it: a real server, spoken to over HTTP by awc, and a shop of
//! three lines that it notifies.
#![allow(clippy::unwrap_used)]

mod control;
mod faults;
mod messages;
mod payments;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, rt, web};
use futures_util::{StreamExt, future};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::notice::ACKNOWLEDGED;
use super::terms::tests::APPID;
use super::trade::tests::NOON;
use super::*;
use crate::wechat::sign::{self, SignType};
use crate::wechat::xml::{self, Fields};

const MCH_ID: &str = "1900012345";
const NUMBER: &str = "20261125000001";

fn api_key() -> SecretString {
    SecretString::from("8934e7d15453e97507ef794cf7b0519d")
}

/// Records what it is told and answers what it is set to.
#[derive(Clone, Default)]
struct Shop {
    told: Arc<Mutex<Vec<String>>>,
    refusals: Arc<Mutex<usize>>,
}

async fn receive(shop: Data<Shop>, body: Bytes) -> HttpResponse {
    let body = String::from_utf8(body.to_vec()).unwrap();
    shop.told.lock().unwrap().push(body);
    let mut refusals = shop.refusals.lock().unwrap();
    if *refusals > 0 {
        *refusals -= 1;
        return HttpResponse::Ok().body("<xml><return_code><![CDATA[FAIL]]></return_code></xml>");
    }
    HttpResponse::Ok().body(ACKNOWLEDGED)
}

impl Shop {
    fn open(&self) -> String {
        let shop = Data::new(self.clone());
        let server = HttpServer::new(move || {
            let notify = web::post().to(receive);
            App::new().app_data(shop.clone()).route("/notify", notify)
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let address = server.addrs()[0];
        rt::spawn(server.run());
        format!("http://{address}/notify")
    }

    fn told(&self) -> Vec<Fields> {
        let told = self.told.lock().unwrap();
        told.iter().map(|body| xml::parse(body.as_bytes()).unwrap()).collect()
    }

    fn refuse(&self, times: usize) {
        *self.refusals.lock().unwrap() = times;
    }
}

/// A running simulation, a shop, and a client.
struct Town {
    sandbox: SandboxHandle,
    clock: Clock,
    shop: Shop,
    notify_url: String,
    client: awc::Client,
}

impl Town {
    fn new() -> Self {
        Self::on(Clock::manual(NOON))
    }

    fn on(clock: Clock) -> Self {
        let template = SandboxTemplate {
            template_id: "paid".to_owned(),
            title: "支付成功通知".to_owned(),
            fields: vec![("thing1".to_owned(), "商品".to_owned())],
        };
        let app = SandboxApp {
            appid: APPID.to_owned(),
            secret: SecretString::from("app-secret"),
            mch_id: MCH_ID.to_owned(),
            api_key: api_key(),
            templates: vec![template],
        };
        let config = SandboxConfig {
            bind: ([127, 0, 0, 1], 0).into(),
            clock: clock.clone(),
            apps: vec![app],
        };
        let shop = Shop::default();
        Self {
            sandbox: Sandbox::start(config).unwrap(),
            clock,
            notify_url: shop.open(),
            shop,
            client: awc::Client::default(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.url())
    }

    /// Sends signed fields; the parsed answer, or why there is none.
    async fn try_pay_call(&self, path: &str, mut fields: Fields) -> Result<Fields, String> {
        fields.insert(sign::SIGN, sign::sign(&fields, &api_key(), SignType::Md5));
        let request = self.client.post(self.url(path));
        let sent = request.send_body(xml::write(&fields)).await;
        let mut response = sent.map_err(|error| error.to_string())?;
        let body = response.body().await.map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(response.status().to_string());
        }
        xml::parse(&body).map_err(|error| error.to_string())
    }

    async fn pay_call(&self, path: &str, changes: &[(&str, &str)]) -> Fields {
        let base = [("appid", APPID), ("mch_id", MCH_ID), ("nonce_str", "n")];
        let fields = base.into_iter().chain(changes.iter().copied());
        self.try_pay_call(path, Fields::from_iter(fields)).await.unwrap()
    }

    fn order(&self) -> Fields {
        let openid = openid(APPID, "alice");
        super::terms::tests::fields_with(&[
            ("openid", Some(&openid)),
            ("notify_url", Some(&self.notify_url)),
            ("attach", Some("attempt-1")),
        ])
    }

    async fn try_place(&self) -> Result<Fields, String> {
        self.try_pay_call("/pay/unifiedorder", self.order()).await
    }

    async fn place(&self) -> String {
        let answer = self.try_place().await.unwrap();
        assert_eq!(sign::verify(&answer, &api_key(), SignType::Md5), Ok(()));
        answer.get("prepay_id").unwrap().to_owned()
    }

    fn sheet(&self, prepay_id: &str) -> Value {
        let mut fields = Fields::from_iter([
            ("appId", APPID.to_owned()),
            ("nonceStr", "n".to_owned()),
            ("package", format!("prepay_id={prepay_id}")),
            ("signType", "MD5".to_owned()),
            ("timeStamp", "1795500000".to_owned()),
        ]);
        let signature = sign::sign(&fields, &api_key(), SignType::Md5);
        fields.insert("paySign", signature);
        fields.remove("appId");
        serde_json::to_value(fields.iter().collect::<std::collections::BTreeMap<_, _>>()).unwrap()
    }

    /// Pays and waits until the shop has been told once.
    async fn pay(&self, action: PayAction) -> PayOutcome {
        let prepay_id = self.place().await;
        let sheet = PaySheet::new(APPID, &self.sheet(&prepay_id), action).unwrap();
        let outcome = self.sandbox.pay(&sheet);
        if action != PayAction::Late {
            for transaction_id in &outcome.transaction_ids {
                self.sandbox.told(NUMBER, transaction_id).await.unwrap();
            }
        }
        outcome
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.post(self.url(path));
        let mut response = request.send_json(&body).await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let mut response = self.client.get(self.url(path)).send().await.unwrap();
        response.json().await.unwrap()
    }

    async fn token(&self) -> String {
        let body = json!({"grant_type": "client_credential", "appid": APPID,
            "secret": "app-secret"});
        let (_, answer) = self.post("/cgi-bin/stable_token", body).await;
        answer["access_token"].as_str().unwrap().to_owned()
    }

    fn state(&self) -> String {
        self.sandbox.trade(NUMBER).unwrap().state
    }
}

fn message() -> Value {
    json!({"touser": openid(APPID, "alice"), "template_id": "paid", "page": "pages/order",
        "data": {"thing1": {"value": "茶"}}})
}
