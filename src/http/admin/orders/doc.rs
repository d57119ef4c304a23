//! What programs see of an order: the JSON of its detail.

use serde::Serialize;
use utoipa::ToSchema;

use super::list::StaffOrderJson;
use crate::actors::desk::{Acted, Inquired, InquiredWord};
use crate::domain::address::Address;
use crate::domain::attempt::Attempt;
use crate::domain::payment::{Payment, Refund};
use crate::domain::shipment::Shipment;
use crate::domain::timeline::Happening;
use crate::http::shop::views::{AddressJson, time};
use crate::store::desk::{MessageRow, OrderDetail};

/// An order with everything about it.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminOrderDetail)]
pub struct OrderDetailJson {
    #[serde(flatten)]
    order: StaffOrderJson,
    parcels: Vec<ParcelJson>,
    timeline: Vec<EventJson>,
    attempts: Vec<AttemptJson>,
    payments: Vec<PaymentJson>,
    refunds: Vec<RefundRowJson>,
    messages: Vec<MessageJson>,
}

impl From<OrderDetail> for OrderDetailJson {
    fn from(detail: OrderDetail) -> Self {
        Self {
            parcels: detail.order.order.shipments.iter().map(ParcelJson::from).collect(),
            order: detail.order.into(),
            timeline: detail.timeline.into_iter().map(EventJson::from).collect(),
            attempts: detail.attempts.into_iter().map(AttemptJson::from).collect(),
            payments: detail.payments.into_iter().map(PaymentJson::from).collect(),
            refunds: detail.refunds.into_iter().map(RefundRowJson::from).collect(),
            messages: detail.messages.into_iter().map(MessageJson::from).collect(),
        }
    }
}

/// A parcel, by the id under which its number is corrected.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminShippedParcel)]
pub struct ParcelJson {
    id: i64,
    company_code: String,
    number: String,
    /// How often it was corrected. WeChat takes one correction.
    corrections: i64,
}

impl From<&Shipment> for ParcelJson {
    fn from(parcel: &Shipment) -> Self {
        Self {
            id: parcel.id.get(),
            company_code: parcel.carrier.code().to_owned(),
            number: parcel.number.to_string(),
            corrections: parcel.corrections,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminOrderEvent)]
pub struct EventJson {
    #[schema(example = "shipped")]
    event: &'static str,
    /// `buyer`, `staff:ID`, `system`, `wechat`.
    who: String,
    at: String,
    /// Amounts, numbers, reasons.
    facts: std::collections::BTreeMap<String, String>,
}

impl From<Happening> for EventJson {
    fn from(happening: Happening) -> Self {
        Self {
            event: happening.what.as_str(),
            who: happening.who.to_string(),
            at: time(happening.at),
            facts: happening.detail,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminAttempt)]
pub struct AttemptJson {
    out_trade_no: String,
    amount_fen: i64,
    /// `requesting`, `open`, `failed`, `closing`, `closed`, `paid`.
    state: &'static str,
    created_at: String,
    time_expire: String,
}

impl From<Attempt> for AttemptJson {
    fn from(attempt: Attempt) -> Self {
        Self {
            out_trade_no: attempt.out_trade_no.to_string(),
            amount_fen: attempt.amount.as_fen(),
            state: attempt.state.as_str(),
            created_at: time(attempt.created_at),
            time_expire: time(attempt.time_expire),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminPayment)]
pub struct PaymentJson {
    transaction_id: String,
    amount_fen: i64,
    /// `settled`: it paid the order; `surplus`: it goes back.
    kind: &'static str,
    paid_at: String,
}

impl From<Payment> for PaymentJson {
    fn from(payment: Payment) -> Self {
        Self {
            transaction_id: payment.evidence.transaction.to_string(),
            amount_fen: payment.evidence.amount.as_fen(),
            kind: payment.kind.as_str(),
            paid_at: time(payment.evidence.paid_at),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminRefund)]
pub struct RefundRowJson {
    out_refund_no: String,
    amount_fen: i64,
    /// `auto`, `staff`, `external`.
    kind: &'static str,
    /// `due`, `requested`, `processing`, `success`, `abnormal`, `failed`.
    state: &'static str,
    reason: String,
    created_at: String,
    success_at: Option<String>,
}

impl From<Refund> for RefundRowJson {
    fn from(refund: Refund) -> Self {
        Self {
            out_refund_no: refund.out_refund_no.to_string(),
            amount_fen: refund.amount.as_fen(),
            kind: refund.kind.as_str(),
            state: refund.state.as_str(),
            reason: refund.reason,
            created_at: time(refund.created_at),
            success_at: refund.success_at.map(time),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminMessage)]
pub struct MessageJson {
    id: i64,
    event: String,
    state: String,
    reason: Option<String>,
    tries: i64,
    created_at: String,
}

impl From<MessageRow> for MessageJson {
    fn from(message: MessageRow) -> Self {
        Self {
            id: message.id,
            event: message.event,
            state: message.state,
            reason: message.reason,
            tries: message.tries,
            created_at: time(message.created_at),
        }
    }
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminActed)]
pub struct ActedJson {
    /// The `Idempotency-Key` had acted before; nothing has changed.
    repeated: bool,
    /// The parcel that left.
    parcel_id: Option<i64>,
}

impl From<Acted> for ActedJson {
    fn from(acted: Acted) -> Self {
        Self { repeated: acted.repeated, parcel_id: acted.shipment.map(|id| id.get()) }
    }
}

/// Where an order goes.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminAddressAnswer)]
pub struct AddressAnswer {
    address: Option<AddressJson>,
}

impl AddressAnswer {
    pub fn new(address: Option<Address>) -> Self {
        Self { address: address.map(AddressJson::from) }
    }
}

/// WeChat's word about one attempt.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminInquired)]
pub struct InquiredJson {
    pub out_trade_no: String,
    /// `paid`, `refunded`, `not_paid`, `closed`, `unknown`, `others`, `no_answer`.
    pub word: &'static str,
    pub why: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminInquiries)]
pub struct InquiriesJson {
    pub items: Vec<InquiredJson>,
}

impl From<Inquired> for InquiredJson {
    fn from(inquired: Inquired) -> Self {
        let (word, why) = match inquired.word {
            InquiredWord::Paid => ("paid", None),
            InquiredWord::Refunded => ("refunded", None),
            InquiredWord::NotPaid => ("not_paid", None),
            InquiredWord::Closed => ("closed", None),
            InquiredWord::Unknown => ("unknown", None),
            InquiredWord::Others => ("others", None),
            InquiredWord::NoAnswer(why) => ("no_answer", Some(why)),
        };
        Self { out_trade_no: inquired.out_trade_no.to_string(), word, why }
    }
}
