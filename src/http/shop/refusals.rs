//! The engine's refusals in the words of the API: one table from reasons to codes.

use crate::actors::journal::JournalError;
use crate::actors::order::{CancelError, PlaceError, ReceiptError};
use crate::domain::admission::PlaceRefusal;
use crate::domain::cart::{CartItem, InvalidCart};
use crate::domain::fold::{ClosingRefusal, ReceiptRefusal};
use crate::domain::id::SkuId;
use crate::domain::order::TransitionError;
use crate::http::error::{ApiError, Code};

/// Why these items were not ordered; the field of the request is named.
pub fn place(refusal: PlaceRefusal, items: &[CartItem]) -> ApiError {
    match refusal {
        PlaceRefusal::UnknownSku(sku) => unknown_sku(sku, items),
        PlaceRefusal::UnknownAddress => ApiError::not_found("address_id"),
        PlaceRefusal::OffSale(sku) => ApiError::new(Code::OffSale).with("sku_id", sku.get()),
        PlaceRefusal::SoldOut { sku, available } => {
            ApiError::new(Code::SoldOut).with("sku_id", sku.get()).with("available", available)
        }
        PlaceRefusal::TooExpensive(too) => {
            ApiError::new(Code::LimitExceeded).with("max_order_fen", too.max.as_fen())
        }
        PlaceRefusal::PriceChanged { pay } => {
            ApiError::new(Code::PriceChanged).with("pay_fen", pay.as_fen())
        }
        PlaceRefusal::LimitExceeded { goods, limit } => {
            ApiError::new(Code::LimitExceeded).with("goods_id", goods.get()).with("limit", limit)
        }
        PlaceRefusal::KeyConflict => ApiError::new(Code::IdempotencyConflict),
    }
}

fn unknown_sku(sku: SkuId, items: &[CartItem]) -> ApiError {
    let index = items.iter().position(|item| item.sku == sku);
    let field = index.map_or("items".to_owned(), |index| format!("items[{index}].sku_id"));
    ApiError::not_found(&field).with("sku_id", sku.get())
}

/// Why an order was not placed.
pub fn place_error(error: PlaceError, items: &[CartItem]) -> ApiError {
    match error {
        PlaceError::Refused(refusal) => place(refusal, items),
        PlaceError::Busy => ApiError::new(Code::Busy),
        PlaceError::Unavailable => ApiError::new(Code::Unavailable),
    }
}

/// Why items are no cart.
pub fn cart(error: InvalidCart) -> ApiError {
    ApiError::invalid("items", error.to_string())
}

/// Why an order was not cancelled; `None` when it is closed or on the way there already.
pub fn cancel(error: CancelError) -> Option<ApiError> {
    match error {
        CancelError::Refused(ClosingRefusal::UnknownOrder) => Some(ApiError::not_found("id")),
        CancelError::Refused(ClosingRefusal::Transition(reason)) => transition(reason),
        CancelError::Busy => Some(ApiError::new(Code::Busy)),
        CancelError::Unavailable => Some(ApiError::new(Code::Unavailable)),
    }
}

fn transition(reason: TransitionError) -> Option<ApiError> {
    let state = match reason {
        TransitionError::AlreadyClosing | TransitionError::AlreadyClosed => return None,
        other => state_of(other),
    };
    Some(ApiError::new(Code::InvalidState).with("state", state))
}

/// The state that an order is in when it refuses for this reason.
fn state_of(reason: TransitionError) -> &'static str {
    match reason {
        TransitionError::NotClosing | TransitionError::NotPaid => "unpaid",
        TransitionError::AlreadyClosing => "unpaid",
        TransitionError::AlreadyPaid | TransitionError::NotShipped => "paid",
        TransitionError::AlreadyShipped => "shipped",
        TransitionError::AlreadyCompleted => "completed",
        TransitionError::AlreadyClosed => "closed",
        TransitionError::AlreadyRefunded => "refunded",
    }
}

/// Why receipt was not confirmed; `None` when it has been before.
pub fn receipt(error: ReceiptError) -> Option<ApiError> {
    match error {
        ReceiptError::Refused(ReceiptRefusal::UnknownOrder) => Some(ApiError::not_found("id")),
        ReceiptError::Refused(ReceiptRefusal::Transition(TransitionError::AlreadyCompleted)) => {
            None
        }
        ReceiptError::Refused(ReceiptRefusal::Transition(reason)) => {
            Some(ApiError::new(Code::InvalidState).with("state", state_of(reason)))
        }
        ReceiptError::Refused(ReceiptRefusal::NotYet | ReceiptRefusal::RefundOpen) => {
            Some(ApiError::new(Code::InvalidState).with("state", "shipped"))
        }
        ReceiptError::Busy => Some(ApiError::new(Code::Busy)),
        ReceiptError::Unavailable => Some(ApiError::new(Code::Unavailable)),
    }
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Busy => Self::new(Code::Busy),
            JournalError::Unavailable | JournalError::Closing => Self::new(Code::Unavailable),
            JournalError::Refused | JournalError::Overtaken => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::id::GoodsId;
    use crate::domain::money::{Money, Quantity};
    use crate::domain::price::TooExpensive;
    use crate::http::error::Language;

    #[test]
    fn every_refusal_has_its_code_and_detail() {
        let sku = SkuId::parse(7).unwrap();
        let items = [
            CartItem { sku: SkuId::parse(6).unwrap(), quantity: Quantity::parse(1).unwrap() },
            CartItem { sku, quantity: Quantity::parse(1).unwrap() },
        ];
        let max = Money::from_fen(100);
        for (refusal, code, detail) in [
            (
                PlaceRefusal::UnknownSku(sku),
                "not_found",
                r#"{"field":"items[1].sku_id","sku_id":7}"#,
            ),
            (PlaceRefusal::UnknownAddress, "not_found", r#"{"field":"address_id"}"#),
            (PlaceRefusal::OffSale(sku), "off_sale", r#"{"sku_id":7}"#),
            (
                PlaceRefusal::SoldOut { sku, available: 2 },
                "sold_out",
                r#"{"available":2,"sku_id":7}"#,
            ),
            (
                PlaceRefusal::TooExpensive(TooExpensive { max }),
                "limit_exceeded",
                r#"{"max_order_fen":100}"#,
            ),
            (PlaceRefusal::PriceChanged { pay: max }, "price_changed", r#"{"pay_fen":100}"#),
            (
                PlaceRefusal::LimitExceeded { goods: GoodsId::parse(5).unwrap(), limit: 3 },
                "limit_exceeded",
                r#"{"goods_id":5,"limit":3}"#,
            ),
            (PlaceRefusal::KeyConflict, "idempotency_conflict", "{}"),
        ] {
            let problem = place(refusal, &items).problem(Language::Chinese);
            assert_eq!((problem.code, problem.detail.to_string().as_str()), (code, detail));
        }
    }

    #[test]
    fn confirming_receipt_twice_is_no_error() {
        let refused = |reason| receipt(ReceiptError::Refused(ReceiptRefusal::Transition(reason)));
        assert!(refused(TransitionError::AlreadyCompleted).is_none());
        for (reason, state) in [
            (TransitionError::NotPaid, "unpaid"),
            (TransitionError::NotShipped, "paid"),
            (TransitionError::AlreadyClosed, "closed"),
            (TransitionError::AlreadyRefunded, "refunded"),
        ] {
            let problem = refused(reason).unwrap().problem(Language::Chinese);
            let expected = format!(r#"{{"state":"{state}"}}"#);
            assert_eq!((problem.code, problem.detail.to_string()), ("invalid_state", expected));
        }
    }

    #[test]
    fn cancelling_twice_is_no_error() {
        let refused = |reason| cancel(CancelError::Refused(ClosingRefusal::Transition(reason)));
        assert!(refused(TransitionError::AlreadyClosing).is_none());
        assert!(refused(TransitionError::AlreadyClosed).is_none());
        assert_eq!(refused(TransitionError::AlreadyPaid).unwrap().code(), Code::InvalidState);
    }
}
