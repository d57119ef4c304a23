//! What would mend each kind of breach: where the database itself knows the answer, statements;
//! where it is about money or rows that are gone, what people must look at before they decide.
//!
//! Words and statements only; nothing here is ever executed by buynow. A remedy belongs to the
//! check with the same words. Statements change nothing where they do not fit any more: each names
//! the state in which it found the row. `{a}`, `{b}`, `{c}`, `{s}` are the columns of the breach.

use super::remedies_text::*;

/// How a step of a plan is written down.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Say(&'static str),
    Look(&'static str),
    Run(&'static str),
}

/// What is to be done about one kind of breach.
pub(super) struct Remedy {
    /// The words of its check.
    pub words: &'static str,
    /// Only people can decide: money, or what nobody wrote down.
    pub people_decide: bool,
    pub parts: &'static [Part],
}

const fn mend(words: &'static str, parts: &'static [Part]) -> Remedy {
    Remedy { words, people_decide: false, parts }
}

const fn decide(words: &'static str, parts: &'static [Part]) -> Remedy {
    Remedy { words, people_decide: true, parts }
}

/// For a breach whose remedy nobody has written down.
pub(super) const UNKNOWN: Remedy = decide("", &[Say("nobody has written down what mends this")]);

use Part::{Look, Run, Say};

/// The remedy of the check with these words.
pub(super) fn remedy_of(words: &str) -> &'static Remedy {
    REMEDIES.iter().find(|remedy| remedy.words == words).unwrap_or(&UNKNOWN)
}

pub(super) const REMEDIES: &[Remedy] = &[
    // 1. The ledger is the truth about stock: each entry says who, why and what was left.
    decide(
        "SKU {a} has a stock of {b}",
        &[
            Say("count the pieces; if its ledger is whole, write down what was counted (here: 0)"),
            Look(
                "SELECT seq, kind, delta, balance, who, reason FROM stock_entry WHERE sku_id = {a} ORDER BY seq",
            ),
            Run(TAKE_ID),
            Run(
                "INSERT INTO stock_entry (id, wxapp_id, sku_id, seq, kind, delta, balance, who, reason, created_at) \
                 SELECT {new_id}, wxapp_id, id, seq + 1, 'adjust', 0 - stock, 0, 'repair', 'counted', {now} \
                 FROM sku WHERE id = {a} AND stock = {b}",
            ),
            Run(
                "UPDATE sku SET stock = 0, seq = seq + 1, version = version + 1 WHERE id = {a} AND stock = {b}",
            ),
            Say(
                "fewer pieces than open orders want: give the money of the latest back before shipping",
            ),
        ],
    ),
    mend(
        "SKU {a} has a stock of {b}, but its ledger adds up to {c}",
        &[
            Say(
                "somebody changed the stock without an entry; a wrong shelf is mended later, by loading it",
            ),
            Run("UPDATE sku SET stock = {c}, version = version + 1 WHERE id = {a} AND stock = {b}"),
        ],
    ),
    mend(
        "SKU {a} counts {b} ledger entries, but its ledger ends with number {c}, or has gaps",
        &[
            Look(
                "SELECT seq, kind, delta, balance, order_id FROM stock_entry WHERE sku_id = {a} ORDER BY seq",
            ),
            Say(
                "a number is missing: the entry was deleted; find it in a back-up, do not renumber",
            ),
            Say("none is missing: the counter is wrong, and this sets it"),
            Run(
                "UPDATE sku SET seq = {c}, version = version + 1 WHERE id = {a} AND seq = {b} AND {c} = \
                 (SELECT COUNT(*) FROM stock_entry WHERE sku_id = {a})",
            ),
        ],
    ),
    mend(
        "ledger entry {b} of SKU {a} carries a balance of {c}, which the entry before it contradicts",
        &[
            Look(LEDGER_AROUND),
            Say("its delta was altered: put it right first (a line's delta is its quantity)"),
            Say("its delta is right: the balance follows from the entries before it"),
            Run("UPDATE stock_entry SET balance = (SELECT total FROM (SELECT SUM(delta) AS total \
                 FROM stock_entry WHERE sku_id = {a} AND seq <= {b}) before_it) \
                 WHERE sku_id = {a} AND seq = {b} AND balance = {c}"),
        ],
    ),
    decide(
        "ledger entry {b} belongs to SKU {a}, which does not exist",
        &[
            Say("a SKU was deleted, which buynow never does: put its row back from a back-up"),
            Look(
                "SELECT seq, kind, delta, balance, order_id FROM stock_entry WHERE sku_id = {a} ORDER BY seq",
            ),
        ],
    ),
    // 2. A missing deduction or return is written as an entry of its own; one too many is not ours
    // to delete.
    mend(
        "line {a} of {b} pieces in order {c} ({s}) is not deducted and returned as it should be",
        &[
            Look(
                "SELECT seq, kind, delta, balance, order_id, created_at FROM stock_entry WHERE order_goods_id = {a}",
            ),
            Look("SELECT id, state, paid_at, closed_at, close_reason FROM {order} WHERE id = {c}"),
            Say("never deducted, and its order lives: this deducts it, if the pieces are there"),
            Run(TAKE_ID),
            Run(DEDUCT_LINE),
            Say("deducted, and its order is closed: this returns it"),
            Run(TAKE_ID),
            Run(RETURN_LINE),
            Run(SKU_OF_LINE_FOLLOWS),
            Say(
                "neither fits (deducted or returned twice, other pieces): people decide; look into a back-up",
            ),
        ],
    ),
    mend(
        "ledger entry {a} ({s}) names line {b}, which does not exist or is of another SKU or order",
        &[
            Look("SELECT * FROM stock_entry WHERE id = {a}"),
            Look("SELECT * FROM order_goods WHERE id = {b}"),
            Say("the line is of this SKU: its order is the entry's"),
            Run(
                "UPDATE stock_entry SET order_id = (SELECT order_id FROM order_goods WHERE id = {b}) \
                 WHERE id = {a} AND order_goods_id = {b} \
                 AND sku_id = (SELECT sku_id FROM order_goods WHERE id = {b})",
            ),
            Say("else rows are gone or altered: find them in a back-up"),
        ],
    ),
    // 3. and 4. Money: WeChat's own records decide.
    decide(
        "order {a} is {s} with {b} fen to pay, but has {c} settled payments of that amount",
        &[
            Look(PAYMENTS_OF_ORDER_A),
            Look(ATTEMPTS_OF_ORDER_A),
            Say(
                "look each out_trade_no up at the merchant platform: who paid how much, and is it there?",
            ),
            Say(
                "paid and settled, only the order names another transaction: put that right in {order}",
            ),
            Say("paid, but no payment row: find it in a back-up, or let the shop ask WeChat again"),
            Say("not paid: do not ship; close the order or set it back to what it was"),
        ],
    ),
    decide(
        "payment {a} of order {b} over {c} fen is neither settled nor refunded in full ({s})",
        &[
            Say(
                "look at the merchant platform whether this money, or a part of it, went back already",
            ),
            Look("SELECT * FROM payment WHERE id = {a}"),
            Look(
                "SELECT number, state, amount_fen, out_refund_no, fail_code FROM refund WHERE payment_id = {a}",
            ),
            Say(
                "surplus and not gone back: this makes the refund due, under the number that refunds once",
            ),
            Run(TAKE_ID),
            Run(MAKE_REFUND_DUE),
            Say(
                "gone back by hand: the same statement; the shop asks WeChat, and records what it says",
            ),
        ],
    ),
    decide(
        "refunds of payment {a} add up to {b} fen, more than its {c} fen",
        &[
            Look(
                "SELECT id, number, kind, state, amount_fen, tries, out_refund_no FROM refund WHERE payment_id = {a}",
            ),
            Say("urgent: stop what has not been sent"),
            Run("UPDATE refund SET state = 'failed', fail_code = 'AUDIT' \
                 WHERE payment_id = {a} AND state = 'due' AND tries = 0"),
            Say(
                "compare the rest with the refunds that the merchant platform shows for this payment",
            ),
        ],
    ),
    decide(
        "refund {a} of {c} fen is for payment {b}, which does not exist or is of another order",
        &[
            Look("SELECT * FROM refund WHERE id = {a}"),
            Look("SELECT * FROM payment WHERE id = {b}"),
            Say(
                "look its transaction_id up at the merchant platform; find the payment in a back-up",
            ),
        ],
    ),
    mend(
        "order {a} says that {b} fen were refunded; its refunds say {c}",
        &[
            Look(REFUNDS_OF_ORDER_A),
            Say("the refunds are what WeChat has confirmed; the order only sums them up"),
            Run(
                "UPDATE {order} SET refunded_fen = {c}, version = version + 1 WHERE id = {a} AND refunded_fen = {b}",
            ),
        ],
    ),
    decide(
        "order {a} is refunded, but refunds of the {b} fen it was paid with add up to {c}",
        &[
            Look(REFUNDS_OF_ORDER_A),
            Look(PAYMENTS_OF_ORDER_A),
            Say("look at the merchant platform how much of its payment went back"),
            Say(
                "all of it: the refund row is missing, find it in a back-up; a part: the buyer is owed the rest",
            ),
        ],
    ),
    // 5. Messages.
    mend(
        "order {a} ({s}) has no message that tells of its payment",
        &[
            Say(
                "this writes down that nobody was told; tell the buyer by hand if it matters still",
            ),
            Run(TAKE_ID),
            Run(SKIP_MESSAGE),
        ],
    ),
    decide(
        "message {a} belongs to order {b}, which does not exist",
        &[Say(ORDER_IS_GONE), Look("SELECT * FROM notification WHERE id = {a}")],
    ),
    // 6. States, times, lines, attempts.
    decide(
        "order {a} is {s}, which its times contradict",
        &[
            Look("SELECT * FROM {order} WHERE id = {a}"),
            Look(PAYMENTS_OF_ORDER_A),
            Say("only paid_at is missing, and its payment is there: this takes the payment's time"),
            Run(
                "UPDATE {order} SET paid_at = (SELECT MIN(paid_at) FROM payment WHERE order_id = {a} \
                 AND kind = 'settled'), version = version + 1 WHERE id = {a} AND paid_at IS NULL \
                 AND state IN ('paid', 'shipped', 'completed', 'refunded') \
                 AND EXISTS (SELECT 1 FROM payment WHERE order_id = {a} AND kind = 'settled')",
            ),
            Say(
                "else the state was altered: payments, refunds and the ledger say what it should be",
            ),
        ],
    ),
    mend(
        "order {a} ({s}) has a closing without time or reason",
        &[
            Say("unpaid: the closing goes on, as of an order whose time is over"),
            Run("UPDATE {order} SET closing_at = COALESCE(closing_at, {now}), \
                 closing_reason = COALESCE(closing_reason, 'expired'), version = version + 1 \
                 WHERE id = {a} AND state = 'unpaid'"),
            Say("in any other state a closing is of the past"),
            Run(
                "UPDATE {order} SET closing_at = NULL, closing_reason = NULL, version = version + 1 \
                 WHERE id = {a} AND state <> 'unpaid'",
            ),
        ],
    ),
    decide(
        "order {a} is {s}, but a change of its price waits",
        &[
            Look("SELECT * FROM {order} WHERE id = {a}"),
            Say("it is not unpaid any more: what the buyer paid stands"),
            Run("UPDATE {order} SET reprice_fen = NULL, reprice_at = NULL, reprice_by = NULL, \
                 version = version + 1 WHERE id = {a} AND state <> 'unpaid'"),
        ],
    ),
    decide(
        "line {a} of {b} pieces was sent with {c} pieces",
        &[
            Look("SELECT * FROM shipment_goods WHERE order_goods_id = {a}"),
            Say("compare with the parcels; take the line out of the parcel that it was not in"),
        ],
    ),
    decide(
        "parcel {a} holds line {b}, which does not exist or is of another order",
        &[
            Look("SELECT * FROM shipment WHERE id = {a}"),
            Look("SELECT * FROM shipment_goods WHERE shipment_id = {a}"),
            Say("rows are gone or altered: find them in a back-up"),
        ],
    ),
    decide(
        "parcel {a} of order {b} ({s}) is empty, or of an order that nobody has paid",
        &[
            Look("SELECT * FROM shipment WHERE id = {a}"),
            Look("SELECT * FROM payment WHERE order_id = {b}"),
            Say("goods may be on their way to a buyer who has not paid: ask the carrier"),
        ],
    ),
    decide(
        "order {a} is {s}, which its parcels contradict: {b} pieces are not in one",
        &[
            Look("SELECT * FROM shipment WHERE order_id = {a}"),
            Look("SELECT * FROM {order} WHERE id = {a}"),
            Say("compare with the carrier what was sent, and enter the rest in the admin site"),
        ],
    ),
    decide(
        "order {a} ({s}) has {b} parcels",
        &[
            Look("SELECT * FROM shipment WHERE order_id = {a}"),
            Say("more than ten: was one entered twice?"),
        ],
    ),
    decide(
        "order {a} ({s}) has no lines",
        &[
            Say("what was ordered is gone: put the lines back from a back-up"),
            Look("SELECT sku_id, delta, kind FROM stock_entry WHERE order_id = {a}"),
        ],
    ),
    decide(
        "order {a} ({s}) has no address",
        &[
            Say(
                "ask the buyer, or find it in a back-up; this takes the address that he uses today",
            ),
            Run(
                "INSERT INTO order_address (order_id, wxapp_id, name, phone, province, city, district, detail) \
                 SELECT {a}, o.wxapp_id, d.name, d.phone, d.province, d.city, d.district, d.detail \
                 FROM {order} o JOIN user_address d ON d.id = (SELECT MIN(id) FROM user_address \
                 WHERE user_id = o.user_id AND is_default) WHERE o.id = {a} \
                 AND NOT EXISTS (SELECT 1 FROM order_address WHERE order_id = {a})",
            ),
        ],
    ),
    mend(
        "an idempotency key of buyer {a} belongs to order {b}, which does not exist or is not his",
        &[
            Say("the key answers for nothing; without it, the buyer's repeat is a new order"),
            Run(
                "DELETE FROM idempotency WHERE operation = 'place_order' AND user_id = {a} AND result_id = {b}",
            ),
        ],
    ),
    decide(
        "line {a} belongs to order {b}, which does not exist",
        &[Say(ORDER_IS_GONE), Look("SELECT * FROM order_goods WHERE order_id = {b}")],
    ),
    decide(
        "attempt {a} of order {b} is {s}, though the order has been closed for hours",
        &[
            Look(
                "SELECT out_trade_no, state, amount_fen, prepay_at, time_expire FROM payment_attempt WHERE id = {a}",
            ),
            Say(
                "look its out_trade_no up at the merchant platform; paid: that money is owed to the buyer",
            ),
            Say("closed there, or not known there: it brings no money any more"),
            Run(
                "UPDATE payment_attempt SET state = 'closed', updated_at = {now} WHERE id = {a} AND state = '{s}'",
            ),
        ],
    ),
    decide(
        "attempt {a} of order {b} is paid, but no payment is recorded for it",
        &[
            Look(
                "SELECT out_trade_no, amount_fen, mch_id, time_expire FROM payment_attempt WHERE id = {a}",
            ),
            Look("SELECT * FROM payment WHERE order_id = {b}"),
            Say(
                "look its out_trade_no up at the merchant platform; the payment row is in a back-up, or is lost",
            ),
            Say(
                "paid there and the order unpaid: this lets the shop ask WeChat again, and record it",
            ),
            Run(
                "UPDATE payment_attempt SET state = 'open', updated_at = {now} WHERE id = {a} AND state = 'paid' \
                 AND NOT EXISTS (SELECT 1 FROM payment WHERE attempt_id = {a}) \
                 AND EXISTS (SELECT 1 FROM {order} WHERE id = {b} AND state = 'unpaid')",
            ),
        ],
    ),
    decide(
        "attempt {a} belongs to order {b}, which does not exist",
        &[Say(ORDER_IS_GONE), Look("SELECT * FROM payment_attempt WHERE id = {a}")],
    ),
    decide(
        "payment {a} does not agree with its order {b} and its attempt {c}",
        &[
            Look("SELECT * FROM payment WHERE id = {a}"),
            Look(
                "SELECT id, order_id, amount_fen, mch_id, out_trade_no, state FROM payment_attempt WHERE id = {c}",
            ),
            Say(
                "look its transaction_id up at the merchant platform: amount, out_trade_no, merchant",
            ),
            Say("the row that differs from WeChat was altered; put that one right"),
        ],
    ),
    // 7. Sums: what the buyer was asked for is what he was shown.
    decide(
        "order {a} counts {b} fen for goods, but its lines add up to {c}",
        &[Look(LINES_OF_ORDER_A), Look(PAYMENTS_OF_ORDER_A), Say(SUM_WAS_ALTERED)],
    ),
    decide(
        "line {a} of order {b} has a total of {c} fen, which is not price times quantity",
        &[
            Look("SELECT * FROM order_goods WHERE order_id = {b} ORDER BY id"),
            Look("SELECT * FROM payment WHERE order_id = {b}"),
            Say(SUM_WAS_ALTERED),
        ],
    ),
    decide(
        "order {a} asks for {b} fen; goods, freight, discount and adjustment make {c}",
        &[
            Look(
                "SELECT goods_fen, freight_fen, discount_fen, adjust_fen, pay_fen FROM {order} WHERE id = {a}",
            ),
            Look(PAYMENTS_OF_ORDER_A),
            Say(SUM_WAS_ALTERED),
        ],
    ),
    decide(
        "payment {a} of order {b} is over {c} fen",
        &[
            Look("SELECT * FROM payment WHERE id = {a}"),
            Say(
                "WeChat takes no payment below one fen: look its transaction_id up at the merchant platform",
            ),
        ],
    ),
];
