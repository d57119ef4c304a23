//! Statements and sentences that several remedies share, or that are long.

/// Ids come from one row; the statement after it uses the id that it has taken.
pub(super) const TAKE_ID: &str = "UPDATE id_block SET next = next + 1 WHERE name = 'id'";

/// The id that [`TAKE_ID`] has taken, as `{new_id}`.
pub(super) const NEW_ID: &str = "(SELECT next - 1 FROM id_block WHERE name = 'id')";

pub(super) const LEDGER_AROUND: &str = "SELECT seq, kind, delta, balance, order_goods_id FROM stock_entry \
     WHERE sku_id = {a} AND seq BETWEEN {b} - 2 AND {b} + 2 ORDER BY seq";

pub(super) const DEDUCT_LINE: &str = "INSERT INTO stock_entry (id, wxapp_id, sku_id, seq, kind, order_id, \
     order_goods_id, delta, balance, who, reason, created_at) \
     SELECT {new_id}, l.wxapp_id, l.sku_id, k.seq + 1, l.deduct_stock, l.order_id, l.id, 0 - l.quantity, \
     k.stock - l.quantity, 'repair', 'audit', {now} \
     FROM order_goods l JOIN sku k ON k.id = l.sku_id JOIN {order} o ON o.id = l.order_id \
     WHERE l.id = {a} AND k.stock >= l.quantity AND (o.state IN ('paid', 'shipped', 'completed') \
     OR (o.state = 'unpaid' AND l.deduct_stock = 'order')) \
     AND NOT EXISTS (SELECT 1 FROM stock_entry e WHERE e.order_goods_id = l.id)";

pub(super) const RETURN_LINE: &str = "INSERT INTO stock_entry (id, wxapp_id, sku_id, seq, kind, order_id, \
     order_goods_id, delta, balance, who, reason, created_at) \
     SELECT {new_id}, l.wxapp_id, l.sku_id, k.seq + 1, 'cancel', l.order_id, l.id, l.quantity, \
     k.stock + l.quantity, 'repair', 'audit', {now} \
     FROM order_goods l JOIN sku k ON k.id = l.sku_id JOIN {order} o ON o.id = l.order_id \
     WHERE l.id = {a} AND o.state IN ('closed', 'refunded') AND o.shipped_at IS NULL \
     AND (SELECT COUNT(*) FROM stock_entry e WHERE e.order_goods_id = l.id) = 1 \
     AND (SELECT SUM(e.delta) FROM stock_entry e WHERE e.order_goods_id = l.id) = 0 - l.quantity";

/// The SKU of a line has what its ledger ends with.
pub(super) const SKU_OF_LINE_FOLLOWS: &str = "UPDATE sku SET \
     stock = (SELECT SUM(e.delta) FROM stock_entry e WHERE e.sku_id = sku.id), \
     seq = (SELECT MAX(e.seq) FROM stock_entry e WHERE e.sku_id = sku.id), version = version + 1 \
     WHERE id = (SELECT sku_id FROM order_goods WHERE id = {a})";

/// `REPLACE` spells `r` + transaction + `-1` on every database.
pub(super) const MAKE_REFUND_DUE: &str = "INSERT INTO refund (id, wxapp_id, order_id, payment_id, mch_id, \
     transaction_id, out_refund_no, number, kind, amount_fen, total_fen, reason, state, tries, next_at, \
     auto_payment_id, created_at) \
     SELECT {new_id}, p.wxapp_id, p.order_id, p.id, p.mch_id, p.transaction_id, \
     REPLACE('r?-1', '?', p.transaction_id), 1, 'auto', p.amount_fen, p.amount_fen, '', 'due', 0, {now}, \
     p.id, {now} FROM payment p WHERE p.id = {a} AND p.kind = 'surplus' \
     AND NOT EXISTS (SELECT 1 FROM refund r WHERE r.payment_id = p.id)";

pub(super) const SKIP_MESSAGE: &str = "INSERT INTO notification (id, wxapp_id, user_id, order_id, event, ref_id, \
     state, reason, payload, tries, next_at, created_at, updated_at) \
     SELECT {new_id}, o.wxapp_id, o.user_id, o.id, 'order_paid', 0, 'skipped', 'too_old', '{}', 0, {now}, \
     {now}, {now} FROM {order} o WHERE o.id = {a} AND NOT EXISTS (SELECT 1 FROM notification n \
     WHERE n.order_id = o.id AND n.event = 'order_paid')";

pub(super) const PAYMENTS_OF_ORDER_A: &str = "SELECT * FROM payment WHERE order_id = {a}";
pub(super) const REFUNDS_OF_ORDER_A: &str = "SELECT * FROM refund WHERE order_id = {a}";
pub(super) const ATTEMPTS_OF_ORDER_A: &str =
    "SELECT out_trade_no, state, amount_fen, time_expire FROM payment_attempt WHERE order_id = {a}";
pub(super) const LINES_OF_ORDER_A: &str =
    "SELECT * FROM order_goods WHERE order_id = {a} ORDER BY id";

pub(super) const ORDER_IS_GONE: &str =
    "an order was deleted, which buynow never does: put its rows back from a back-up";
pub(super) const SUM_WAS_ALTERED: &str = "the buyer was asked for pay_fen and, if paid, has paid that: \
     find the number that was altered in a back-up; never change what was paid";
