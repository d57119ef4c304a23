//! The control API: what the buyer's phone and a test may do to the simulated WeChat.
//!
//! Each method returns after its effect. The HTTP side of the same is `control_routes.rs`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::calls::Calls;
use super::courier::Errand;
use super::desk::Desk;
use super::fault::Fault;
use super::mail::Message;
use super::notice::{Forge, ShopAnswer, Subject};
use super::refund::RefundStatus;
use super::settings::{Settings, SettingsChange};
use super::sheet::{self, PayByNumber, PayOutcome, PaySheet};
use super::view::{RefundView, TradeView};
use super::world::World;
use super::{SandboxTemplate, login};
use crate::clock::Timestamp;

/// Waiting ends after this much real time.
pub(super) const WAIT: Duration = Duration::from_secs(20);
const TIMES_MAX: u32 = 100;
const TEMPLATES_ASKED_MAX: usize = 20;
const NAME_CHARS: usize = 64;

/// Why a control call was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("no such mini-program, or more than one and none named")]
    UnknownApp,
    #[error("no such trade")]
    UnknownTrade,
    #[error("no such payment")]
    UnknownPayment,
    #[error("no such refund")]
    UnknownRefund,
    #[error("invalid: {0}")]
    Invalid(String),
    #[error("conflict: {0}")]
    Conflict(String),
    #[error("nothing came in time: {0}")]
    TimedOut(String),
    #[error("the sandbox has stopped")]
    Stopped,
}

/// What wx.login gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoggedIn {
    pub code: String,
    pub openid: String,
}

/// A notification to be sent now, again or for the first time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    pub out_trade_no: String,
    /// Which payment of the number; the first when absent.
    #[serde(default)]
    pub transaction_id: Option<String>,
    #[serde(default = "once")]
    pub times: u32,
    /// All at once, as from several machines, instead of one after another.
    #[serde(default)]
    pub together: bool,
    #[serde(default)]
    pub forge: Forge,
}

fn once() -> u32 {
    1
}

impl Notify {
    pub fn of(out_trade_no: &str) -> Self {
        Self {
            out_trade_no: out_trade_no.to_owned(),
            transaction_id: None,
            times: 1,
            together: false,
            forge: Forge::default(),
        }
    }
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
    pub fn together(self) -> Self {
        Self { together: true, ..self }
    }
    pub fn forged(self, forge: Forge) -> Self {
        Self { forge, ..self }
    }
}

/// What is done to a mini-program's access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAction {
    /// They answer 40001.
    Revoke,
    /// They answer 42001.
    Expire,
}

/// Controls a simulation; cheap to clone, and good from any thread.
#[derive(Clone)]
pub struct Control(pub(super) Desk);

impl Control {
    fn appid(&self, appid: Option<&str>) -> Result<String, ControlError> {
        let app = self.0.look(|world| match appid {
            Some(appid) => world.app(appid),
            None => world.only_app(),
        });
        app.map(|app| app.appid.clone()).ok_or(ControlError::UnknownApp)
    }

    /// wx.login on the buyer's phone. Without an appid: the only mini-program.
    pub fn login(&self, appid: Option<&str>, buyer: &str) -> Result<LoggedIn, ControlError> {
        let appid = self.appid(appid)?;
        check_name(buyer)?;
        Ok(self.0.change(|world, now| {
            let code = world.serial.text32();
            world.logins.login(&appid, buyer, code.clone(), now);
            let openid = login::openid(&appid, buyer);
            LoggedIn { code, openid }
        }))
    }

    /// The buyer acts on a pay sheet. With automatic notification the shop is told in the
    /// background; [`Control::told`] waits for that.
    pub fn pay(&self, sheet: &PaySheet) -> PayOutcome {
        self.0.change(|world, now| sheet::act(world, sheet, now))
    }

    /// Money for a number, in any state and of any amount; the answer is the transaction_id.
    pub fn pay_by_number(&self, command: &PayByNumber) -> Result<String, ControlError> {
        self.0.change(|world, now| sheet::pay_by_number(world, command, now))
    }

    /// Waits until the shop has been told of a payment at least once; its latest answer.
    pub async fn told(
        &self,
        out_trade_no: &str,
        transaction_id: &str,
    ) -> Result<ShopAnswer, ControlError> {
        let answer = self.0.wait_for(WAIT, |world| {
            let key = world.find_trade(out_trade_no)?;
            let paid = world.trades.get(&key)?.payment(transaction_id)?;
            paid.last_answer.clone()
        });
        answer
            .await
            .ok_or_else(|| ControlError::TimedOut(format!("notification of {out_trade_no}")))
    }

    /// Notifies the shop now, truly or falsely; its answers in order.
    pub async fn notify(&self, notify: &Notify) -> Result<Vec<ShopAnswer>, ControlError> {
        if !(1..=TIMES_MAX).contains(&notify.times) {
            return Err(ControlError::Invalid("times".to_owned()));
        }
        let parcels = self.0.change(|world, _| {
            let subject = subject(world, notify)?;
            let parcel = |_| world.parcel(&subject, &notify.forge);
            let parcels: Option<Vec<_>> = (0..notify.times).map(parcel).collect();
            parcels.ok_or(ControlError::UnknownPayment)
        })?;
        let (reply, answers) = oneshot::channel();
        let errand = Errand::Carry { parcels, together: notify.together, reply };
        self.0.send(errand).await;
        answers.await.map_err(|_| ControlError::Stopped)
    }

    /// Lets happen what is due by the clock and carries all notifications that are due; returns
    /// when none is under way. The answer is how many this call has started.
    pub async fn run_due(&self) -> Result<usize, ControlError> {
        let (reply, started) = oneshot::channel();
        self.0.send(Errand::RunDue(reply)).await;
        started.await.map_err(|_| ControlError::Stopped)
    }

    /// The buyer accepts one message of each template; the ids that the mini-program has.
    pub fn subscribe(
        &self,
        appid: Option<&str>,
        buyer: &str,
        template_ids: &[String],
    ) -> Result<Vec<String>, ControlError> {
        let appid = self.appid(appid)?;
        check_name(buyer)?;
        if template_ids.len() > TEMPLATES_ASKED_MAX {
            return Err(ControlError::Invalid("template_ids".to_owned()));
        }
        Ok(self.0.change(|world, _| {
            let openid = world.logins.meet(&appid, buyer);
            let known = |id: &&String| world.mail.knows_template(&appid, id);
            let accepted: Vec<String> = template_ids.iter().filter(known).cloned().collect();
            for template_id in &accepted {
                world.mail.grant(&openid, template_id);
            }
            accepted
        }))
    }

    /// How many messages of the template the buyer would still take.
    pub fn grants(&self, appid: &str, buyer: &str, template_id: &str) -> u32 {
        let openid = login::openid(appid, buyer);
        self.0.look(|world| world.mail.grants(&openid, template_id))
    }

    /// The messages that have arrived, oldest first; of one mini-program and buyer where named.
    pub fn messages(&self, appid: Option<&str>, buyer: Option<&str>) -> Vec<Message> {
        self.0.look(|world| select(world, 0, appid, buyer, usize::MAX))
    }

    /// Waits for messages after the one with the id `after`; none when none has come in time.
    pub(super) async fn wait_for_news(
        &self,
        limit: Duration,
        after: u64,
        appid: Option<&str>,
        buyer: Option<&str>,
        most: usize,
    ) -> Vec<Message> {
        let news = self.0.wait_for(limit, |world| {
            let news = select(world, after, appid, buyer, most);
            (!news.is_empty()).then_some(news)
        });
        news.await.unwrap_or_default()
    }

    /// Waits until `n` messages have arrived in all.
    pub async fn wait_for_messages(&self, n: usize) -> Result<Vec<Message>, ControlError> {
        self.wait_for_messages_of(None, None, n).await
    }

    /// Waits until `n` messages of the mini-program and buyer have arrived.
    pub async fn wait_for_messages_of(
        &self,
        appid: Option<&str>,
        buyer: Option<&str>,
        n: usize,
    ) -> Result<Vec<Message>, ControlError> {
        let messages = self.0.wait_for(WAIT, |world| {
            if world.mail.count() < n {
                return None;
            }
            let messages = select(world, 0, appid, buyer, usize::MAX);
            (messages.len() >= n).then_some(messages)
        });
        messages.await.ok_or_else(|| ControlError::TimedOut(format!("{n} messages")))
    }

    /// Adds a template, or replaces the one with the same id.
    pub fn register_template(
        &self,
        appid: &str,
        template: SandboxTemplate,
    ) -> Result<(), ControlError> {
        let appid = self.appid(Some(appid))?;
        let room = self.0.change(|world, _| world.mail.register(&appid, template));
        room.then_some(()).ok_or_else(|| ControlError::Conflict("too many templates".to_owned()))
    }

    /// The next calls of a path go wrong.
    pub fn fault(&self, fault: Fault) -> Result<(), ControlError> {
        if fault.kind == super::FaultKind::Errcode && fault.code.is_none() {
            return Err(ControlError::Invalid("errcode needs a code".to_owned()));
        }
        let room = self.0.change(|world, _| world.faults.add(fault));
        room.then_some(()).ok_or_else(|| ControlError::Conflict("too many faults".to_owned()))
    }

    /// No fault waits any more; calls that are held stay held.
    pub fn clear_faults(&self) {
        self.0.change(|world, _| world.faults.clear());
    }

    /// Lets the held calls of a path go on; how many were held.
    pub fn release(&self, path: &str) -> u64 {
        self.0.change(|world, _| {
            let hold = world.holds.get_mut(path);
            hold.map_or(0, |hold| {
                hold.released += 1;
                hold.held
            })
        })
    }

    /// The calls of a path.
    pub fn calls(&self, path: &str) -> Calls {
        self.0.look(|world| world.calls.of(path))
    }

    /// Waits until `n` calls of the path have come in, answered or not. A call that a `delay` holds
    /// counts.
    pub async fn wait_for_calls(&self, path: &str, n: u64) -> Result<Calls, ControlError> {
        self.wait_for_calls_where(path, n, |world| world.calls.count(path).0).await
    }

    /// Waits until `n` calls of the path are over.
    pub async fn wait_for_calls_done(&self, path: &str, n: u64) -> Result<Calls, ControlError> {
        self.wait_for_calls_where(path, n, |world| world.calls.count(path).1).await
    }

    /// Waits until `n` calls of the path are held at once.
    pub async fn wait_for_held(&self, path: &str, n: u64) -> Result<Calls, ControlError> {
        self.wait_for_calls_where(path, n, |world| world.held(path)).await
    }

    async fn wait_for_calls_where(
        &self,
        path: &str,
        n: u64,
        count: impl Fn(&World) -> u64,
    ) -> Result<Calls, ControlError> {
        let calls =
            self.0.wait_for(WAIT, |world| (count(world) >= n).then(|| world.calls.of(path)));
        calls.await.ok_or_else(|| ControlError::TimedOut(format!("{n} calls of {path}")))
    }

    pub fn trade(&self, out_trade_no: &str) -> Result<TradeView, ControlError> {
        let view = self.0.change(|world, now| {
            let key = world.find_trade(out_trade_no)?;
            let trade = world.trades.get(&key)?;
            Some(TradeView::of(trade, &world.notices, now))
        });
        view.ok_or(ControlError::UnknownTrade)
    }

    pub fn refund(&self, out_refund_no: &str) -> Result<RefundView, ControlError> {
        let view = self.0.change(|world, now| {
            let (key, transaction_id) = world.find_refund(out_refund_no)?;
            let paid = world.trades.get(&key)?.payment(&transaction_id)?;
            let mut refunds = paid.refunds.iter();
            let refund = refunds.find(|refund| refund.out_refund_no == out_refund_no)?;
            Some(RefundView::of(&key, paid, refund, now))
        });
        view.ok_or(ControlError::UnknownRefund)
    }

    /// What becomes of a refund.
    pub fn set_refund(
        &self,
        out_refund_no: &str,
        status: RefundStatus,
    ) -> Result<RefundView, ControlError> {
        self.0.change(|world, now| {
            let (key, transaction_id) = world.find_refund(out_refund_no)?;
            let trade = world.trades.get_mut(&key)?;
            let paid = trade.payment_mut(&transaction_id)?;
            let mut refunds = paid.refunds.iter_mut();
            let refund = refunds.find(|refund| refund.out_refund_no == out_refund_no)?;
            refund.set = Some((status, now));
            Some(())
        });
        self.refund(out_refund_no)
    }

    /// Changes the settings that are named; all as they are then.
    pub fn settings(&self, change: SettingsChange) -> Settings {
        self.0.change(|world, _| {
            world.settings.change(change);
            world.settings.clone()
        })
    }

    /// What happens to the access tokens of a mini-program.
    pub fn token(&self, appid: Option<&str>, action: TokenAction) -> Result<(), ControlError> {
        let appid = self.appid(appid)?;
        self.0.change(|world, now: Timestamp| match action {
            TokenAction::Revoke => world.tokens.revoke(&appid),
            TokenAction::Expire => world.tokens.expire(&appid, now),
        });
        Ok(())
    }
}

fn check_name(buyer: &str) -> Result<(), ControlError> {
    let chars = buyer.chars().count();
    if (1..=NAME_CHARS).contains(&chars) && !buyer.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(ControlError::Invalid("buyer".to_owned()))
    }
}

/// The payment to be notified.
fn subject(world: &World, notify: &Notify) -> Result<Subject, ControlError> {
    let key = world.find_trade(&notify.out_trade_no);
    let key = key.ok_or(ControlError::UnknownTrade)?;
    let trade = world.trades.get(&key).ok_or(ControlError::UnknownTrade)?;
    let paid = match &notify.transaction_id {
        Some(transaction_id) => trade.payment(transaction_id),
        None => trade.payments.first(),
    };
    let paid = paid.ok_or(ControlError::UnknownPayment)?;
    Ok(Subject { key: key.clone(), transaction_id: paid.transaction_id.clone() })
}

fn select(
    world: &World,
    after: u64,
    appid: Option<&str>,
    buyer: Option<&str>,
    most: usize,
) -> Vec<Message> {
    // An openid follows from the mini-program and the name, also for buyers of an earlier run.
    let only = world.only_app();
    let of = appid.or(only.as_ref().map(|app| app.appid.as_str()));
    let openid = of.zip(buyer).map(|(appid, buyer)| login::openid(appid, buyer));
    let messages = world.mail.after(after, appid, openid.as_deref());
    messages
        .filter(|message| openid.is_some() || buyer.is_none_or(|buyer| message.buyer == buyer))
        .take(most)
        .cloned()
        .collect()
}
