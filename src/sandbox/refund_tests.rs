#![allow(clippy::unwrap_used)]
use super::*;
use crate::sandbox::trade::tests::{Books, NOON, key};

struct Bank {
    books: Books,
    index: RefundIndex,
}

impl Bank {
    fn with_a_paid_order() -> Self {
        let mut books = Books::new();
        books.place(&[], NOON).unwrap();
        books.pay("t1", NOON);
        Self { books, index: RefundIndex::new() }
    }

    fn refund(&mut self, number: &str, fen: i64, minute: i64) -> Result<Accepted, Refusal> {
        self.ask(&request(number, fen), minute)
    }

    fn ask(&mut self, request: &RefundRequest, minute: i64) -> Result<Accepted, Refusal> {
        let books = &mut self.books;
        refund(
            &mut books.trades,
            &mut self.index,
            &mut books.settings,
            &mut books.serial,
            request,
            NOON.plus_seconds(minute * 60),
        )
    }

    fn refunds(&mut self) -> &mut Vec<Refund> {
        let trade = self.books.trades.get_mut(&key()).unwrap();
        &mut trade.payments[0].refunds
    }
}

fn request(number: &str, fen: i64) -> RefundRequest {
    RefundRequest {
        mch_id: key().mch_id,
        transaction_id: None,
        out_trade_no: Some(key().out_trade_no),
        out_refund_no: number.to_owned(),
        total_fee: Money::from_fen(1290),
        refund_fee: Money::from_fen(fen),
    }
}

#[test]
fn the_same_number_refunds_once() {
    let mut bank = Bank::with_a_paid_order();
    let first = bank.refund("r1", 1290, 0).unwrap();
    assert_eq!(bank.refund("r1", 1290, 1), Ok(first));
    assert_eq!(bank.refunds().len(), 1);
    assert_eq!(bank.refund("r1", 1289, 2), Err(Refusal::Parameter("out_refund_no")));
}

#[test]
fn one_order_is_refunded_at_most_once_a_minute() {
    let mut bank = Bank::with_a_paid_order();
    bank.refund("r1", 1, 0).unwrap();
    assert_eq!(bank.refund("r1", 1, 0), Err(Refusal::RefundTooSoon));
    assert_eq!(bank.refund("r2", 1, 0), Err(Refusal::RefundTooSoon));
    assert!(bank.refund("r2", 1, 1).is_ok());
    bank.books.settings.refund_min_gap_seconds = 0;
    assert!(bank.refund("r3", 1, 1).is_ok());
}

#[test]
fn never_more_than_was_paid() {
    let mut bank = Bank::with_a_paid_order();
    bank.refund("r1", 1000, 0).unwrap();
    assert_eq!(bank.refund("r2", 291, 1), Err(Refusal::ExceedsPayment));
    assert!(bank.refund("r3", 290, 2).is_ok());
}

#[test]
fn a_closed_refund_gives_its_amount_free_for_another_number() {
    let mut bank = Bank::with_a_paid_order();
    bank.refund("r1", 1290, 0).unwrap();
    bank.refunds()[0].set = Some((RefundStatus::RefundClose, NOON));
    assert!(bank.refund("r2", 1290, 1).is_ok());
}

#[test]
fn at_most_fifty_refunds() {
    let mut bank = Bank::with_a_paid_order();
    for n in 0..50 {
        bank.refund(&format!("r{n}"), 1, n).unwrap();
    }
    assert_eq!(bank.refund("r50", 1, 50), Err(Refusal::TooManyRefunds));
}

#[test]
fn a_short_balance_refuses_and_the_number_stays_free() {
    let mut bank = Bank::with_a_paid_order();
    bank.books.settings.balance_fen = Some(1289);
    assert_eq!(bank.refund("r1", 1290, 0), Err(Refusal::BalanceShort));
    bank.books.settings.balance_fen = Some(1290);
    assert!(bank.refund("r1", 1290, 1).is_ok());
    assert_eq!(bank.books.settings.balance_fen, Some(0));
}

#[test]
fn what_was_not_paid_is_not_refunded() {
    let mut bank = Bank::with_a_paid_order();
    let mut unknown = request("r1", 1);
    unknown.out_trade_no = Some("20991231000000".to_owned());
    assert_eq!(bank.ask(&unknown, 0), Err(Refusal::UnknownOrder));
    unknown.transaction_id = Some("t9".to_owned());
    assert_eq!(bank.ask(&unknown, 0), Err(Refusal::UnknownTransaction));
    let mut other_total = request("r1", 1);
    other_total.total_fee = Money::from_fen(1);
    assert_eq!(bank.ask(&other_total, 0), Err(Refusal::Parameter("total_fee")));
    assert_eq!(bank.refund("r1", 1, 366 * 24 * 60), Err(Refusal::Overdue));
}

#[test]
fn the_second_payment_of_a_number_is_refunded_by_its_transaction_id() {
    let mut bank = Bank::with_a_paid_order();
    bank.books.pay("t2", NOON);
    let mut second = request("r-t2", 1290);
    second.transaction_id = Some("t2".to_owned());
    assert_eq!(bank.ask(&second, 0).unwrap().transaction_id, "t2");
    assert!(bank.refund("r-t1", 1290, 1).is_ok());
}

#[test]
fn automatic_refunds_succeed_by_the_clock_and_manual_ones_wait() {
    let mut bank = Bank::with_a_paid_order();
    bank.books.settings.refund_seconds = 300;
    bank.refund("r1", 1, 0).unwrap();
    let status =
        |bank: &mut Bank, at: usize, s: i64| bank.refunds()[at].status(NOON.plus_seconds(s)).0;
    assert_eq!(status(&mut bank, 0, 299), RefundStatus::Processing);
    assert_eq!(status(&mut bank, 0, 300), RefundStatus::Success);
    bank.books.settings.refund = Mode::Manual;
    bank.refund("r2", 1, 1).unwrap();
    assert_eq!(status(&mut bank, 1, 999_999), RefundStatus::Processing);
    bank.refunds()[1].set = Some((RefundStatus::Change, NOON));
    assert_eq!(status(&mut bank, 1, 0), RefundStatus::Change);
}

#[test]
fn fields_are_checked() {
    let good = [
        ("mch_id", "1900012345"),
        ("out_trade_no", "20261125000001"),
        ("out_refund_no", "r1"),
        ("total_fee", "100"),
        ("refund_fee", "100"),
    ];
    assert!(RefundRequest::read(&Fields::from_iter(good)).is_ok());
    for (name, value, refusal) in [
        ("out_trade_no", "", Refusal::Lacks("transaction_id")),
        ("out_refund_no", "", Refusal::Lacks("out_refund_no")),
        ("out_refund_no", "r 1", Refusal::Parameter("out_refund_no")),
        ("refund_fee", "0", Refusal::Parameter("refund_fee")),
        ("refund_fee", "101", Refusal::Parameter("refund_fee")),
        ("total_fee", "1.00", Refusal::Parameter("total_fee")),
        ("refund_fee_type", "USD", Refusal::Parameter("refund_fee_type")),
    ] {
        let mut fields = Fields::from_iter(good);
        fields.insert(name, value);
        assert_eq!(RefundRequest::read(&fields).map(drop), Err(refusal), "{name}");
    }
}
