//! All that the simulated WeChat knows, in one place and without a server.
//!
//! Everything here is plain data under one lock; time is an argument. What is due by the clock
//! happens in [`World::advance`], before anything else looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;

use super::calls::CallBook;
use super::fault::Faults;
use super::login::Logins;
use super::mail::Mail;
use super::notice::{self, Forge, Notices, Parcel, ShopAnswer, Subject};
use super::refund::{Place, RefundIndex};
use super::serial::Serial;
use super::settings::{Mode, Settings};
use super::token::Tokens;
use super::trade::{NewPayment, TradeBook, TradeKey};
use super::{SandboxApp, SandboxConfig};
use crate::clock::Timestamp;

/// A mini-program with its merchant, as WeChat knows them.
pub(super) struct App {
    pub(super) appid: String,
    pub(super) secret: SecretString,
    pub(super) mch_id: String,
    pub(super) api_key: SecretString,
}

pub(super) struct World {
    apps: Vec<Arc<App>>,
    pub(super) settings: Settings,
    pub(super) serial: Serial,
    pub(super) trades: TradeBook,
    pub(super) refunds: RefundIndex,
    pub(super) logins: Logins,
    pub(super) tokens: Tokens,
    pub(super) mail: Mail,
    pub(super) notices: Notices,
    pub(super) faults: Faults,
    pub(super) calls: CallBook,
    /// Calls held by a fault, and how often a path was released.
    pub(super) holds: BTreeMap<&'static str, Hold>,
}

#[derive(Default)]
pub(super) struct Hold {
    pub(super) held: u64,
    pub(super) released: u64,
}

impl World {
    /// `run` makes the numbers of this run differ from those of every other.
    pub(super) fn new(config: &SandboxConfig, run: u32) -> Self {
        let mut mail = Mail::new();
        for app in &config.apps {
            for template in &app.templates {
                mail.register(&app.appid, template.clone());
            }
        }
        Self {
            apps: config.apps.iter().map(known).collect(),
            settings: Settings::default(),
            serial: Serial::new(run),
            trades: TradeBook::new(),
            refunds: RefundIndex::new(),
            logins: Logins::new(),
            tokens: Tokens::default(),
            mail,
            notices: Notices::default(),
            faults: Faults::default(),
            calls: CallBook::default(),
            holds: BTreeMap::new(),
        }
    }

    pub(super) fn app(&self, appid: &str) -> Option<Arc<App>> {
        self.apps.iter().find(|app| app.appid == appid).cloned()
    }

    /// A mini-program of the merchant, for the key that all of them share.
    pub(super) fn merchant(&self, mch_id: &str) -> Option<Arc<App>> {
        self.apps.iter().find(|app| app.mch_id == mch_id).cloned()
    }

    /// The mini-program when there is one only.
    pub(super) fn only_app(&self) -> Option<Arc<App>> {
        match &self.apps[..] {
            [app] => Some(app.clone()),
            _ => None,
        }
    }

    /// A trade by its number alone, whichever merchant's it is.
    pub(super) fn find_trade(&self, out_trade_no: &str) -> Option<TradeKey> {
        let keys = self.apps.iter().map(|app| TradeKey {
            mch_id: app.mch_id.clone(),
            out_trade_no: out_trade_no.to_owned(),
        });
        keys.into_iter().find(|key| self.trades.get(key).is_some())
    }

    /// A refund by its number alone, whichever merchant's it is.
    pub(super) fn find_refund(&self, out_refund_no: &str) -> Option<Place> {
        let mut places = self.apps.iter();
        places.find_map(|app| self.refunds.by_number(&app.mch_id, out_refund_no)).cloned()
    }

    /// How many calls of the path are held.
    pub(super) fn held(&self, path: &str) -> u64 {
        self.holds.get(path).map_or(0, |hold| hold.held)
    }

    /// Lets happen what is due by the clock.
    pub(super) fn advance(&mut self, now: Timestamp) {
        for (key, transaction_id) in self.trades.land(now) {
            self.after_payment(Subject { key, transaction_id }, now);
        }
    }

    /// Money comes in and is notified. `false` when the transaction_id is taken.
    pub(super) fn pay(&mut self, key: &TradeKey, money: NewPayment, now: Timestamp) -> bool {
        let subject = Subject { key: key.clone(), transaction_id: money.transaction_id.clone() };
        let taken = self.trades.record(key, money, now);
        if taken {
            self.after_payment(subject, now);
        }
        taken
    }

    fn after_payment(&mut self, subject: Subject, now: Timestamp) {
        if let Some(trade) = self.trades.get(&subject.key) {
            for (prepay_id, _) in &trade.prepays {
                self.mail.form(prepay_id, &trade.appid, &trade.openid, now);
            }
        }
        if self.settings.notify == Mode::Auto {
            self.notices.push(subject, now);
        }
    }

    /// The notification of a payment; `None` when the payment is not remembered.
    pub(super) fn parcel(&mut self, subject: &Subject, forge: &Forge) -> Option<Parcel> {
        let app = self.merchant(&subject.key.mch_id)?;
        let nonce = self.serial.text32();
        let trade = self.trades.get(&subject.key)?;
        let paid = trade.payment(&subject.transaction_id)?;
        Some(notice::parcel(trade, paid, &app.api_key, nonce, forge))
    }

    /// The notifications that are due, at most `most`; they are under way from now on.
    pub(super) fn due_parcels(&mut self, most: usize, now: Timestamp) -> Vec<Parcel> {
        let mut parcels = Vec::new();
        while parcels.len() < most
            && let Some((id, subject)) = self.notices.take(now)
        {
            match self.parcel(&subject, &Forge::default()) {
                Some(parcel) => parcels.push(Parcel { notice: Some(id), ..parcel }),
                None => self.notices.settle(id, true, now),
            }
        }
        parcels
    }

    /// A delivery has ended.
    pub(super) fn delivered(&mut self, parcel: &Parcel, answer: &ShopAnswer, now: Timestamp) {
        let acknowledged = parcel.genuine && answer.acknowledges();
        if let Some(id) = parcel.notice {
            self.notices.settle(id, acknowledged, now);
        } else if acknowledged {
            self.notices.drop_subject(&parcel.subject);
        }
        let trade = self.trades.get_mut(&parcel.subject.key);
        if let Some(paid) =
            trade.and_then(|trade| trade.payment_mut(&parcel.subject.transaction_id))
        {
            paid.told += 1;
            paid.acknowledged |= acknowledged;
            paid.last_answer = Some(answer.clone());
        }
    }
}

fn known(app: &SandboxApp) -> Arc<App> {
    Arc::new(App {
        appid: app.appid.clone(),
        secret: app.secret.clone(),
        mch_id: app.mch_id.clone(),
        api_key: app.api_key.clone(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::Clock;
    use crate::domain::money::Money;
    use crate::sandbox::terms::OrderRequest;
    use crate::sandbox::terms::tests::{APPID, fields_with};
    use crate::sandbox::trade::tests::{NOON, key};
    use crate::wechat::sign::SignType;

    pub(in crate::sandbox) fn sandbox_app() -> SandboxApp {
        SandboxApp {
            appid: APPID.to_owned(),
            secret: SecretString::from("app-secret"),
            mch_id: "1900012345".to_owned(),
            api_key: SecretString::from("8934e7d15453e97507ef794cf7b0519d"),
            templates: Vec::new(),
        }
    }

    pub(in crate::sandbox) fn app() -> Arc<App> {
        known(&sandbox_app())
    }

    pub(in crate::sandbox) fn world() -> World {
        let config = SandboxConfig {
            bind: ([127, 0, 0, 1], 0).into(),
            clock: Clock::manual(NOON),
            apps: vec![sandbox_app()],
        };
        World::new(&config, 1)
    }

    pub(in crate::sandbox) fn world_with_an_order() -> (World, String) {
        let mut world = world();
        let request = OrderRequest::read(&fields_with(&[]), SignType::Md5).unwrap();
        let prepay_id =
            world.trades.place(request, NOON, &world.settings, &mut world.serial).unwrap();
        (world, prepay_id)
    }

    fn money(transaction_id: &str) -> NewPayment {
        NewPayment {
            transaction_id: transaction_id.to_owned(),
            openid: "o".to_owned(),
            total: Money::from_fen(1290),
            coupon: Money::ZERO,
        }
    }

    fn answer(body: &str) -> ShopAnswer {
        ShopAnswer { status: 200, body: body.to_owned() }
    }

    #[test]
    fn a_payment_is_notified_until_it_is_acknowledged() {
        let (mut world, _) = world_with_an_order();
        world.pay(&key(), money("t1"), NOON);
        let parcels = world.due_parcels(10, NOON);
        assert_eq!(parcels.len(), 1);
        assert_eq!(world.notices.under_way(), 1);
        world.delivered(&parcels[0], &answer("no"), NOON);
        assert!(world.due_parcels(10, NOON.plus_seconds(14)).is_empty());
        let parcels = world.due_parcels(10, NOON.plus_seconds(15));
        world.delivered(&parcels[0], &answer(notice::ACKNOWLEDGED), NOON);
        let paid = &world.trades.get(&key()).unwrap().payments[0];
        assert_eq!((paid.told, paid.acknowledged), (2, true));
        assert!(world.due_parcels(10, NOON.plus_seconds(99_999)).is_empty());
    }

    #[test]
    fn with_manual_notification_nothing_is_sent_by_itself() {
        let (mut world, _) = world_with_an_order();
        world.settings.notify = Mode::Manual;
        world.pay(&key(), money("t1"), NOON);
        assert!(!world.notices.has_due(NOON));
    }

    #[test]
    fn a_forged_delivery_acknowledges_nothing() {
        let (mut world, _) = world_with_an_order();
        world.pay(&key(), money("t1"), NOON);
        let subject = Subject { key: key(), transaction_id: "t1".to_owned() };
        let forge = Forge { bad_sign: true, ..Forge::default() };
        let parcel = world.parcel(&subject, &forge).unwrap();
        world.delivered(&parcel, &answer(notice::ACKNOWLEDGED), NOON);
        assert!(world.notices.has_due(NOON));
        let parcel = world.parcel(&subject, &Forge::default()).unwrap();
        world.delivered(&parcel, &answer(notice::ACKNOWLEDGED), NOON);
        assert!(!world.notices.has_due(NOON));
    }

    #[test]
    fn the_prepay_id_of_a_paid_order_becomes_a_form_id() {
        let (mut world, prepay_id) = world_with_an_order();
        assert!(!world.mail.knows_form(&prepay_id));
        world.pay(&key(), money("t1"), NOON);
        assert!(world.mail.knows_form(&prepay_id));
    }
}
