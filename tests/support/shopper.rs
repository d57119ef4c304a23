//! A buyer with a phone.

use std::time::Duration;

use awc::http::Method;
use buynow::config::SANDBOX_APPID;
use buynow::sandbox::{PayAction, PayOutcome, PaySheet, SandboxHandle};
use serde_json::{Value, json};

/// What the shop answered.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    pub text: String,
    pub retry_after: bool,
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
    pub name: String,
    pub token: String,
    pub address: i64,
    url: String,
    sandbox: SandboxHandle,
}

impl Shopper {
    pub(super) async fn arrive(url: &str, sandbox: &SandboxHandle, name: &str) -> Self {
        let code = sandbox.login(None, name).unwrap().code;
        let body = Some(json!({ "code": code }).to_string().into());
        let session = call(url, Method::POST, "/api/v1/session", None, &[], body).await.expect(200);
        let token = session.body["token"].as_str().unwrap().to_owned();
        let mut shopper = Self {
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

    pub async fn get(&self, path: &str) -> Reply {
        call(&self.url, Method::GET, path, Some(&self.token), &[], None).await
    }
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        let body = Some(body.to_string().into());
        call(&self.url, Method::POST, path, Some(&self.token), &[], body).await
    }

    /// Agrees to every message once, on the phone, and reports it.
    pub async fn agree_to_messages(&self) {
        let templates = self.get("/api/v1/message-templates").await.expect(200);
        let items = templates.body["items"].as_array().unwrap().clone();
        let ids: Vec<String> =
            items.iter().map(|item| item["template_id"].as_str().unwrap().to_owned()).collect();
        let accepted = self.sandbox.subscribe(None, &self.name, &ids).unwrap();
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
        call(&self.url, Method::POST, "/api/v1/orders", Some(&self.token), &headers, body).await
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
        let outcome = self.sandbox.pay(&sheet(payment, action));
        self.sandbox.run_due().await.unwrap();
        outcome
    }

    /// Pays and does not wait until WeChat has told the shop.
    pub fn pays_unheard(&self, payment: &Value) -> PayOutcome {
        self.sandbox.pay(&sheet(payment, PayAction::Pay))
    }
}

fn sheet(payment: &Value, action: PayAction) -> PaySheet {
    let text = |name: &str| payment[name].as_str().unwrap_or_default().to_owned();
    PaySheet {
        appid: SANDBOX_APPID.to_owned(),
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
        static CLIENT: awc::Client = awc::Client::builder().timeout(Duration::from_secs(30)).finish();
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
        Some(body) => request.content_type("application/json").send_body(body).await,
    };
    let mut response = sent.map_err(|error| error.to_string())?;
    let bytes = response.body().limit(16 << 20).await.map_err(|error| error.to_string())?;
    Ok(Reply {
        status: response.status().as_u16(),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        text: String::from_utf8_lossy(&bytes).into_owned(),
        retry_after: response.headers().contains_key("retry-after"),
    })
}
