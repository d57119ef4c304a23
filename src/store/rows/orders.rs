//! Orders, lines, addresses and the outbox.

use sea_orm::Set;

use super::super::db::StoreError;
use super::{BadValue, fen, in_table, millis, needed, time, times, word};
use crate::domain::address::Address;
use crate::domain::goods::DeductStock;
use crate::domain::id::{OrderId, OutTradeNo, TransactionId, WxappId};
use crate::domain::notification::NewNotification;
use crate::domain::order::{CloseReason, Closing, Line, Order, OrderState, Paid, Repricing};
use crate::domain::price::Amounts;
use crate::domain::time::Timestamp;

pub fn order(row: entity::order::Model) -> Result<Order, StoreError> {
    in_table("order", read_order(row))
}

fn read_order(row: entity::order::Model) -> Result<Order, BadValue> {
    let state = state(&row)?;
    let repricing = repricing(&row)?;
    Ok(Order {
        id: row.id.try_into()?,
        wxapp: row.wxapp_id.try_into()?,
        user: row.user_id.try_into()?,
        order_no: OutTradeNo::parse(row.order_no)?,
        amounts: Amounts {
            goods: fen(row.goods_fen),
            freight: fen(row.freight_fen),
            discount: fen(row.discount_fen),
            adjust: fen(row.adjust_fen),
            pay: fen(row.pay_fen),
        },
        refunded: fen(row.refunded_fen),
        remark: row.remark,
        created_at: time(row.created_at),
        expires_at: time(row.expires_at),
        state,
        repricing,
        version: row.version,
    })
}

fn state(row: &entity::order::Model) -> Result<OrderState, BadValue> {
    match row.state.as_str() {
        "unpaid" => Ok(OrderState::Unpaid(closing(row)?)),
        "paid" => Ok(OrderState::Paid(paid(row)?)),
        "shipped" => Ok(OrderState::Shipped {
            paid: paid(row)?,
            at: time(needed("shipped_at", row.shipped_at)?),
        }),
        "completed" => Ok(OrderState::Completed {
            paid: paid(row)?,
            shipped_at: time(needed("shipped_at", row.shipped_at)?),
            at: time(needed("completed_at", row.completed_at)?),
        }),
        "closed" => Ok(OrderState::Closed {
            at: time(needed("closed_at", row.closed_at)?),
            reason: reason(row.close_reason.as_deref())?,
        }),
        "refunded" => Ok(OrderState::Refunded {
            paid: paid(row)?,
            shipped_at: times(row.shipped_at),
            completed_at: times(row.completed_at),
            at: time(needed("refunded_at", row.refunded_at)?),
        }),
        other => Err(BadValue::Word("state", other.to_owned())),
    }
}

fn closing(row: &entity::order::Model) -> Result<Option<Closing>, BadValue> {
    let Some(since) = row.closing_at else {
        return Ok(None);
    };
    Ok(Some(Closing {
        since: time(since),
        reason: reason(row.closing_reason.as_deref())?,
        next_at: time(row.close_next_at.unwrap_or(since)),
        tries: row.close_tries,
    }))
}

/// It shares time and count of tries with a closing: an order has one or the other.
fn repricing(row: &entity::order::Model) -> Result<Option<Repricing>, BadValue> {
    let (Some(adjust), Some(since)) = (row.reprice_fen, row.reprice_at) else {
        return Ok(None);
    };
    Ok(Some(Repricing {
        adjust: fen(adjust),
        since: time(since),
        next_at: time(row.close_next_at.unwrap_or(since)),
        tries: row.close_tries,
        by: needed("reprice_by", row.reprice_by)?.try_into()?,
    }))
}

fn reason(text: Option<&str>) -> Result<CloseReason, BadValue> {
    let text = needed("close reason", text)?;
    word("close reason", text.to_owned(), CloseReason::parse(text))
}

fn paid(row: &entity::order::Model) -> Result<Paid, BadValue> {
    let transaction = row.transaction_id.clone().map(TransactionId::parse).transpose()?;
    Ok(Paid { at: time(needed("paid_at", row.paid_at)?), transaction })
}

pub fn order_row(order: &Order) -> entity::order::ActiveModel {
    let closing = match &order.state {
        OrderState::Unpaid(closing) => closing.as_ref(),
        _ => None,
    };
    let paid = order.state.paid();
    let next_try = order.next_try();
    let repricing = order.repricing.as_ref();
    let (shipped_at, completed_at) = way(&order.state);
    let closed = match &order.state {
        OrderState::Closed { at, reason } => Some((*at, *reason)),
        _ => None,
    };
    let refunded_at = match &order.state {
        OrderState::Refunded { at, .. } => Some(*at),
        _ => None,
    };
    entity::order::ActiveModel {
        id: Set(order.id.get()),
        wxapp_id: Set(order.wxapp.get()),
        user_id: Set(order.user.get()),
        order_no: Set(order.order_no.as_str().to_owned()),
        state: Set(order.state.as_str().to_owned()),
        goods_fen: Set(order.amounts.goods.as_fen()),
        freight_fen: Set(order.amounts.freight.as_fen()),
        discount_fen: Set(order.amounts.discount.as_fen()),
        adjust_fen: Set(order.amounts.adjust.as_fen()),
        pay_fen: Set(order.amounts.pay.as_fen()),
        refunded_fen: Set(order.refunded.as_fen()),
        remark: Set(order.remark.clone()),
        transaction_id: Set(paid.and_then(|paid| paid.transaction.clone()).map(String::from)),
        created_at: Set(order.created_at.as_millis()),
        expires_at: Set(order.expires_at.as_millis()),
        closing_at: Set(millis(closing.map(|closing| closing.since))),
        closing_reason: Set(closing.map(|closing| closing.reason.as_str().to_owned())),
        close_next_at: Set(millis(next_try.map(|next| next.at))),
        close_tries: Set(next_try.map_or(0, |next| next.tries)),
        paid_at: Set(millis(paid.map(|paid| paid.at))),
        shipped_at: Set(millis(shipped_at)),
        completed_at: Set(millis(completed_at)),
        closed_at: Set(millis(closed.map(|(at, _)| at))),
        close_reason: Set(closed.map(|(_, reason)| reason.as_str().to_owned())),
        refunded_at: Set(millis(refunded_at)),
        reprice_fen: Set(repricing.map(|repricing| repricing.adjust.as_fen())),
        reprice_at: Set(millis(repricing.map(|repricing| repricing.since))),
        reprice_by: Set(repricing.map(|repricing| repricing.by.get())),
        version: Set(order.version),
    }
}

/// When all of it was in parcels, and when it had arrived.
fn way(state: &OrderState) -> (Option<Timestamp>, Option<Timestamp>) {
    match state {
        OrderState::Shipped { at, .. } => (Some(*at), None),
        OrderState::Completed { shipped_at, at, .. } => (Some(*shipped_at), Some(*at)),
        OrderState::Refunded { shipped_at, completed_at, .. } => (*shipped_at, *completed_at),
        OrderState::Unpaid(_) | OrderState::Paid(_) | OrderState::Closed { .. } => (None, None),
    }
}

pub fn line(row: entity::order_goods::Model) -> Result<Line, StoreError> {
    in_table("order_goods", read_line(row))
}

fn read_line(row: entity::order_goods::Model) -> Result<Line, BadValue> {
    let mode = DeductStock::parse(&row.deduct_stock);
    Ok(Line {
        id: row.id.try_into()?,
        order: row.order_id.try_into()?,
        goods: row.goods_id.try_into()?,
        sku: row.sku_id.try_into()?,
        goods_name: row.goods_name,
        attr: row.attr,
        image_url: row.image_url,
        price: fen(row.price_fen),
        quantity: row.quantity.try_into()?,
        total: fen(row.total_fen),
        weight_g: row.weight_g,
        deduct_stock: word("deduct_stock", row.deduct_stock, mode)?,
    })
}

pub fn line_row(wxapp: WxappId, line: &Line) -> entity::order_goods::ActiveModel {
    entity::order_goods::ActiveModel {
        id: Set(line.id.get()),
        wxapp_id: Set(wxapp.get()),
        order_id: Set(line.order.get()),
        goods_id: Set(line.goods.get()),
        sku_id: Set(line.sku.get()),
        goods_name: Set(line.goods_name.clone()),
        attr: Set(line.attr.clone()),
        image_url: Set(line.image_url.clone()),
        price_fen: Set(line.price.as_fen()),
        quantity: Set(line.quantity.pieces()),
        total_fen: Set(line.total.as_fen()),
        weight_g: Set(line.weight_g),
        deduct_stock: Set(line.deduct_stock.as_str().to_owned()),
    }
}

pub fn address_row(
    order: OrderId,
    wxapp: WxappId,
    address: &Address,
) -> entity::order_address::ActiveModel {
    entity::order_address::ActiveModel {
        order_id: Set(order.get()),
        wxapp_id: Set(wxapp.get()),
        name: Set(address.name.clone()),
        phone: Set(address.phone.clone()),
        province: Set(address.province.clone()),
        city: Set(address.city.clone()),
        district: Set(address.district.clone()),
        detail: Set(address.detail.clone()),
    }
}

pub fn address(row: entity::order_address::Model) -> Address {
    Address {
        name: row.name,
        phone: row.phone,
        province: row.province,
        city: row.city,
        district: row.district,
        detail: row.detail,
    }
}

pub fn notification_row(
    message: &NewNotification,
    now_ms: i64,
) -> Result<entity::notification::ActiveModel, StoreError> {
    let payload = serde_json::to_string(&message.facts);
    let send_at = Timestamp::from_millis(now_ms).plus_seconds(message.hold_seconds);
    Ok(entity::notification::ActiveModel {
        id: Set(message.id.get()),
        wxapp_id: Set(message.wxapp.get()),
        user_id: Set(message.user.get()),
        order_id: Set(message.order.get()),
        event: Set(message.event.as_str().to_owned()),
        ref_id: Set(message.ref_id),
        state: Set("waiting".to_owned()),
        reason: Set(None),
        payload: Set(payload.map_err(|error| StoreError::row("notification", error))?),
        form_id: Set(message.form_id.clone()),
        tries: Set(0),
        next_at: Set(send_at.as_millis()),
        claim_token: Set(None),
        claim_until: Set(None),
        msg_id: Set(None),
        created_at: Set(now_ms),
        updated_at: Set(now_ms),
    })
}
