//! A buyer with a phone.

use std::time::Duration;

use awc::http::Method;
use buynow::sandbox::{PayAction, PayOutcome, PaySheet, SandboxHandle};
use serde_json::{Value, json};

use super::TestApp;
use super::process::Process;

/// The header by which a mini-program says which it is.
const APPID: &str = "X-WX-APPID";

/// What the shop answered.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    pub text: String,
    pub retry_after: bool,
    /// As sent, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Reply {
    /// The code of a refusal.
    #[track_caller]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_else(|| panic!("no refusal: {self:?}"))
    }
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        self
    }
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
    pub fn order_id(&self) -> i64 {
        self.body["order"]["id"].as_i64().unwrap()
    }
    pub fn order_no(&self) -> String {
        self.body["order"]["order_no"].as_str().unwrap().to_owned()
    }
    pub fn payment(&self) -> &Value {
        &self.body["payment"]
    }
}

/// A buyer with a phone.
#[derive(Clone)]
pub struct Shopper {
    /// The mini-program that he shops in.
    pub appid: String,
    pub name: String,
    pub token: String,
    pub address: i64,
    url: String,
    sandbox: SandboxHandle,
}

impl Shopper {
    pub(super) async fn arrive(
        url: &str,
        sandbox: &SandboxHandle,
        appid: &str,
        name: &str,
    ) -> Self {
        let code = sandbox.login(Some(appid), name).unwrap().code;
        let body = Some(json!({ "code": code }).to_string().into());
        let tenant = [(APPID, appid)];
        let session = call(url, Method::POST, "/api/v1/session", None, &tenant, body).await;
        let session = session.expect(200);
        let token = session.body["token"].as_str().unwrap().to_owned();
        let mut shopper = Self {
            appid: appid.to_owned(),
            name: name.to_owned(),
            token,
            address: 0,
            url: url.to_owned(),
            sandbox: sandbox.clone(),
        };
        let address = json!({
            "name": "小明", "phone": "13800138000", "province": "广东省", "city": "深圳市",
            "district": "南山区", "detail": "科技园 1 号",
        });
        let address = shopper.post("/api/v1/addresses", address).await.expect(201);
        shopper.address = address.body["id"].as_i64().unwrap();
        shopper
    }

    /// The same buyer, with the same session, at another server.
    pub fn at(&self, app: &TestApp) -> Self {
        Self { url: app.url.clone(), sandbox: app.sandbox.clone(), ..self.clone() }
    }

    /// The same buyer, with the same session, at another process.
    pub fn at_process(&self, process: &Process) -> Self {
        Self { url: process.url.clone(), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, &[], None).await
    }
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(Method::POST, path, &[], Some(body.to_string().into())).await
    }
    /// Any call at all, with his token.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Reply {
        let headers = [&[(APPID, self.appid.as_str())], headers].concat();
        call(&self.url, method, path, Some(&self.token), &headers, body).await
    }

    /// Agrees to every message once, on the phone, and reports it.
    pub async fn agree_to_messages(&self) {
        let templates = self.get("/api/v1/message-templates").await.expect(200);
        let items = templates.body["items"].as_array().unwrap().clone();
        let ids: Vec<String> =
            items.iter().map(|item| item["template_id"].as_str().unwrap().to_owned()).collect();
        let accepted = self.sandbox.subscribe(Some(&self.appid), &self.name, &ids).unwrap();
        let body = json!({ "template_ids": accepted });
        self.post("/api/v1/message-grants", body).await.expect(204);
    }

    /// Buys pieces of one SKU.
    pub async fn buys(&self, sku: i64, quantity: i64) -> Reply {
        self.orders(&[(sku, quantity)]).await
    }

    /// Orders several SKUs at once under a new key.
    pub async fn orders(&self, items: &[(i64, i64)]) -> Reply {
        let key = format!("key-{}", rand::random::<u64>());
        self.orders_with(&key, self.order_body(items)).await
    }

    pub fn order_body(&self, items: &[(i64, i64)]) -> Value {
        let item = |(sku, quantity): &(i64, i64)| json!({ "sku_id": sku, "quantity": quantity });
        let items: Vec<Value> = items.iter().map(item).collect();
        json!({ "items": items, "address_id": self.address })
    }

    pub async fn orders_with(&self, key: &str, body: Value) -> Reply {
        let headers = [("Idempotency-Key", key)];
        let body = Some(body.to_string().into());
        self.call(Method::POST, "/api/v1/orders", &headers, body).await
    }

    /// As [`Self::orders_with`], from a shop that may die before it answers.
    pub async fn tries_to_order(&self, key: &str, body: Value) -> Result<Reply, String> {
        let headers = [("Idempotency-Key", key)];
        self.tries(Method::POST, "/api/v1/orders", &headers, body).await
    }

    /// A call to a shop that may die before it answers.
    pub async fn tries(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Result<Reply, String> {
        let body = Some(body.to_string().into());
        try_call(&self.url, method, path, Some(&self.token), headers, body).await
    }

    pub async fn order(&self, id: i64) -> Value {
        self.get(&format!("/api/v1/orders/{id}")).await.expect(200).body
    }
    pub async fn cancels(&self, id: i64) -> Reply {
        self.post(&format!("/api/v1/orders/{id}/cancel"), json!({})).await
    }
    pub async fn asks_to_pay(&self, id: i64) -> Reply {
        self.post(&format!("/api/v1/orders/{id}/payment"), json!({})).await
    }

    /// What the phone does with payment parameters; it has notified the shop when this returns.
    pub async fn pays(&self, payment: &Value) -> PayOutcome {
        self.acts(payment, PayAction::Pay).await
    }

    pub async fn acts(&self, payment: &Value, action: PayAction) -> PayOutcome {
        let outcome = self.sandbox.pay(&sheet(&self.appid, payment, action));
        self.sandbox.run_due().await.unwrap();
        outcome
    }

    /// Pays and does not wait until WeChat has told the shop.
    pub fn pays_unheard(&self, payment: &Value) -> PayOutcome {
        self.acts_unheard(payment, PayAction::Pay)
    }

    /// As [`Self::pays_unheard`], in any other way.
    pub fn acts_unheard(&self, payment: &Value, action: PayAction) -> PayOutcome {
        self.sandbox.pay(&sheet(&self.appid, payment, action))
    }
}

fn sheet(appid: &str, payment: &Value, action: PayAction) -> PaySheet {
    let text = |name: &str| payment[name].as_str().unwrap_or_default().to_owned();
    PaySheet {
        appid: appid.to_owned(),
        time_stamp: text("timeStamp"),
        nonce_str: text("nonceStr"),
        package: text("package"),
        sign_type: text("signType"),
        pay_sign: text("paySign"),
        action,
        coupon_fen: 0,
        wait: true,
    }
}

pub(super) async fn call(
    url: &str,
    method: Method,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
) -> Reply {
    let answered = try_call(url, method, path, token, headers, body).await;
    answered.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A call, or why there is no answer to it.
pub(super) async fn try_call(
    url: &str,
    method: Method,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
) -> Result<Reply, String> {
    thread_local! {
        /// No limit of connections: a crowd really comes at once. None is kept for as long as the
        /// server keeps it, or it would be closed under a request.
        static CLIENT: awc::Client = awc::Client::builder().disable_redirects()
            .timeout(Duration::from_secs(30))
            .connector(
                awc::Connector::new()
                    .limit(0)
                    .timeout(Duration::from_secs(20))
                    .conn_keep_alive(Duration::from_secs(1)),
            )
            .finish();
    }
    let mut request = CLIENT.with(|client| client.request(method, format!("{url}{path}")));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    for header in headers {
        request = request.insert_header(*header);
    }
    let sent = match body {
        None => request.send().await,
        Some(body) => {
            let json = ("content-type", "application/json");
            request.insert_header_if_none(json).send_body(body).await
        }
    };
    let mut response = sent.map_err(|error| format!("{error:?}"))?;
    let bytes = response.body().limit(16 << 20).await.map_err(|error| error.to_string())?;
    let text =
        |value: &awc::http::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> =
        response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Ok(Reply {
        status: response.status().as_u16(),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        text: String::from_utf8_lossy(&bytes).into_owned(),
        retry_after: headers.iter().any(|(name, _)| name == "retry-after"),
        headers,
    })
}
