//! The seven invariants as queries that answer with what is wrong.
//!
//! Plain SQL that SQLite, PostgreSQL and MySQL understand; `{order}` and `{integer}` are spelled by
//! the caller. Each query answers columns `a`, `b`, `c` (numbers) and `s` (text), as its words
//! need.

/// One question to the database, and how a row of the answer reads.
pub(super) struct Check {
    pub invariant: u8,
    pub words: &'static str,
    pub sql: &'static str,
}

const fn check(invariant: u8, words: &'static str, sql: &'static str) -> Check {
    Check { invariant, words, sql }
}

pub(super) const CHECKS: &[Check] = &[
    // 1. Stock is never negative and is what its gapless ledger says.
    check(1, "SKU {a} has a stock of {b}", "SELECT id AS a, stock AS b FROM sku WHERE stock < 0"),
    check(
        1,
        "SKU {a} has a stock of {b}, but its ledger adds up to {c}",
        "SELECT sku.id AS a, sku.stock AS b, COALESCE(ledger.total, 0) AS c FROM sku LEFT JOIN \
         (SELECT sku_id, CAST(SUM(delta) AS {integer}) AS total FROM stock_entry GROUP BY sku_id) ledger \
         ON ledger.sku_id = sku.id WHERE sku.stock <> COALESCE(ledger.total, 0)",
    ),
    check(
        1,
        "SKU {a} counts {b} ledger entries, but its ledger ends with number {c}, or has gaps",
        "SELECT sku.id AS a, sku.seq AS b, COALESCE(ledger.last, 0) AS c FROM sku LEFT JOIN \
         (SELECT sku_id, MIN(seq) AS first, MAX(seq) AS last, COUNT(*) AS entries \
          FROM stock_entry GROUP BY sku_id) ledger ON ledger.sku_id = sku.id \
         WHERE sku.seq <> COALESCE(ledger.last, 0) \
         OR (ledger.sku_id IS NOT NULL AND (ledger.first <> 1 OR ledger.entries <> ledger.last))",
    ),
    check(
        1,
        "ledger entry {b} of SKU {a} carries a balance of {c}, which the entry before it contradicts",
        "SELECT e.sku_id AS a, e.seq AS b, e.balance AS c FROM stock_entry e \
         LEFT JOIN stock_entry p ON p.sku_id = e.sku_id AND p.seq = e.seq - 1 \
         WHERE e.balance <> COALESCE(p.balance, 0) + e.delta OR e.balance < 0",
    ),
    check(
        1,
        "ledger entry {b} belongs to SKU {a}, which does not exist",
        "SELECT e.sku_id AS a, e.id AS b FROM stock_entry e \
         LEFT JOIN sku ON sku.id = e.sku_id WHERE sku.id IS NULL",
    ),
    // 2. What a live line took was deducted once; what a closed one took was returned once.
    check(
        2,
        "line {a} of {b} pieces in order {c} ({s}) is not deducted and returned as it should be",
        "SELECT l.id AS a, l.quantity AS b, o.id AS c, o.state AS s FROM order_goods l \
         JOIN {order} o ON o.id = l.order_id \
         LEFT JOIN (SELECT order_goods_id, \
           CAST(SUM(CASE WHEN delta < 0 THEN -delta ELSE 0 END) AS {integer}) AS taken, \
           CAST(SUM(CASE WHEN delta > 0 THEN delta ELSE 0 END) AS {integer}) AS given, \
           CAST(SUM(CASE WHEN delta < 0 THEN 1 ELSE 0 END) AS {integer}) AS takings, \
           CAST(SUM(CASE WHEN delta > 0 THEN 1 ELSE 0 END) AS {integer}) AS givings \
           FROM stock_entry WHERE order_goods_id IS NOT NULL GROUP BY order_goods_id) e \
         ON e.order_goods_id = l.id \
         LEFT JOIN (SELECT order_goods_id, CAST(SUM(quantity) AS {integer}) AS sent \
           FROM shipment_goods GROUP BY order_goods_id) s ON s.order_goods_id = l.id \
         WHERE NOT ( \
           (o.state = 'unpaid' AND l.deduct_stock = 'payment' AND e.order_goods_id IS NULL) \
           OR (o.state IN ('paid', 'shipped', 'completed') \
               AND COALESCE(e.takings, 0) = 1 AND e.givings = 0 AND e.taken = l.quantity) \
           OR (o.state = 'unpaid' AND l.deduct_stock = 'order' \
               AND COALESCE(e.takings, 0) = 1 AND e.givings = 0 AND e.taken = l.quantity) \
           OR (o.state IN ('closed', 'refunded') AND l.deduct_stock = 'payment' AND e.order_goods_id IS NULL) \
           OR (o.state = 'closed' AND COALESCE(e.takings, 0) = 1 AND e.givings = 1 \
               AND e.taken = l.quantity AND e.given = l.quantity) \
           OR (o.state = 'refunded' AND COALESCE(e.takings, 0) = 1 AND e.taken = l.quantity \
               AND e.given = l.quantity - COALESCE(s.sent, 0) \
               AND e.givings = CASE WHEN l.quantity > COALESCE(s.sent, 0) THEN 1 ELSE 0 END))",
    ),
    check(
        2,
        "ledger entry {a} ({s}) names line {b}, which does not exist or is of another SKU or order",
        "SELECT e.id AS a, e.order_goods_id AS b, e.kind AS s FROM stock_entry e \
         LEFT JOIN order_goods l ON l.id = e.order_goods_id \
         WHERE (e.kind IN ('order', 'payment', 'cancel', 'expire') AND e.order_goods_id IS NULL) \
         OR (e.order_goods_id IS NOT NULL \
             AND (l.id IS NULL OR l.sku_id <> e.sku_id OR l.order_id <> COALESCE(e.order_id, 0)))",
    ),
    // 3. A paid order has exactly one settled payment of its amount; all other money goes back.
    check(
        3,
        "order {a} is {s} with {b} fen to pay, but has {c} settled payments of that amount",
        "SELECT o.id AS a, o.pay_fen AS b, COALESCE(p.fitting, 0) AS c, o.state AS s FROM {order} o \
         LEFT JOIN (SELECT payment.order_id, COUNT(*) AS settled, \
           CAST(SUM(CASE WHEN payment.amount_fen = d.pay_fen \
             AND payment.transaction_id = d.transaction_id THEN 1 ELSE 0 END) AS {integer}) AS fitting \
           FROM payment JOIN {order} d ON d.id = payment.order_id \
           WHERE payment.kind = 'settled' GROUP BY payment.order_id) p ON p.order_id = o.id \
         WHERE (o.state IN ('paid', 'shipped', 'completed', 'refunded') AND o.pay_fen > 0 \
                AND (COALESCE(p.settled, 0) <> 1 OR COALESCE(p.fitting, 0) <> 1)) \
         OR ((o.state IN ('unpaid', 'closed') OR o.pay_fen = 0) AND COALESCE(p.settled, 0) <> 0)",
    ),
    check(
        3,
        // Refunds that failed count: staff are warned of each.
        "payment {a} of order {b} over {c} fen is neither settled nor refunded in full ({s})",
        "SELECT p.id AS a, p.order_id AS b, p.amount_fen AS c, p.kind AS s FROM payment p \
         LEFT JOIN (SELECT payment_id, CAST(SUM(amount_fen) AS {integer}) AS total FROM refund \
           GROUP BY payment_id) r ON r.payment_id = p.id \
         WHERE p.kind <> 'settled' \
         AND (p.kind <> 'surplus' OR COALESCE(r.total, 0) < p.amount_fen)",
    ),
    // 4. No payment is refunded twice over.
    check(
        4,
        "refunds of payment {a} add up to {b} fen, more than its {c} fen",
        "SELECT p.id AS a, r.total AS b, p.amount_fen AS c FROM payment p \
         JOIN (SELECT payment_id, CAST(SUM(amount_fen) AS {integer}) AS total FROM refund \
           WHERE state <> 'failed' GROUP BY payment_id) r ON r.payment_id = p.id \
         WHERE r.total > p.amount_fen",
    ),
    check(
        4,
        "refund {a} of {c} fen is for payment {b}, which does not exist or is of another order",
        "SELECT r.id AS a, r.payment_id AS b, r.amount_fen AS c FROM refund r \
         LEFT JOIN payment p ON p.id = r.payment_id \
         WHERE p.id IS NULL OR p.order_id <> r.order_id OR r.amount_fen < 1",
    ),
    check(
        4,
        "order {a} says that {b} fen were refunded; its refunds say {c}",
        "SELECT o.id AS a, o.refunded_fen AS b, COALESCE(r.total, 0) AS c FROM {order} o \
         LEFT JOIN (SELECT order_id, CAST(SUM(amount_fen) AS {integer}) AS total FROM refund \
           WHERE state = 'success' GROUP BY order_id) r ON r.order_id = o.id \
         WHERE o.refunded_fen <> COALESCE(r.total, 0)",
    ),
    check(
        4,
        // Those under way count, and those that failed: staff are warned of each.
        "order {a} is refunded, but refunds of the {b} fen it was paid with add up to {c}",
        "SELECT o.id AS a, o.pay_fen AS b, COALESCE(r.total, 0) AS c FROM {order} o \
         LEFT JOIN (SELECT p.order_id, CAST(SUM(f.amount_fen) AS {integer}) AS total \
           FROM refund f JOIN payment p ON p.id = f.payment_id WHERE p.kind = 'settled' \
           GROUP BY p.order_id) r ON r.order_id = o.id \
         WHERE o.state = 'refunded' AND COALESCE(r.total, 0) < o.pay_fen",
    ),
    // 5. Who paid is told, or it is known why not.
    check(
        5,
        "order {a} ({s}) has no message that tells of its payment",
        "SELECT o.id AS a, o.state AS s FROM {order} o LEFT JOIN notification n \
         ON n.order_id = o.id AND n.event = 'order_paid' \
         WHERE o.state IN ('paid', 'shipped', 'completed') AND n.id IS NULL",
    ),
    check(
        5,
        "message {a} belongs to order {b}, which does not exist",
        "SELECT n.id AS a, n.order_id AS b FROM notification n \
         LEFT JOIN {order} o ON o.id = n.order_id WHERE o.id IS NULL",
    ),
    // 6. State, times, lines and attempts of an order agree.
    check(
        6,
        "order {a} is {s}, which its times contradict",
        "SELECT o.id AS a, o.state AS s FROM {order} o WHERE NOT ( \
           (o.state = 'unpaid' AND o.paid_at IS NULL AND o.shipped_at IS NULL AND o.completed_at IS NULL \
            AND o.closed_at IS NULL AND o.close_reason IS NULL AND o.refunded_at IS NULL) \
           OR (o.state = 'paid' AND o.paid_at IS NOT NULL AND o.shipped_at IS NULL \
            AND o.completed_at IS NULL AND o.closed_at IS NULL AND o.refunded_at IS NULL) \
           OR (o.state = 'shipped' AND o.paid_at IS NOT NULL AND o.shipped_at IS NOT NULL \
            AND o.completed_at IS NULL AND o.closed_at IS NULL AND o.refunded_at IS NULL) \
           OR (o.state = 'completed' AND o.paid_at IS NOT NULL AND o.shipped_at IS NOT NULL \
            AND o.completed_at IS NOT NULL AND o.closed_at IS NULL AND o.refunded_at IS NULL) \
           OR (o.state = 'refunded' AND o.paid_at IS NOT NULL AND o.closed_at IS NULL \
            AND o.refunded_at IS NOT NULL) \
           OR (o.state = 'closed' AND o.paid_at IS NULL AND o.shipped_at IS NULL \
            AND o.closed_at IS NOT NULL AND o.close_reason IS NOT NULL AND o.refunded_at IS NULL))",
    ),
    check(
        6,
        "order {a} ({s}) has a closing without time or reason",
        "SELECT id AS a, state AS s FROM {order} WHERE \
         (closing_at IS NULL AND closing_reason IS NOT NULL) \
         OR (closing_at IS NOT NULL AND closing_reason IS NULL)",
    ),
    check(
        6,
        "order {a} is {s}, but a change of its price waits",
        "SELECT id AS a, state AS s FROM {order} WHERE (reprice_fen IS NOT NULL OR reprice_at IS NOT NULL) \
         AND (state <> 'unpaid' OR closing_at IS NOT NULL OR reprice_fen IS NULL \
           OR reprice_at IS NULL OR reprice_by IS NULL)",
    ),
    // Parcels: no more than was bought, and the state says whether all of it is sent.
    check(
        6,
        "line {a} of {b} pieces was sent with {c} pieces",
        "SELECT l.id AS a, l.quantity AS b, s.sent AS c FROM order_goods l \
         JOIN (SELECT order_goods_id, CAST(SUM(quantity) AS {integer}) AS sent FROM shipment_goods \
           GROUP BY order_goods_id) s ON s.order_goods_id = l.id WHERE s.sent > l.quantity",
    ),
    check(
        6,
        "parcel {a} holds line {b}, which does not exist or is of another order",
        "SELECT p.shipment_id AS a, p.order_goods_id AS b FROM shipment_goods p \
         LEFT JOIN shipment h ON h.id = p.shipment_id \
         LEFT JOIN order_goods l ON l.id = p.order_goods_id \
         WHERE h.id IS NULL OR l.id IS NULL OR l.order_id <> p.order_id \
         OR h.order_id <> p.order_id OR p.quantity < 1",
    ),
    check(
        6,
        "parcel {a} of order {b} ({s}) is empty, or of an order that nobody has paid",
        "SELECT h.id AS a, h.order_id AS b, o.state AS s FROM shipment h \
         LEFT JOIN {order} o ON o.id = h.order_id \
         LEFT JOIN shipment_goods p ON p.shipment_id = h.id \
         WHERE o.id IS NULL OR o.paid_at IS NULL OR p.shipment_id IS NULL",
    ),
    check(
        6,
        "order {a} is {s}, which its parcels contradict: {b} pieces are not in one",
        "SELECT o.id AS a, o.state AS s, \
           CAST(SUM(l.quantity - COALESCE(s.sent, 0)) AS {integer}) AS b FROM {order} o \
         JOIN order_goods l ON l.order_id = o.id \
         LEFT JOIN (SELECT order_goods_id, CAST(SUM(quantity) AS {integer}) AS sent \
           FROM shipment_goods GROUP BY order_goods_id) s ON s.order_goods_id = l.id \
         WHERE o.paid_at IS NOT NULL GROUP BY o.id, o.state, o.shipped_at \
         HAVING (o.shipped_at IS NULL AND SUM(l.quantity - COALESCE(s.sent, 0)) = 0) \
         OR (o.shipped_at IS NOT NULL AND SUM(l.quantity - COALESCE(s.sent, 0)) <> 0)",
    ),
    check(
        6,
        "order {a} ({s}) has {b} parcels",
        "SELECT o.id AS a, o.state AS s, COUNT(*) AS b FROM shipment h \
         JOIN {order} o ON o.id = h.order_id GROUP BY o.id, o.state HAVING COUNT(*) > 10",
    ),
    check(
        6,
        "order {a} ({s}) has no lines",
        "SELECT o.id AS a, o.state AS s FROM {order} o \
         LEFT JOIN order_goods l ON l.order_id = o.id WHERE l.id IS NULL",
    ),
    check(
        6,
        "order {a} ({s}) has no address",
        "SELECT o.id AS a, o.state AS s FROM {order} o \
         LEFT JOIN order_address d ON d.order_id = o.id WHERE d.order_id IS NULL",
    ),
    check(
        6,
        "an idempotency key of buyer {a} belongs to order {b}, which does not exist or is not his",
        "SELECT k.user_id AS a, k.result_id AS b FROM idempotency k \
         LEFT JOIN {order} o ON o.id = k.result_id WHERE k.operation = 'place_order' \
         AND (o.id IS NULL OR o.user_id <> k.user_id OR o.wxapp_id <> k.wxapp_id)",
    ),
    check(
        6,
        "line {a} belongs to order {b}, which does not exist",
        "SELECT l.id AS a, l.order_id AS b FROM order_goods l \
         LEFT JOIN {order} o ON o.id = l.order_id WHERE o.id IS NULL",
    ),
    check(
        6,
        "attempt {a} of order {b} is {s}, though the order has been closed for hours",
        "SELECT t.id AS a, t.order_id AS b, t.state AS s FROM payment_attempt t \
         JOIN {order} o ON o.id = t.order_id WHERE o.state = 'closed' \
         AND NOT EXISTS (SELECT 1 FROM audit_entry x WHERE x.subject = 'order' \
           AND x.subject_id = o.id AND x.action = 'release') \
         AND o.closed_at < {now} - 7200000 AND t.state IN ('requesting', 'open', 'closing')",
    ),
    check(
        6,
        "attempt {a} of order {b} is paid, but no payment is recorded for it",
        "SELECT t.id AS a, t.order_id AS b FROM payment_attempt t \
         LEFT JOIN payment p ON p.attempt_id = t.id WHERE t.state = 'paid' AND p.id IS NULL",
    ),
    check(
        6,
        "attempt {a} belongs to order {b}, which does not exist",
        "SELECT t.id AS a, t.order_id AS b FROM payment_attempt t \
         LEFT JOIN {order} o ON o.id = t.order_id WHERE o.id IS NULL",
    ),
    check(
        6,
        "payment {a} does not agree with its order {b} and its attempt {c}",
        "SELECT p.id AS a, p.order_id AS b, p.attempt_id AS c FROM payment p \
         LEFT JOIN {order} o ON o.id = p.order_id \
         LEFT JOIN payment_attempt t ON t.id = p.attempt_id \
         WHERE o.id IS NULL OR (p.attempt_id IS NOT NULL AND (t.id IS NULL \
           OR t.order_id <> p.order_id OR t.amount_fen <> p.amount_fen OR t.mch_id <> p.mch_id))",
    ),
    // 7. The sums of an order are the sums of its parts.
    check(
        7,
        "order {a} counts {b} fen for goods, but its lines add up to {c}",
        "SELECT o.id AS a, o.goods_fen AS b, l.total AS c FROM {order} o \
         JOIN (SELECT order_id, CAST(SUM(total_fen) AS {integer}) AS total FROM order_goods \
           GROUP BY order_id) l ON l.order_id = o.id WHERE o.goods_fen <> l.total",
    ),
    check(
        7,
        "line {a} of order {b} has a total of {c} fen, which is not price times quantity",
        "SELECT id AS a, order_id AS b, total_fen AS c FROM order_goods \
         WHERE total_fen <> price_fen * quantity OR price_fen < 0 OR quantity < 1",
    ),
    check(
        7,
        "order {a} asks for {b} fen; goods, freight, discount and adjustment make {c}",
        "SELECT id AS a, pay_fen AS b, goods_fen + freight_fen - discount_fen + adjust_fen AS c \
         FROM {order} WHERE pay_fen <> goods_fen + freight_fen - discount_fen + adjust_fen \
         OR pay_fen < 0 OR freight_fen < 0 OR discount_fen < 0 OR refunded_fen < 0",
    ),
    check(
        7,
        "payment {a} of order {b} is over {c} fen",
        "SELECT id AS a, order_id AS b, amount_fen AS c FROM payment WHERE amount_fen < 1",
    ),
];

pub(super) const WARNINGS: &[Check] = &[
    check(
        6,
        "attempt {a} of order {b} is {s}: staff have released the order, WeChat has not confirmed",
        "SELECT t.id AS a, t.order_id AS b, t.state AS s FROM payment_attempt t \
         JOIN {order} o ON o.id = t.order_id WHERE o.state = 'closed' \
         AND EXISTS (SELECT 1 FROM audit_entry x WHERE x.subject = 'order' \
           AND x.subject_id = o.id AND x.action = 'release') \
         AND o.closed_at < {now} - 7200000 AND t.state IN ('requesting', 'open', 'closing') \
         ORDER BY t.id",
    ),
    check(
        0,
        "incident {a} over {b} fen is open: {s}",
        "SELECT id AS a, amount_fen AS b, reason AS s FROM incident WHERE state = 'open' ORDER BY id",
    ),
    check(
        6,
        "order {a} is unpaid and not being closed, though it expired more than ten minutes ago",
        "SELECT id AS a FROM {order} WHERE state = 'unpaid' AND closing_at IS NULL \
         AND expires_at < {now} - 600000 ORDER BY id",
    ),
    check(
        5,
        "message {a} of order {b} is {s}, though it was due more than an hour ago",
        "SELECT id AS a, order_id AS b, state AS s FROM notification WHERE \
         (state = 'waiting' AND next_at < {now} - 3600000) \
         OR (state = 'sending' AND COALESCE(claim_until, 0) < {now} - 3600000) ORDER BY id",
    ),
    check(
        0,
        "refund {a} of order {b} is {s}: staff must look",
        "SELECT id AS a, order_id AS b, state AS s FROM refund \
         WHERE state IN ('failed', 'abnormal') ORDER BY id",
    ),
    check(
        0,
        "refund {a} of order {b} is {s} since more than a day",
        "SELECT id AS a, order_id AS b, state AS s FROM refund \
         WHERE state IN ('due', 'requested', 'processing') AND created_at < {now} - 86400000 \
         ORDER BY id",
    ),
];
