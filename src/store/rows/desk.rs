//! What staff do: the audit log, stock moved by hand, incidents and messages as staff find them.

use sea_orm::Set;

use super::super::db::StoreError;
use super::{BadValue, in_table, needed, time, word};
use crate::domain::books::EntryKind;
use crate::domain::desk::{
    AuditEntry, IncidentCase, MessageCase, Resolution, Resolved, UnsentMessage,
};
use crate::domain::id::ShipmentId;
use crate::domain::notification::Facts;
use crate::domain::payment::IncidentReason;
use crate::domain::stock::Adjustment;

pub fn audit_row(entry: &AuditEntry) -> Result<entity::audit_entry::ActiveModel, StoreError> {
    let json = |facts: &Facts| {
        serde_json::to_string(facts).map_err(|error| StoreError::row("audit_entry", error))
    };
    let key = entry.key.as_ref();
    Ok(entity::audit_entry::ActiveModel {
        id: Set(entry.id.get()),
        wxapp_id: Set(entry.wxapp.get()),
        staff_id: Set(entry.staff.get()),
        action: Set(entry.action.to_owned()),
        subject: Set(entry.subject.kind().to_owned()),
        subject_id: Set(entry.subject.id()),
        before_json: Set(json(&entry.before)?),
        after_json: Set(json(&entry.after)?),
        reason: Set(entry.reason.clone()),
        form_key: Set(key.map(|key| key.key.as_str().to_owned())),
        request_hash: Set(key.map(|key| key.request_hash.clone())),
        created_at: Set(entry.at.as_millis()),
    })
}

pub fn adjustment_row(entry: &Adjustment) -> entity::stock_entry::ActiveModel {
    entity::stock_entry::ActiveModel {
        id: Set(entry.id.get()),
        wxapp_id: Set(entry.wxapp.get()),
        sku_id: Set(entry.sku.get()),
        seq: Set(entry.seq),
        kind: Set(EntryKind::Adjust.as_str().to_owned()),
        order_id: Set(None),
        order_goods_id: Set(None),
        delta: Set(entry.delta),
        balance: Set(entry.balance),
        who: Set(format!("staff:{}", entry.by)),
        reason: Set(entry.reason.clone()),
        created_at: Set(entry.at.as_millis()),
    }
}

pub fn incident(row: entity::incident::Model) -> Result<IncidentCase, StoreError> {
    in_table("incident", read_incident(row))
}

fn read_incident(row: entity::incident::Model) -> Result<IncidentCase, BadValue> {
    let reason = IncidentReason::parse(&row.reason);
    let resolved = resolved(&row)?;
    Ok(IncidentCase {
        id: row.id.try_into()?,
        wxapp: row.wxapp_id.try_into()?,
        reason: word("reason", row.reason, reason)?,
        amount_fen: row.amount_fen,
        resolved,
    })
}

fn resolved(row: &entity::incident::Model) -> Result<Option<Resolved>, BadValue> {
    let how = match row.state.as_str() {
        "open" => return Ok(None),
        "matched" => Resolution::Matched(needed("order_id", row.order_id)?.try_into()?),
        "refunded" => Resolution::Refunded,
        "dismissed" => Resolution::Dismissed,
        other => return Err(BadValue::Word("state", other.to_owned())),
    };
    Ok(Some(Resolved {
        how,
        by: needed("resolved_by", row.resolved_by)?.try_into()?,
        reason: row.resolution.clone().unwrap_or_default(),
        at: time(needed("resolved_at", row.resolved_at)?),
    }))
}

pub fn message(row: &entity::notification::Model) -> Result<MessageCase, StoreError> {
    in_table("notification", read_message(row))
}

fn read_message(row: &entity::notification::Model) -> Result<MessageCase, BadValue> {
    Ok(MessageCase {
        id: row.id.try_into()?,
        wxapp: row.wxapp_id.try_into()?,
        order: row.order_id.try_into()?,
        parked: row.state == "parked",
    })
}

/// The message about a parcel, if nobody has begun to send it: it waits, perhaps for a consent, and
/// no try has been made that may have arrived.
pub fn unsent(
    row: &entity::notification::Model,
) -> Result<Option<(ShipmentId, UnsentMessage)>, StoreError> {
    if row.state != "waiting" || row.tries != 0 || row.claim_token.is_some() {
        return Ok(None);
    }
    let facts = serde_json::from_str(&row.payload);
    let facts = facts.map_err(|error| StoreError::row("notification", error))?;
    in_table("notification", read_unsent(row, facts)).map(Some)
}

fn read_unsent(
    row: &entity::notification::Model,
    facts: Facts,
) -> Result<(ShipmentId, UnsentMessage), BadValue> {
    let message = UnsentMessage { id: row.id.try_into()?, facts, is_void: false };
    Ok((row.ref_id.try_into()?, message))
}

/// What a message tells, as it is stored.
pub fn payload(message: &UnsentMessage) -> Result<String, StoreError> {
    serde_json::to_string(&message.facts).map_err(|error| StoreError::row("notification", error))
}
