//! The engine's refusals of what staff do, in words for a page and in codes for a program.

use crate::actors::desk::{DeskError, DeskRefusal};
use crate::domain::order::TransitionError;
use crate::http::admin::render::Trouble;
use crate::http::admin::texts::Tongue;
use crate::http::error::{ApiError, Code};

/// The name of a refusal: stable, for programs and for the table of words.
pub fn name(refusal: &DeskRefusal) -> &'static str {
    match refusal {
        DeskRefusal::Unknown(_) => "unknown",
        DeskRefusal::KeyConflict => "key_conflict",
        DeskRefusal::Transition(reason) => match reason {
            TransitionError::NotClosing => "not_closing",
            TransitionError::NotPaid => "not_paid",
            TransitionError::AlreadyClosing => "already_closing",
            TransitionError::AlreadyPaid => "already_paid",
            TransitionError::NotShipped => "not_shipped",
            TransitionError::AlreadyShipped => "already_shipped",
            TransitionError::AlreadyCompleted => "already_completed",
            TransitionError::AlreadyClosed => "already_closed",
            TransitionError::AlreadyRefunded => "already_refunded",
        },
        DeskRefusal::RefundOpen => "refund_open",
        DeskRefusal::TooManyParcels => "too_many_parcels",
        DeskRefusal::TooManyPieces { .. } => "too_many_pieces",
        DeskRefusal::NumberTaken => "number_taken",
        DeskRefusal::ParcelLeft => "parcel_left",
        DeskRefusal::BuyerTold => "buyer_told",
        DeskRefusal::NothingChanges => "nothing_changes",
        DeskRefusal::PriceTooLow => "price_too_low",
        DeskRefusal::PriceTooHigh { .. } => "price_too_high",
        DeskRefusal::Repricing => "repricing",
        DeskRefusal::Expired => "expired",
        DeskRefusal::NotAskedYet => "not_asked_yet",
        DeskRefusal::NothingToRefund => "nothing_to_refund",
        DeskRefusal::TooManyRefunds => "too_many_refunds",
        DeskRefusal::NotEnough { .. } => "not_enough",
        DeskRefusal::BadDelta => "bad_delta",
        DeskRefusal::Stale => "stale",
        DeskRefusal::CodeTaken { .. } => "code_taken",
        DeskRefusal::AlreadyResolved => "already_resolved",
        DeskRefusal::NotParked => "not_parked",
    }
}

/// The field of the form that a refusal is about; nothing: the whole.
fn field(refusal: &DeskRefusal) -> String {
    match refusal {
        DeskRefusal::NumberTaken => "number".to_owned(),
        DeskRefusal::TooManyPieces { line, .. } => format!("line-{line}"),
        DeskRefusal::PriceTooLow | DeskRefusal::PriceTooHigh { .. } => "pay".to_owned(),
        _ => String::new(),
    }
}

/// What a form shows; what is not about the form goes on as it is.
pub fn trouble(error: DeskError, tongue: Tongue) -> Result<Trouble, ApiError> {
    match error {
        DeskError::Refused(refusal) => {
            let mut text = tongue.word("refusal", name(&refusal));
            match refusal {
                DeskRefusal::TooManyPieces { left, .. } => text += &format!(" {left}"),
                DeskRefusal::NotEnough { stock } => text += &format!(" ({stock})"),
                DeskRefusal::PriceTooHigh { max } => text += &format!(" ¥{max}"),
                _ => {}
            }
            Ok(Trouble::new(&field(&refusal), text))
        }
        DeskError::Invalid { field, why } => {
            let text = format!("{}: {}", tongue.word("field", field), tongue.word("invalid", why));
            Ok(Trouble::new(field, text))
        }
        DeskError::Busy => Err(ApiError::new(Code::Busy)),
        DeskError::Unavailable => Err(ApiError::new(Code::Unavailable)),
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Refused(DeskRefusal::Unknown(what)) => Self::not_found(what),
            DeskError::Refused(DeskRefusal::KeyConflict) => Self::new(Code::IdempotencyConflict),
            DeskError::Refused(refusal) => {
                let error = Self::new(Code::InvalidState).with("reason", name(&refusal));
                match refusal {
                    DeskRefusal::TooManyPieces { line, left } => {
                        error.with("line_id", line.get()).with("left", left)
                    }
                    DeskRefusal::PriceTooHigh { max } => error.with("max_fen", max.as_fen()),
                    DeskRefusal::NotEnough { stock } => error.with("stock", stock),
                    DeskRefusal::CodeTaken { row: Some(row) } => error.with("row", row),
                    _ => error,
                }
            }
            DeskError::Invalid { field, why } => Self::invalid(field, why),
            DeskError::Busy => Self::new(Code::Busy),
            DeskError::Unavailable => Self::new(Code::Unavailable),
        }
    }
}
