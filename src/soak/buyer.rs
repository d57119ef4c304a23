//! A buyer, who does what his plan says and compares what he hears with what he has heard before.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use awc::http::Method;
use serde_json::{Value, json};

use super::model::{Answer, Breach, Wanted};
use super::plan::{BuyerStep, Pick};
use super::{SoakError, World};
use crate::config::SANDBOX_APPID;
use crate::sandbox::{PayAction, PaySheet};

/// How often an order is asked for until the buyer gives up for now; it is asked for again when
/// everything is quiet.
const TRIES_MAX: usize = 40;
/// Between two tries of one order.
const PAUSE: Duration = Duration::from_millis(25);
/// How long a buyer's phone waits until WeChat has told the shop.
const TOLD: Duration = Duration::from_secs(10);

pub(super) struct Buyer {
    index: usize,
    pub name: String,
    chapter: u64,
    bearer: String,
    address: i64,
    orders: Cell<u64>,
    /// His keys, oldest first.
    keys: RefCell<Vec<String>>,
    world: Rc<World>,
}

type Step<T = ()> = Result<T, Breach>;

impl Buyer {
    /// Logs in and writes an address down, while nothing goes wrong yet.
    pub async fn arrive(world: Rc<World>, chapter: u64, index: usize) -> Result<Self, SoakError> {
        let name = format!("c{chapter}-buyer-{index}");
        let code = world.shop.sandbox.login(Some(SANDBOX_APPID), &name)?.code;
        let mut buyer = Self {
            index,
            name,
            chapter,
            bearer: String::new(),
            address: 0,
            orders: Cell::new(0),
            keys: RefCell::default(),
            world,
        };
        let session = buyer.must("/session", json!({ "code": code })).await?;
        buyer.bearer = format!("Bearer {}", session["token"].as_str().unwrap_or_default());
        let address = json!({
            "name": "小明", "phone": "13800138000", "province": "广东省", "city": "深圳市",
            "district": "南山区", "detail": "科技园 1 号",
        });
        let address = buyer.must("/addresses", address).await?;
        buyer.address = address["id"].as_i64().unwrap_or_default();
        Ok(buyer)
    }

    async fn must(&self, path: &str, body: Value) -> Result<Value, SoakError> {
        match self.post(path, None, &body).await {
            Ok((200..=299, answer)) => Ok(answer),
            answered => Err(SoakError::Arrival(format!("{path}: {answered:?}"))),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, Value), String> {
        let path = format!("/api/v1{path}");
        let mut headers = vec![("X-WX-APPID", SANDBOX_APPID)];
        if !self.bearer.is_empty() {
            headers.push(("Authorization", &self.bearer));
        }
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        self.world.shop.call(method, &path, &headers, body).await
    }

    async fn post(
        &self,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Result<(u16, Value), String> {
        self.call(Method::POST, path, key, Some(body)).await
    }

    pub async fn get(&self, path: &str) -> Result<(u16, Value), String> {
        self.call(Method::GET, path, None, None).await
    }

    /// Does one step of his plan.
    pub async fn step(&self, step: BuyerStep) -> Step {
        match step {
            BuyerStep::Order { lines, twin } => self.order(lines, twin).await,
            BuyerStep::Repeat(pick) => self.repeat(pick).await,
            BuyerStep::Conflict(pick) => self.conflict(pick).await,
            BuyerStep::Pay { pick, action, heard } => self.pay(pick, action, heard).await,
            BuyerStep::Cancel(pick) => self.cancel(pick).await,
            BuyerStep::Look(pick) => self.look(pick).await,
            BuyerStep::List => self.list().await,
            BuyerStep::AgreeToMessages => self.agree().await,
            BuyerStep::Quote { sku, quantity } => self.quote(sku, quantity).await,
        }
    }

    fn body(&self, lines: &[(usize, i64)]) -> Value {
        let item = |(sku, quantity): &(usize, i64)| {
            let id = self.world.skus[*sku].id;
            json!({ "sku_id": id, "quantity": quantity })
        };
        let items: Vec<Value> = lines.iter().map(item).collect();
        json!({ "items": items, "address_id": self.address })
    }

    async fn order(&self, lines: Vec<(usize, i64)>, twin: bool) -> Step {
        let key = format!("c{}-b{}-{}", self.chapter, self.index, self.orders.get());
        self.orders.update(|orders| orders + 1);
        let body = self.body(&lines);
        let wanted = Wanted { buyer: self.index, lines, body, ..Wanted::default() };
        self.world.model.borrow_mut().wants(&key, wanted);
        self.keys.borrow_mut().push(key.clone());
        if twin {
            let (one, other) = tokio::join!(self.place(&key, false), self.place(&key, false));
            one.and(other).map(drop)
        } else {
            self.place(&key, true).await.map(drop)
        }
    }

    /// Asks until there is an answer that means something, or patience is at its end.
    pub async fn place(&self, key: &str, alone: bool) -> Step<Answer> {
        let body = self.world.model.borrow().get(key).map(|wanted| wanted.body.clone());
        let body = body.unwrap_or_default();
        for _ in 0..TRIES_MAX {
            match self.post("/orders", Some(key), &body).await {
                Ok((status, answer)) => {
                    let mut model = self.world.model.borrow_mut();
                    match model.answered(key, status, &answer, alone)? {
                        Answer::Unknown => {}
                        answer => return Ok(answer),
                    }
                }
                Err(error) => {
                    let text = format!("POST /orders {key}: no answer, {error}");
                    self.world.model.borrow_mut().note(key, text);
                    self.world.shop.is_up().await;
                }
            }
            actix_rt::time::sleep(PAUSE).await;
        }
        Ok(Answer::Unknown)
    }

    /// One of his orders that was acknowledged.
    fn pick(&self, pick: Pick, fits: impl Fn(&Wanted) -> bool) -> Option<(String, i64)> {
        let model = self.world.model.borrow();
        let keys = self.keys.borrow();
        let known = keys.iter().rev().filter_map(|key| {
            let wanted = model.get(key).filter(|wanted| fits(wanted))?;
            Some((key.clone(), wanted.order.as_ref()?.0))
        });
        known.take(pick + 1).last()
    }

    async fn repeat(&self, pick: Pick) -> Step {
        let Some((key, _)) = self.pick(pick, |_| true) else { return Ok(()) };
        self.place(&key, true).await.map(drop)
    }

    async fn conflict(&self, pick: Pick) -> Step {
        let Some((key, _)) = self.pick(pick, |_| true) else { return Ok(()) };
        let model = self.world.model.borrow().get(&key).cloned().unwrap_or_default();
        let other: Vec<_> = model.lines.iter().map(|(sku, pieces)| (*sku, pieces + 1)).collect();
        match self.post("/orders", Some(&key), &self.body(&other)).await {
            Ok((409, answer)) if answer["code"] == "idempotency_conflict" => Ok(()),
            Ok((502..=504, _)) | Err(_) => Ok(()),
            Ok((status, answer)) => {
                let what = format!("another request under its key: {status} {answer}");
                Err(Breach::of_order(&key, what))
            }
        }
    }

    async fn pay(&self, pick: Pick, action: PayAction, heard: bool) -> Step {
        let unpaid = |wanted: &Wanted| !wanted.has_money() && !wanted.gave_up;
        let Some((key, order)) = self.pick(pick, unpaid) else { return Ok(()) };
        let Ok((status, payment)) =
            self.post(&format!("/orders/{order}/payment"), None, &json!({})).await
        else {
            return Ok(());
        };
        let text = format!("POST payment: {status} {}", payment["code"]);
        self.world.model.borrow_mut().note(&key, text);
        match status {
            200 => {}
            409 | 502..=504 => return Ok(()),
            _ => return Err(Breach::of_order(&key, format!("payment: {status} {payment}"))),
        }
        let sheet = PaySheet::new(SANDBOX_APPID, &payment, action);
        let sheet = sheet.map_err(|error| Breach::of_order(&key, error.to_string()))?;
        self.act(&key, &sheet);
        if heard {
            let told = self.world.shop.sandbox.run_due();
            let _late = tokio::time::timeout(TOLD, told).await;
        }
        Ok(())
    }

    /// What the phone does with the sheet; the model knows of the money before the shop does.
    fn act(&self, key: &str, sheet: &PaySheet) {
        let mut model = self.world.model.borrow_mut();
        let outcome = self.world.shop.sandbox.pay(sheet);
        model.note(key, format!("{:?} at WeChat: {outcome:?}", sheet.action));
        model.change(key, |wanted| {
            wanted.numbers.extend(outcome.out_trade_no);
            match sheet.action {
                PayAction::Late => wanted.late.extend(outcome.transaction_ids),
                _ => wanted.paid.extend(outcome.transaction_ids),
            }
        });
    }

    async fn cancel(&self, pick: Pick) -> Step {
        let Some((key, order)) = self.pick(pick, |wanted| !wanted.gave_up) else { return Ok(()) };
        self.world.model.borrow_mut().change(&key, |wanted| wanted.gave_up = true);
        let cancelled = self.post(&format!("/orders/{order}/cancel"), None, &json!({})).await;
        self.world.model.borrow_mut().note(&key, format!("cancel: {}", short(&cancelled)));
        match cancelled {
            Ok((200 | 409 | 502..=504, _)) | Err(_) => Ok(()),
            Ok((status, body)) => Err(Breach::of_order(&key, format!("cancel: {status} {body}"))),
        }
    }

    async fn look(&self, pick: Pick) -> Step {
        let Some((key, order)) = self.pick(pick, |_| true) else { return Ok(()) };
        match self.get(&format!("/orders/{order}?refresh=true")).await {
            Ok((200, order)) => self.believes(&key, &order),
            Ok((502..=504, _)) | Err(_) => Ok(()),
            Ok((status, body)) => Err(Breach::of_order(&key, format!("order: {status} {body}"))),
        }
    }

    /// Whether an order as it is shown can be as he knows it.
    fn believes(&self, key: &str, order: &Value) -> Step {
        let model = self.world.model.borrow();
        let Some(wanted) = model.get(key) else { return Ok(()) };
        let number = wanted.order.as_ref().map(|(_, number)| number.as_str());
        if order["order_no"].as_str() != number {
            return Err(Breach::of_order(key, format!("another order_no: {order}")));
        }
        if order["state"] == "paid" && !wanted.has_money() {
            return Err(Breach::of_order(key, "paid, and nobody has paid it"));
        }
        Ok(())
    }

    async fn list(&self) -> Step {
        match self.get("/orders?limit=50").await {
            Ok((200 | 502..=504, _)) | Err(_) => Ok(()),
            Ok((status, body)) => Err(Breach::new(format!("list: {status} {body}"))),
        }
    }

    async fn agree(&self) -> Step {
        let ids = ["sandbox-order-paid".to_owned(), "sandbox-order-refunded".to_owned()];
        let sandbox = &self.world.shop.sandbox;
        let accepted = sandbox.subscribe(Some(SANDBOX_APPID), &self.name, &ids);
        let accepted = accepted.map_err(|error| Breach::new(error.to_string()))?;
        let _counted =
            self.post("/message-grants", None, &json!({ "template_ids": accepted })).await;
        Ok(())
    }

    async fn quote(&self, sku: usize, quantity: i64) -> Step {
        match self.post("/checkout", None, &self.body(&[(sku, quantity)])).await {
            Ok((200 | 409 | 502..=504, _)) | Err(_) => Ok(()),
            Ok((status, body)) => Err(Breach::of_sku(sku, format!("quote: {status} {body}"))),
        }
    }
}

fn short(answer: &Result<(u16, Value), String>) -> String {
    match answer {
        Ok((status, body)) => {
            format!("{status} {} {} {}", body["code"], body["state"], body["closing"])
        }
        Err(error) => error.clone(),
    }
}
