//! The notifier: see [`super::protocol`].

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use actix::prelude::*;
use futures_util::StreamExt as _;

use super::protocol::*;
use super::stale;
use crate::actors::directory::Directory;
use crate::actors::journal::{JournalError, JournalHandle, random_token};
use crate::actors::messenger::{Deliver, MessageError};
use crate::actors::steady::survive;
use crate::clock::Clock;
use crate::crash::{self, CrashPoint};
use crate::domain::id::{NotificationId, UserId};
use crate::domain::notification::{Facts, MessageTemplate, TemplateKind, fill};
use crate::domain::time::Timestamp;
use crate::store::outbox::{self, Claimed, Delivery, GrantChange, Waiting};
use crate::store::wxapps::Wxapp;
use crate::store::{Readers, StoreError, Write, payments};

/// Messages claimed at a time.
const BATCH: u64 = 64;
/// Buyers told at the same time.
const CONCURRENT: usize = 8;
/// Seconds between looks at a message that waits for a consent.
const GRANT_PAUSE_SECONDS: i64 = 15;

/// How the notifier works.
#[derive(Debug, Clone, Copy)]
pub struct NotifierSettings {
    /// How long a message waits for the buyer's consent.
    pub grant_wait_seconds: i64,
    /// Sends of one message until it is parked.
    pub tries_max: i64,
    /// How long claimed messages stay this process's own.
    pub claim_seconds: i64,
    /// Longest call to WeChat.
    pub call_seconds: i64,
}

/// What this process has claimed in one go.
struct Turn {
    token: String,
    until: Timestamp,
}

/// Drains the outbox.
pub struct NotifierActor {
    inner: Rc<Inner>,
}

struct Inner {
    directory: Directory,
    journal: JournalHandle,
    readers: Readers,
    clock: Clock,
    settings: NotifierSettings,
    running: Cell<bool>,
    stopping: Cell<bool>,
    idle: tokio::sync::Notify,
}

/// A message could not be worked on now; it is tried again.
#[derive(Debug, thiserror::Error)]
enum NotifyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("its mini-program cannot be reached")]
    Shop,
    #[error("the claim has run out")]
    Late,
}

impl NotifierActor {
    pub fn new(
        directory: Directory,
        journal: JournalHandle,
        readers: Readers,
        clock: Clock,
        settings: NotifierSettings,
    ) -> Self {
        let inner = Inner {
            directory,
            journal,
            readers,
            clock,
            settings,
            running: Cell::new(false),
            stopping: Cell::new(false),
            idle: tokio::sync::Notify::new(),
        };
        Self { inner: Rc::new(inner) }
    }
}

impl Actor for NotifierActor {
    type Context = Context<Self>;
}

impl Handler<RunNotifier> for NotifierActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: RunNotifier, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        if inner.stopping.get() || inner.running.replace(true) {
            return Box::pin(std::future::ready(0));
        }
        Box::pin(async move {
            let worked = survive("notifier", run(&inner)).await;
            inner.running.set(false);
            inner.idle.notify_waiters();
            worked
        })
    }
}

impl Handler<StopNotifier> for NotifierActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: StopNotifier, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        inner.stopping.set(true);
        Box::pin(async move {
            let idle = inner.idle.notified();
            if inner.running.get() {
                idle.await;
            }
        })
    }
}

/// Claims and sends until nothing is due.
async fn run(inner: &Inner) -> usize {
    let mut worked = 0;
    loop {
        match run_batch(inner).await {
            Ok(0) => return worked,
            Ok(some) => worked += some,
            Err(error) => {
                tracing::warn!(%error, "the outbox cannot be worked on");
                return worked;
            }
        }
    }
}

async fn run_batch(inner: &Inner) -> Result<usize, NotifyError> {
    let now = inner.clock.now();
    let ids = outbox::due(&inner.readers, now, BATCH).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let until = now.plus_seconds(inner.settings.claim_seconds);
    let turn = Turn { token: random_token(), until };
    let backend = inner.readers.backend();
    let claim = outbox::claim(backend, &ids, &turn.token, now, until);
    let claimed = match read_claimed(inner, claim, &turn.token).await {
        Ok(claimed) => claimed,
        Err(error) => {
            // Nothing was sent. Should the claim still be written, this is written after it.
            let give_back = outbox::give_back(backend, &turn.token, &ids);
            let _unknown = inner.journal.write(give_back).await;
            return Err(error);
        }
    };
    if !claimed.unreadable.is_empty() {
        let park = outbox::park_unreadable(backend, &claimed.unreadable, &turn.token, now);
        inner.journal.write(park).await?;
    }
    crash::passes(CrashPoint::MessageClaimed);
    let worked = claimed.messages.len() + claimed.unreadable.len();
    let untried = tell_all(inner, claimed.messages, &turn).await;
    if !untried.is_empty() {
        inner.journal.write(outbox::give_back(backend, &turn.token, &untried)).await?;
    }
    Ok(if inner.stopping.get() { 0 } else { worked })
}

async fn read_claimed(inner: &Inner, claim: Write, token: &str) -> Result<Claimed, NotifyError> {
    inner.journal.write(claim).await?;
    Ok(outbox::claimed(&inner.readers, token).await?)
}

/// Tells every buyer; the answer is what was not tried, because the notifier is to stop or its time
/// is over. Sends for one buyer are serial (43108); buyers are told side by side.
async fn tell_all(inner: &Inner, messages: Vec<Waiting>, turn: &Turn) -> Vec<NotificationId> {
    let mut by_buyer: BTreeMap<UserId, Vec<Waiting>> = BTreeMap::new();
    for message in messages {
        by_buyer.entry(message.user).or_default().push(message);
    }
    let buyers = by_buyer.into_values().map(|messages| tell(inner, messages, turn));
    let untried = futures_util::stream::iter(buyers).buffer_unordered(CONCURRENT);
    untried.collect::<Vec<_>>().await.concat()
}

/// Whether a call may not be made any more: its answer may come after another process has taken
/// the message over.
fn is_over(inner: &Inner, turn: &Turn) -> bool {
    turn.until < inner.clock.now().plus_seconds(inner.settings.call_seconds)
}

async fn tell(inner: &Inner, messages: Vec<Waiting>, turn: &Turn) -> Vec<NotificationId> {
    let mut messages = messages.into_iter();
    while !inner.stopping.get() && !is_over(inner, turn) {
        let Some(message) = messages.next() else { break };
        if let Err(error) = tell_one(inner, &message, turn).await {
            // Its claim runs out, and it counts as one that may have been delivered.
            tracing::warn!(notification = %message.id, %error, "what came of a message is lost");
        }
    }
    messages.map(|message| message.id).collect()
}

async fn tell_one(inner: &Inner, message: &Waiting, turn: &Turn) -> Result<(), NotifyError> {
    let delivery = match try_one(inner, message, turn).await {
        Ok(delivery) => delivery,
        Err(error) => {
            tracing::warn!(notification = %message.id, %error, "a message is left for later");
            let at = inner.clock.now().plus_seconds(pause_seconds(message.tries));
            Delivery::Untried { at, maybe_delivered: message.maybe_delivered }
        }
    };
    crate::metrics::message(delivery.as_str());
    let backend = inner.readers.backend();
    let now = inner.clock.now();
    let finish = outbox::finish(backend, message.id, &turn.token, &delivery, now);
    Ok(inner.journal.write(finish).await?)
}

/// An error: the message was certainly not sent.
async fn try_one(inner: &Inner, message: &Waiting, turn: &Turn) -> Result<Delivery, NotifyError> {
    let shop = inner.directory.shop(message.wxapp).await.map_err(|_| NotifyError::Shop)?;
    match shop.wxapp.templates.get(&message.event) {
        None => Ok(Delivery::Skipped { reason: "no_template" }),
        Some(_) if stale::is_too_old(&inner.readers, &inner.clock, message).await? => {
            Ok(Delivery::Skipped { reason: "too_old" })
        }
        Some(template) => {
            let to = Recipient { wxapp: &shop.wxapp, messenger: &shop.messenger, template };
            deliver(inner, message, &to, turn).await
        }
    }
}

/// By whom and how a message is sent.
struct Recipient<'a> {
    wxapp: &'a Wxapp,
    messenger: &'a Addr<crate::actors::messenger::MessengerActor>,
    template: &'a MessageTemplate,
}

async fn deliver(
    inner: &Inner,
    message: &Waiting,
    to: &Recipient<'_>,
    turn: &Turn,
) -> Result<Delivery, NotifyError> {
    let openid = payments::openid(&inner.readers, message.user).await?.unwrap_or_default();
    if takes_grant(message, to) {
        let template_id = &to.template.template_id;
        let grants =
            outbox::grants(&inner.readers, message.wxapp, message.user, template_id).await?;
        if grants <= 0 {
            return Ok(wait_for_grant(inner, message));
        }
        change_grants(inner, message, to, GrantChange::Take).await?;
    }
    if is_over(inner, turn) {
        // The database took its time, or this process stood still.
        if takes_grant(message, to) {
            change_grants(inner, message, to, GrantChange::GiveBack).await?;
        }
        return Err(NotifyError::Late);
    }
    let facts = facts(message, to.wxapp);
    let field = |(name, pattern): (&String, &String)| (name.clone(), fill(pattern, &facts));
    let deliver = Deliver {
        kind: to.template.kind,
        openid,
        template_id: to.template.template_id.clone(),
        page: fill(&to.template.page, &facts),
        form_id: message.form_id.clone(),
        data: to.template.data.iter().map(field).collect(),
        not_after: turn.until.plus_seconds(-inner.settings.call_seconds),
    };
    let answered = to.messenger.send(deliver).await;
    crash::passes(CrashPoint::MessageSent);
    Ok(match answered {
        Ok(Ok(sent)) => Delivery::Sent { msg_id: sent.msg_id },
        Ok(Err(error)) => failed(inner, message, to, error).await,
        // It died, perhaps with the message on its way.
        Err(_) => failed(inner, message, to, MessageError::Unknown).await,
    })
}

/// Whether this try uses a consent up: the one after a lost answer lives on the consent of that.
fn takes_grant(message: &Waiting, to: &Recipient<'_>) -> bool {
    to.template.kind == TemplateKind::Subscribe && !message.maybe_delivered
}

/// The buyer's consent may come after the notification of his payment.
fn wait_for_grant(inner: &Inner, message: &Waiting) -> Delivery {
    let now = inner.clock.now();
    let until = message.created_at.plus_seconds(inner.settings.grant_wait_seconds);
    if now >= until {
        return Delivery::Skipped { reason: "no_grant" };
    }
    Delivery::AwaitsGrant { at: now.plus_seconds(GRANT_PAUSE_SECONDS).min(until) }
}

async fn change_grants(
    inner: &Inner,
    message: &Waiting,
    to: &Recipient<'_>,
    by: GrantChange,
) -> Result<(), NotifyError> {
    let write = outbox::change_grants(
        inner.readers.backend(),
        message.wxapp,
        message.user,
        &to.template.template_id,
        by,
        inner.clock.now(),
    );
    Ok(inner.journal.write(write).await?)
}

async fn failed(
    inner: &Inner,
    message: &Waiting,
    to: &Recipient<'_>,
    error: MessageError,
) -> Delivery {
    if error.needs_alarm() {
        tracing::error!(notification = %message.id, %error, "a message cannot be sent");
    }
    let change = match &error {
        MessageError::Refused if to.template.kind == TemplateKind::Subscribe => {
            Some(GrantChange::Clear)
        }
        error if error.gives_grant_back() && takes_grant(message, to) => {
            Some(GrantChange::GiveBack)
        }
        _ => None,
    };
    if let Some(change) = change
        && let Err(error) = change_grants(inner, message, to, change).await
    {
        tracing::warn!(notification = %message.id, %error, "a buyer's consents are not counted");
    }
    after(&error, message, inner.clock.now(), inner.settings.tries_max)
}

/// What becomes of a message after a failed try.
fn after(error: &MessageError, message: &Waiting, now: Timestamp, tries_max: i64) -> Delivery {
    match error {
        MessageError::Refused if message.maybe_delivered => Delivery::ProbablyDelivered,
        MessageError::Refused => Delivery::Refused,
        error if !error.may_retry() => Delivery::Parked { reason: error.to_string() },
        // At most one more try after an answer that was lost.
        MessageError::Unknown | MessageError::Busy if message.maybe_delivered => {
            Delivery::Parked { reason: error.to_string() }
        }
        _ if message.tries >= tries_max => Delivery::Parked { reason: error.to_string() },
        MessageError::Unknown | MessageError::Busy => {
            Delivery::MaybeDelivered { at: now.plus_seconds(pause_seconds(message.tries)) }
        }
        // This try was none, but the one before it still may have arrived.
        _ if message.maybe_delivered => {
            Delivery::MaybeDelivered { at: now.plus_seconds(pause_seconds(message.tries)) }
        }
        _ => Delivery::Later { at: now.plus_seconds(pause_seconds(message.tries)) },
    }
}

/// 10 s, doubled with each try up to about an hour and a half.
fn pause_seconds(tries: i64) -> i64 {
    10 << tries.saturating_sub(1).clamp(0, 9)
}

fn facts(message: &Waiting, wxapp: &Wxapp) -> Facts {
    let mut facts = message.facts.clone();
    facts.insert("shop".into(), wxapp.name.clone());
    for (millis, name) in [("time_ms", "time"), ("expires_ms", "expires")] {
        if let Some(ms) = facts.remove(millis).and_then(|text| text.parse().ok()) {
            facts.insert(name.into(), for_people(Timestamp::from_millis(ms)));
        }
    }
    facts
}

/// `2026-11-25 18:30`, Beijing time.
fn for_people(time: Timestamp) -> String {
    let digits = crate::wechat::time::to_beijing(time);
    let part = |range| digits.get(range).unwrap_or_default();
    format!("{}-{}-{} {}:{}", part(0..4), part(4..6), part(6..8), part(8..10), part(10..12))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::id::WxappId;
    use crate::domain::notification::Event;

    fn message(tries: i64, maybe_delivered: bool) -> Waiting {
        Waiting {
            id: NotificationId::parse(1).unwrap(),
            wxapp: WxappId::parse(1).unwrap(),
            user: UserId::parse(1).unwrap(),
            event: Event::OrderPaid,
            facts: Facts::new(),
            form_id: None,
            tries,
            created_at: Timestamp::from_seconds(0),
            maybe_delivered,
        }
    }

    #[track_caller]
    fn check(error: MessageError, tries: i64, maybe: bool, expected: Delivery) {
        let now = Timestamp::from_seconds(100);
        assert_eq!(after(&error, &message(tries, maybe), now, 5), expected);
    }

    #[test]
    fn what_becomes_of_a_failed_message() {
        let at = |seconds: i64| Timestamp::from_seconds(100 + seconds);
        let parked = |error: &MessageError| Delivery::Parked { reason: error.to_string() };
        check(MessageError::Refused, 1, false, Delivery::Refused);
        check(MessageError::Refused, 2, true, Delivery::ProbablyDelivered);
        check(MessageError::Unknown, 1, false, Delivery::MaybeDelivered { at: at(10) });
        check(MessageError::Unknown, 2, true, parked(&MessageError::Unknown));
        check(MessageError::NotSent, 2, true, Delivery::MaybeDelivered { at: at(20) });
        check(MessageError::Quota(45009), 2, true, Delivery::MaybeDelivered { at: at(20) });
        check(MessageError::NotSent, 3, false, Delivery::Later { at: at(40) });
        check(MessageError::NotSent, 5, false, parked(&MessageError::NotSent));
        let rule = MessageError::FieldRule("thing1".into());
        check(rule.clone(), 1, false, parked(&rule));
        check(MessageError::FormIdInvalid, 1, false, Delivery::Later { at: at(10) });
    }

    #[test]
    fn times_are_beijings() {
        assert_eq!(for_people(Timestamp::from_seconds(0)), "1970-01-01 08:00");
    }
}
