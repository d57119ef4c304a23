//! One purchase from login to the message on the phone, over real HTTP, each step verified.

use std::time::Instant;

use anyhow::{Context, ensure};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::caller::Caller;
use crate::clock::Clock;
use crate::config::Wxapp;
use crate::domain::money::Money;
use crate::store::Readers;
use crate::store::audit::audit;
use crate::store::seed::Seeded;
use crate::wechat::sign::{self, SignType};
use crate::wechat::xml::Fields;

/// The buyer; the page at `/demo` begins with the same one, and finds this order there.
const BUYER: &str = "xiaoman";
/// The SKU that is bought.
const SKU_CODE: &str = "NOTE-A5";

/// Where the purchase takes place.
pub(super) struct Scene {
    pub url: String,
    pub sandbox_url: String,
    /// As the simulation has it on file.
    pub wxapp: Wxapp,
    pub readers: Readers,
    pub goods: Seeded,
}

/// The purchase, and what is known of it so far.
pub(super) struct Purchase<'a> {
    scene: &'a Scene,
    shop: Caller,
    wechat: Caller,
    goods: i64,
    stock: i64,
    request: Value,
    key: String,
    order: Value,
    payment: Value,
    transaction: String,
}

impl<'a> Purchase<'a> {
    pub fn new(scene: &'a Scene) -> Self {
        let mut shop = Caller::new(format!("{}/api/v1", scene.url));
        shop.set_header("X-WX-APPID", scene.wxapp.appid.as_str());
        let wechat = Caller::new(scene.sandbox_url.as_str());
        let key = format!("demo-{:016x}", rand::random::<u64>());
        let (request, order, payment) = (Value::Null, Value::Null, Value::Null);
        let transaction = String::new();
        Self { scene, shop, wechat, goods: 0, stock: 0, request, key, order, payment, transaction }
    }

    /// Makes it and prints each step; whether every one was verified.
    pub async fn make(mut self) -> bool {
        println!("One purchase, over HTTP, with what was verified:\n");
        macro_rules! steps {
            ($($name:literal $step:ident)+) => {$(
                let started = Instant::now();
                let outcome = self.$step().await;
                if !told($name, started, outcome) { return false }
            )+};
        }
        steps! {
            "log in" log_in
            "look" look
            "quote" quote
            "order" place
            "repeat" repeat
            "prepay" check_signature
            "agree" agree
            "forge" pay_and_forge
            "pay" settle
            "again" notify_again
            "tell" read_message
            "audit" audit
        }
        println!("\nEvery step was verified.");
        true
    }

    async fn log_in(&mut self) -> anyhow::Result<String> {
        let appid = self.appid();
        let login = json!({"appid": appid, "buyer": BUYER});
        let code = self.wechat.post("/sandbox/login", login).await?;
        let code = json!({"code": code["code"]});
        let session = self.shop.post("/session", code.clone()).await?;
        let again = self.shop.try_post("/session", code, None).await?;
        ensure!((400..500).contains(&again.status), "a code was taken twice: {}", again.status);
        self.shop.set_header("Authorization", format!("Bearer {}", text(&session, "token")?));
        Ok("wx.login's code became a session; the same code again was refused".to_owned())
    }

    async fn look(&mut self) -> anyhow::Result<String> {
        let known = self.scene.goods.goods.iter().find(|goods| goods.code == SKU_CODE);
        self.goods = known.context("the sample goods are not there")?.id;
        let goods = self.shop.get(&format!("/goods/{}", self.goods)).await?;
        let sku = &goods["skus"][0];
        self.stock = number(sku, "stock")?;
        ensure!(self.stock > 0, "sold out");
        self.request = json!({"items": [{"sku_id": sku["id"], "quantity": 1}]});
        let price = yuan(number(sku, "price_fen")?);
        Ok(format!("{}, {price}, {} in stock", text(&goods, "name")?, self.stock))
    }

    async fn quote(&mut self) -> anyhow::Result<String> {
        self.request["address_id"] = self.address().await?;
        let quote = self.shop.post("/checkout", self.request.clone()).await?;
        let problems = quote["problems"].as_array().map_or(0, Vec::len);
        ensure!(problems == 0, "something is in the way: {}", quote["problems"]);
        let sum = number(&quote, "goods_fen")? + number(&quote, "freight_fen")?;
        let pay = number(&quote, "pay_fen")?;
        ensure!(pay == sum - number(&quote, "discount_fen")?, "the sum is wrong: {quote}");
        self.request["expect_pay_fen"] = json!(pay);
        Ok(format!("{} with freight {}", yuan(pay), yuan(number(&quote, "freight_fen")?)))
    }

    async fn place(&mut self) -> anyhow::Result<String> {
        let placed = self.shop.try_post("/orders", self.request.clone(), Some(&self.key)).await?;
        ensure!(placed.status == 201, "not placed: {} {}", placed.status, placed.json);
        self.order = placed.json["order"].clone();
        self.payment = placed.json["payment"].clone();
        ensure!(self.order["state"] == "unpaid", "its state is {}", self.order["state"]);
        let left = self.stock_now().await?;
        ensure!(left == self.stock - 1, "stock {} -> {left}", self.stock);
        Ok(format!("{}, unpaid; stock {} -> {left}", text(&self.order, "order_no")?, self.stock))
    }

    async fn repeat(&mut self) -> anyhow::Result<String> {
        let again = self.shop.try_post("/orders", self.request.clone(), Some(&self.key)).await?;
        ensure!(again.status == 200, "answered {} {}", again.status, again.json);
        ensure!(again.json["order"]["id"] == self.order["id"], "it made another order");
        let left = self.stock_now().await?;
        ensure!(left == self.stock - 1, "stock is {left}");
        self.payment = again.json["payment"].clone();
        Ok(format!("the same request with its key: the same order, stock still {left}"))
    }

    /// WeChat checks the same when the sheet is paid; here the shop's own word is checked first.
    async fn check_signature(&mut self) -> anyhow::Result<String> {
        ensure!(self.payment.is_object(), "there are no payment parameters");
        let signed_by = text(&self.payment, "signType")?;
        let sign_type = SignType::parse(signed_by).context("an unknown signType")?;
        let mut fields = Fields::new();
        fields.insert("appId", self.appid());
        for name in ["timeStamp", "nonceStr", "package", "signType"] {
            fields.insert(name, text(&self.payment, name)?);
        }
        let expected = sign::sign(&fields, self.api_key(), sign_type);
        ensure!(text(&self.payment, "paySign")? == expected, "paySign is wrong");
        Ok(format!("paySign ({signed_by}) verified with the merchant's key"))
    }

    async fn agree(&mut self) -> anyhow::Result<String> {
        let templates = self.shop.get("/message-templates").await?;
        let all = templates["items"].as_array().cloned().unwrap_or_default();
        let ids: Vec<_> = all.iter().map(|item| item["template_id"].clone()).take(3).collect();
        let asked = json!({"appid": self.appid(), "buyer": BUYER, "template_ids": ids});
        let accepted = self.wechat.post("/sandbox/subscribe", asked).await?;
        let accepted = accepted["accepted"].clone();
        let count = accepted.as_array().map_or(0, Vec::len);
        ensure!(count > 0, "the buyer agreed to no message");
        self.shop.post("/message-grants", json!({"template_ids": accepted})).await?;
        Ok(format!("the buyer agreed to {count} messages"))
    }

    /// Pays while WeChat stays silent, so that the shop hears of it first from a forger.
    async fn pay_and_forge(&mut self) -> anyhow::Result<String> {
        self.wechat.post("/sandbox/settings", json!({"notify": "manual"})).await?;
        let mut sheet = self.payment.clone();
        sheet["appid"] = json!(self.appid());
        let paid = self.wechat.post("/sandbox/pay", sheet).await?;
        self.wechat.post("/sandbox/settings", json!({"notify": "auto"})).await?;
        ensure!(paid["result"] == "ok", "WeChat refused the sheet: {}", paid["reason"]);
        self.transaction = text(&paid, "transaction_id")?.to_owned();
        let answer = self.notify(json!({"bad_sign": true})).await?;
        ensure!(answer.contains("FAIL"), "a forged notification was answered {answer}");
        let order = self.order_now().await?;
        ensure!(order["state"] == "unpaid", "a forged notification made it {}", order["state"]);
        Ok("paid at WeChat; a notification with a bad signature: refused, still unpaid".to_owned())
    }

    async fn settle(&mut self) -> anyhow::Result<String> {
        let answer = self.notify(json!({})).await?;
        ensure!(answer.contains("SUCCESS"), "the notification was answered {answer}");
        let order = self.order_now().await?;
        ensure!(order["state"] == "paid", "its state is {}", order["state"]);
        ensure!(order["transaction_id"] == self.transaction, "another transaction");
        let pay = yuan(number(&order, "pay_fen")?);
        self.order = order;
        Ok(format!("WeChat's signed notification: {pay} verified, paid, {}", self.transaction))
    }

    async fn notify_again(&mut self) -> anyhow::Result<String> {
        let answer = self.notify(json!({})).await?;
        ensure!(answer.contains("SUCCESS"), "it was answered {answer}");
        ensure!(self.order_now().await? == self.order, "it changed the order");
        Ok("the same notification once more: acknowledged, nothing changed".to_owned())
    }

    async fn read_message(&mut self) -> anyhow::Result<String> {
        let query = format!("appid={}&buyer={BUYER}&at_least=1", self.appid());
        let messages = self.wechat.get(&format!("/sandbox/messages?{query}")).await?;
        let message = &messages[0];
        let lines = message["lines"].as_array().context("the message has no lines")?;
        let says = |value: &str| lines.iter().any(|line| line["value"] == value);
        ensure!(says(text(&self.order, "order_no")?), "it names another order: {message}");
        ensure!(says(text(&self.order["lines"][0], "goods_name")?), "other goods: {message}");
        let mut words = format!("on the buyer's phone:\n{:13}{}", "", text(message, "title")?);
        for line in lines {
            let (label, value) = (text(line, "label")?, text(line, "value")?);
            words.push_str(&format!("\n{:15}{label}: {value}", ""));
        }
        Ok(words)
    }

    async fn audit(&mut self) -> anyhow::Result<String> {
        let report = audit(&self.scene.readers, Clock::system().now()).await?;
        if let Some(breach) = report.breaches.first() {
            anyhow::bail!("{breach}");
        }
        Ok(format!("{} orders, {} SKUs: stock, orders and money agree", report.orders, report.skus))
    }

    /// Sends a notification of the payment to the shop; what the shop answered.
    async fn notify(&self, forge: Value) -> anyhow::Result<String> {
        let number = text(&self.order, "order_no")?;
        let command = json!({"out_trade_no": number, "forge": forge});
        let sent = self.wechat.post("/sandbox/notify", command).await?;
        Ok(text(&sent["answers"][0], "body")?.to_owned())
    }

    async fn order_now(&self) -> anyhow::Result<Value> {
        self.shop.get(&format!("/orders/{}", self.order["id"])).await
    }

    async fn stock_now(&self) -> anyhow::Result<i64> {
        let goods = self.shop.get(&format!("/goods/{}", self.goods)).await?;
        number(&goods["skus"][0], "stock")
    }

    /// The buyer's first address, made when there is none.
    async fn address(&self) -> anyhow::Result<Value> {
        let book = self.shop.get("/addresses").await?;
        if let Some(known) = book["items"].get(0) {
            return Ok(known["id"].clone());
        }
        let address = json!({
            "name": "林小满", "phone": "13800138000", "province": "广东省", "city": "广州市",
            "district": "海珠区", "detail": "新港中路 397 号 6 楼",
        });
        Ok(self.shop.post("/addresses", address).await?["id"].clone())
    }

    fn appid(&self) -> &str {
        &self.scene.wxapp.appid
    }
    fn api_key(&self) -> &SecretString {
        &self.scene.wxapp.api_key
    }
}

/// Prints a step; whether it was verified.
fn told(name: &str, started: Instant, outcome: anyhow::Result<String>) -> bool {
    let took = format!("{} ms", started.elapsed().as_millis());
    match &outcome {
        Ok(words) => println!("  ok   {name:<8}{words}  ({took})"),
        Err(error) => println!("  FAIL {name:<8}{error:#}  ({took})"),
    }
    outcome.is_ok()
}

fn text<'v>(value: &'v Value, name: &str) -> anyhow::Result<&'v str> {
    value[name].as_str().with_context(|| format!("{name} is missing in {value}"))
}

fn number(value: &Value, name: &str) -> anyhow::Result<i64> {
    value[name].as_i64().with_context(|| format!("{name} is missing in {value}"))
}

fn yuan(fen: i64) -> String {
    format!("{} yuan", Money::from_fen(fen))
}
