#![allow(clippy::unwrap_used)]
use super::*;
use crate::sandbox::beijing;
use crate::sandbox::terms::tests::fields_with;

pub(in crate::sandbox) const NOON: Timestamp = Timestamp::from_seconds(1_795_500_000);

pub(in crate::sandbox) struct Books {
    pub(in crate::sandbox) trades: TradeBook,
    pub(in crate::sandbox) settings: Settings,
    pub(in crate::sandbox) serial: Serial,
}

impl Books {
    pub(in crate::sandbox) fn new() -> Self {
        Self { trades: TradeBook::new(), settings: Settings::default(), serial: Serial::new(1) }
    }

    pub(in crate::sandbox) fn place(
        &mut self,
        changes: &[(&str, Option<&str>)],
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let request = OrderRequest::read(&fields_with(changes), SignType::Md5).unwrap();
        self.trades.place(request, now, &self.settings, &mut self.serial)
    }

    pub(in crate::sandbox) fn pay(&mut self, transaction_id: &str, now: Timestamp) {
        let money = NewPayment {
            transaction_id: transaction_id.to_owned(),
            openid: "o".to_owned(),
            total: Money::from_fen(1290),
            coupon: Money::ZERO,
        };
        assert!(self.trades.record(&key(), money, now));
    }

    fn close(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.trades.close(&key(), now, &self.settings)
    }

    fn state(&self) -> TradeState {
        self.trades.get(&key()).unwrap().state(None)
    }
}

pub(in crate::sandbox) fn key() -> TradeKey {
    TradeKey { mch_id: "1900012345".to_owned(), out_trade_no: "20261125000001".to_owned() }
}

#[test]
fn the_same_order_again_gives_a_prepay_id_again() {
    let mut books = Books::new();
    let first = books.place(&[], NOON).unwrap();
    let again = books.place(&[("nonce_str", Some("n2"))], NOON).unwrap();
    let trade = books.trades.by_prepay(&first).unwrap();
    assert!(trade.prepay_is_good(&first, NOON) && trade.prepay_is_good(&again, NOON));
}

#[test]
fn any_changed_parameter_is_a_duplicate_number() {
    let mut books = Books::new();
    books.place(&[], NOON).unwrap();
    for (name, value) in
        [("total_fee", "1"), ("body", "b"), ("attach", "x"), ("spbill_create_ip", "::1")]
    {
        assert_eq!(books.place(&[(name, Some(value))], NOON), Err(Refusal::Duplicate), "{name}");
    }
}

#[test]
fn paid_and_closed_numbers_are_over() {
    let mut books = Books::new();
    books.place(&[], NOON).unwrap();
    books.close(NOON).unwrap();
    assert_eq!(books.place(&[], NOON), Err(Refusal::Closed));
    assert_eq!(books.close(NOON), Err(Refusal::Closed));
    books.pay("t1", NOON);
    assert_eq!(books.place(&[], NOON), Err(Refusal::Paid));
    assert_eq!(books.close(NOON), Err(Refusal::Paid));
    assert_eq!(books.state(), TradeState::Success);
}

#[test]
fn the_end_must_be_a_minute_ahead() {
    let mut books = Books::new();
    let end = |seconds| beijing::compact(NOON.plus_seconds(seconds));
    assert_eq!(
        books.place(&[("time_expire", Some(&end(59)))], NOON),
        Err(Refusal::Parameter("time_expire"))
    );
    assert!(books.place(&[("time_expire", Some(&end(60)))], NOON).is_ok());
}

#[test]
fn a_prepay_id_is_good_for_two_hours() {
    let mut books = Books::new();
    let id = books.place(&[], NOON).unwrap();
    let trade = books.trades.by_prepay(&id).unwrap();
    assert!(trade.prepay_is_good(&id, NOON.plus_seconds(7199)));
    assert!(!trade.prepay_is_good(&id, NOON.plus_seconds(7200)));
    assert!(!trade.prepay_is_good("wx0", NOON));
}

#[test]
fn a_young_order_is_not_closed_when_the_setting_says_so() {
    let mut books = Books::new();
    books.settings.close_min_age_seconds = 300;
    books.place(&[], NOON).unwrap();
    assert_eq!(books.close(NOON.plus_seconds(299)), Err(Refusal::TooYoung));
    assert_eq!(books.state(), TradeState::NotPay);
    assert_eq!(books.close(NOON.plus_seconds(300)), Ok(()));
}

#[test]
fn closing_an_unknown_number_answers_as_the_setting_says() {
    let mut books = Books::new();
    assert_eq!(books.close(NOON), Err(Refusal::UnknownOrder));
    books.settings.close_unknown = CloseUnknown::Success;
    assert_eq!(books.close(NOON), Ok(()));
    assert!(books.trades.get(&key()).is_none());
}

#[test]
fn a_late_payment_lands_after_the_close() {
    let mut books = Books::new();
    books.place(&[], NOON).unwrap();
    books.trades.get_mut(&key()).unwrap().late =
        Some(Late { transaction_id: "t-late".to_owned(), coupon: Money::ZERO });
    assert!(books.trades.land(NOON.plus_seconds(99)).is_empty(), "not before the close");
    books.close(NOON.plus_seconds(100)).unwrap();
    assert!(books.trades.land(NOON.plus_seconds(101)).is_empty());
    assert_eq!(books.state(), TradeState::Closed);
    assert_eq!(books.trades.land(NOON.plus_seconds(102)).len(), 1);
    assert_eq!(books.state(), TradeState::Success);
    assert!(books.trades.land(NOON.plus_seconds(103)).is_empty());
}

#[test]
fn a_transaction_id_is_taken_once() {
    let mut books = Books::new();
    books.place(&[], NOON).unwrap();
    books.pay("t1", NOON);
    let again = NewPayment {
        transaction_id: "t1".to_owned(),
        openid: String::new(),
        total: Money::from_fen(1),
        coupon: Money::ZERO,
    };
    assert!(!books.trades.record(&key(), again, NOON));
    books.pay("t2", NOON);
    let trade = books.trades.by_transaction("1900012345", "t2").unwrap();
    assert_eq!(trade.payments.len(), 2);
    assert!(books.trades.by_transaction("1900099999", "t2").is_none());
}

#[test]
fn the_oldest_trade_is_dropped_with_all_that_points_at_it() {
    let mut books = Books::new();
    books.trades = TradeBook::with_capacity(1);
    let first = books.place(&[], NOON).unwrap();
    books.pay("t1", NOON);
    books.place(&[("out_trade_no", Some("20261125000002"))], NOON).unwrap();
    assert!(books.trades.by_prepay(&first).is_none());
    assert!(books.trades.by_transaction("1900012345", "t1").is_none());
}
