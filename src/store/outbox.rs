//! The outbox: messages that wait, who is sending them, and what came of it.

use entity::{message_grant, notification};
use sea_orm::sea_query::{Alias, CaseStatement, Expr, ExprTrait as _, Query};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};

use super::db::{Readers, StoreError, Write, readable};
use crate::domain::id::{NotificationId, UserId, WxappId};
use crate::domain::notification::{Event, Facts};
use crate::domain::time::Timestamp;

/// A message that is to be sent.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub id: NotificationId,
    pub wxapp: WxappId,
    pub user: UserId,
    pub event: Event,
    pub facts: Facts,
    pub form_id: Option<String>,
    /// How often it has been claimed, this time included.
    pub tries: i64,
    pub created_at: Timestamp,
    /// An earlier try ended without an answer: it may have been delivered.
    pub maybe_delivered: bool,
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    Sent {
        msg_id: Option<String>,
    },
    /// The buyer has not agreed; final.
    Refused,
    /// Refused, but an earlier try may have been the one that used the consent.
    ProbablyDelivered,
    /// Given up; visible, can be sent again.
    Parked {
        reason: String,
    },
    Skipped {
        reason: &'static str,
    },
    /// Nothing was sent; again then.
    Later {
        at: Timestamp,
    },
    /// It was not even tried: the claim counts as no try; again then.
    Untried {
        at: Timestamp,
        maybe_delivered: bool,
    },
    /// Nothing was tried for want of a consent; again then.
    AwaitsGrant {
        at: Timestamp,
    },
    /// The answer was lost; once more then.
    MaybeDelivered {
        at: Timestamp,
    },
}

impl Delivery {
    /// One word for metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Refused => "refused",
            Self::ProbablyDelivered => "probably_delivered",
            Self::Parked { .. } => "parked",
            Self::Skipped { .. } => "skipped",
            Self::Later { .. } => "later",
            Self::Untried { .. } => "untried",
            Self::AwaitsGrant { .. } => "awaits_grant",
            Self::MaybeDelivered { .. } => "maybe_delivered",
        }
    }
}

const MAYBE: &str = "maybe_delivered";
const AWAITS_GRANT: &str = "awaits_grant";
/// Two tries, and of neither it is known what came of it.
const UNANSWERED: &str = "unanswered";
const UNREADABLE: &str = "unreadable";

fn waits(now: Timestamp) -> Condition {
    Condition::all()
        .add(notification::Column::State.eq("waiting"))
        .add(notification::Column::NextAt.lte(now.as_millis()))
}

fn is_forgotten(now: Timestamp) -> Condition {
    Condition::all()
        .add(notification::Column::State.eq("sending"))
        .add(notification::Column::ClaimUntil.lt(now.as_millis()))
}

/// The same of rows that are known by id, as a CASE, which no index answers: a planner that knows
/// too little of a table that has grown fast takes the index of states instead of the ids, and
/// walks all messages that wait.
fn waiting_long_enough(now: Timestamp) -> CaseStatement {
    let is_due = notification::Column::NextAt.lte(now.as_millis());
    CaseStatement::new().case(notification::Column::State.eq("waiting"), is_due)
}

fn sending_too_long(case: CaseStatement, now: Timestamp) -> CaseStatement {
    let is_over = notification::Column::ClaimUntil.lt(now.as_millis());
    case.case(notification::Column::State.eq("sending"), is_over)
}

/// Holds where nobody is sending another message to the same buyer: WeChat takes one at a time
/// (43108). Two processes that look at the same moment may still both begin; the second is refused
/// and comes back.
fn buyer_is_free(now: Timestamp) -> Expr {
    let other = || Alias::new("other");
    let sending = Query::select()
        .expr(Expr::val(1))
        .from_as(notification::Entity, other())
        .and_where(
            Expr::col((other(), notification::Column::UserId))
                .equals((notification::Entity, notification::Column::UserId)),
        )
        .and_where(Expr::col((other(), notification::Column::State)).eq("sending"))
        .and_where(Expr::col((other(), notification::Column::ClaimUntil)).gte(now.as_millis()))
        .to_owned();
    Expr::not_exists(sending)
}

/// Ids of messages that should be sent now, the longest waiting first.
pub async fn due(
    readers: &Readers,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<NotificationId>, StoreError> {
    // Two questions, as no index answers both.
    let mut found = Vec::new();
    for due in [waits(now), is_forgotten(now)] {
        let ids: Vec<(i64, i64)> = notification::Entity::find()
            .select_only()
            .columns([notification::Column::NextAt, notification::Column::Id])
            .filter(due)
            .filter(buyer_is_free(now))
            .order_by_asc(notification::Column::NextAt)
            .limit(limit)
            .into_tuple()
            .all(readers.db())
            .await?;
        found.extend(ids);
    }
    found.sort_unstable();
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let parse =
        |(_, id)| NotificationId::parse(id).map_err(|error| StoreError::row("notification", error));
    Ok(readable(found.into_iter().map(parse)))
}

/// Claims messages for one sender until a deadline. A claim that has run out is one whose answer
/// was lost: what it sent may have arrived. One more try may follow; when that runs out, too, the
/// message is parked.
pub fn claim(
    backend: DbBackend,
    ids: &[NotificationId],
    token: &str,
    now: Timestamp,
    until: Timestamp,
) -> Write {
    let mine = notification::Column::Id.is_in(ids.iter().map(|id| id.get()));
    let late: Expr = sending_too_long(CaseStatement::new(), now).finally(false).into();
    let due: Expr = sending_too_long(waiting_long_enough(now), now).finally(false).into();
    let ran_out = Condition::all().add(mine.clone()).add(late);
    let twice = notification::Entity::update_many()
        .col_expr(notification::Column::State, Expr::value("parked"))
        .col_expr(notification::Column::Reason, Expr::value(UNANSWERED))
        .col_expr(notification::Column::ClaimToken, Expr::value(Option::<String>::None))
        .col_expr(notification::Column::ClaimUntil, Expr::value(Option::<i64>::None))
        .col_expr(notification::Column::UpdatedAt, Expr::value(now.as_millis()))
        .filter(ran_out.clone())
        .filter(notification::Column::Reason.eq(MAYBE));
    let forgotten = notification::Entity::update_many()
        .col_expr(notification::Column::Reason, Expr::value(MAYBE))
        .filter(ran_out);
    let claim = notification::Entity::update_many()
        .col_expr(notification::Column::State, Expr::value("sending"))
        .col_expr(notification::Column::ClaimToken, Expr::value(token))
        .col_expr(notification::Column::ClaimUntil, Expr::value(until.as_millis()))
        .col_expr(notification::Column::Tries, Expr::col(notification::Column::Tries).add(1))
        .col_expr(notification::Column::UpdatedAt, Expr::value(now.as_millis()))
        .filter(mine)
        .filter(due);
    Write::one(twice.build(backend)).and(forgotten.build(backend)).and(claim.build(backend))
}

/// What a claim has brought.
#[derive(Debug, Default)]
pub struct Claimed {
    pub messages: Vec<Waiting>,
    /// Rows that say what this program does not understand; they are not to stop the others.
    pub unreadable: Vec<i64>,
}

/// The messages that this token holds.
pub async fn claimed(readers: &Readers, token: &str) -> Result<Claimed, StoreError> {
    let rows = notification::Entity::find()
        .filter(notification::Column::ClaimToken.eq(token))
        .filter(notification::Column::State.eq("sending"))
        .order_by_asc(notification::Column::Id)
        .all(readers.db())
        .await?;
    let mut claimed = Claimed::default();
    for row in rows {
        let id = row.id;
        match waiting(row) {
            Ok(message) => claimed.messages.push(message),
            Err(error) => {
                tracing::error!(notification = id, %error, "a message cannot be read");
                claimed.unreadable.push(id);
            }
        }
    }
    Ok(claimed)
}

fn waiting(row: notification::Model) -> Result<Waiting, StoreError> {
    let bad = |error| StoreError::row("notification", error);
    let event = Event::parse(&row.event);
    let facts = serde_json::from_str(&row.payload);
    Ok(Waiting {
        id: NotificationId::parse(row.id).map_err(bad)?,
        wxapp: WxappId::parse(row.wxapp_id).map_err(bad)?,
        user: UserId::parse(row.user_id).map_err(bad)?,
        event: event.ok_or_else(|| StoreError::row("notification", "unknown event"))?,
        facts: facts.map_err(|error| StoreError::row("notification", error))?,
        form_id: row.form_id,
        tries: row.tries,
        created_at: Timestamp::from_millis(row.created_at),
        maybe_delivered: row.reason.as_deref() == Some(MAYBE),
    })
}

/// Writes what came of a message, where the claim is still ours.
pub fn finish(
    backend: DbBackend,
    id: NotificationId,
    token: &str,
    delivery: &Delivery,
    now: Timestamp,
) -> Write {
    let (state, reason, next_at) = match delivery {
        Delivery::Sent { .. } => ("sent", None, None),
        Delivery::Refused => ("refused", Some("43101".to_owned()), None),
        Delivery::ProbablyDelivered => ("probably_delivered", Some("43101".to_owned()), None),
        Delivery::Parked { reason } => ("parked", Some(reason.clone()), None),
        Delivery::Skipped { reason } => ("skipped", Some((*reason).to_owned()), None),
        Delivery::AwaitsGrant { at } => ("waiting", Some(AWAITS_GRANT.to_owned()), Some(*at)),
        Delivery::MaybeDelivered { at } | Delivery::Untried { at, maybe_delivered: true } => {
            ("waiting", Some(MAYBE.to_owned()), Some(*at))
        }
        Delivery::Later { at } | Delivery::Untried { at, .. } => ("waiting", None, Some(*at)),
    };
    let msg_id = match delivery {
        Delivery::Sent { msg_id } => msg_id.clone(),
        _ => None,
    };
    let mut update = notification::Entity::update_many()
        .col_expr(notification::Column::State, Expr::value(state))
        .col_expr(notification::Column::Reason, Expr::value(reason))
        .col_expr(notification::Column::MsgId, Expr::value(msg_id))
        .col_expr(notification::Column::ClaimToken, Expr::value(Option::<String>::None))
        .col_expr(notification::Column::ClaimUntil, Expr::value(Option::<i64>::None))
        .col_expr(notification::Column::UpdatedAt, Expr::value(now.as_millis()));
    if let Delivery::AwaitsGrant { .. } | Delivery::Untried { .. } = delivery {
        update = update.col_expr(notification::Column::Tries, untried());
    }
    if let Some(at) = next_at {
        update = update.col_expr(notification::Column::NextAt, Expr::value(at.as_millis()));
    }
    let update = update
        .filter(notification::Column::Id.eq(id.get()))
        .filter(notification::Column::ClaimToken.eq(token));
    Write::one(update.build(backend))
}

/// The claim counted a try that was none.
fn untried() -> Expr {
    Expr::col(notification::Column::Tries).sub(1)
}

/// Gives up what cannot be read; visible, and can be sent again by a program that understands it.
pub fn park_unreadable(backend: DbBackend, ids: &[i64], token: &str, now: Timestamp) -> Write {
    let update = notification::Entity::update_many()
        .col_expr(notification::Column::State, Expr::value("parked"))
        .col_expr(notification::Column::Reason, Expr::value(UNREADABLE))
        .col_expr(notification::Column::ClaimToken, Expr::value(Option::<String>::None))
        .col_expr(notification::Column::ClaimUntil, Expr::value(Option::<i64>::None))
        .col_expr(notification::Column::UpdatedAt, Expr::value(now.as_millis()))
        .filter(notification::Column::Id.is_in(ids.iter().copied()))
        .filter(notification::Column::ClaimToken.eq(token));
    Write::one(update.build(backend))
}

/// Gives claims back, as if they had not been taken. Only for messages that were not tried.
pub fn give_back(backend: DbBackend, token: &str, ids: &[NotificationId]) -> Write {
    let update = notification::Entity::update_many()
        .col_expr(notification::Column::State, Expr::value("waiting"))
        .col_expr(notification::Column::ClaimToken, Expr::value(Option::<String>::None))
        .col_expr(notification::Column::ClaimUntil, Expr::value(Option::<i64>::None))
        .col_expr(notification::Column::Tries, untried())
        .filter(notification::Column::Id.is_in(ids.iter().map(|id| id.get())))
        .filter(notification::Column::ClaimToken.eq(token))
        .filter(notification::Column::State.eq("sending"));
    Write::one(update.build(backend))
}

/// How many messages of a template the buyer has agreed to.
pub async fn grants(
    readers: &Readers,
    wxapp: WxappId,
    user: UserId,
    template_id: &str,
) -> Result<i64, StoreError> {
    let key = (wxapp.get(), user.get(), template_id.to_owned());
    let row = message_grant::Entity::find_by_id(key).one(readers.db()).await?;
    Ok(row.map_or(0, |row| row.remaining))
}

/// Adds to, or takes from, what a buyer has agreed to; never below zero.
pub fn change_grants(
    backend: DbBackend,
    wxapp: WxappId,
    user: UserId,
    template_id: &str,
    by: GrantChange,
    now: Timestamp,
) -> Write {
    let remaining = || Expr::col(message_grant::Column::Remaining);
    let value = match by {
        GrantChange::Take => remaining().sub(1),
        GrantChange::GiveBack => remaining().add(1),
        GrantChange::Clear => Expr::value(0),
    };
    let update = message_grant::Entity::update_many()
        .col_expr(message_grant::Column::Remaining, value)
        .col_expr(message_grant::Column::UpdatedAt, Expr::value(now.as_millis()))
        .filter(message_grant::Column::WxappId.eq(wxapp.get()))
        .filter(message_grant::Column::UserId.eq(user.get()))
        .filter(message_grant::Column::TemplateId.eq(template_id));
    let update = match by {
        GrantChange::Take => update.filter(message_grant::Column::Remaining.gt(0)),
        GrantChange::GiveBack | GrantChange::Clear => update,
    };
    Write::one(update.build(backend))
}

/// What happens to a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantChange {
    Take,
    /// The failure used none up.
    GiveBack,
    /// WeChat says that there is none.
    Clear,
}

/// Messages of this buyer that wait for a consent are due now.
pub fn wake(backend: DbBackend, wxapp: WxappId, user: UserId, now: Timestamp) -> Write {
    let update = notification::Entity::update_many()
        .col_expr(notification::Column::NextAt, Expr::value(now.as_millis()))
        .filter(notification::Column::WxappId.eq(wxapp.get()))
        .filter(notification::Column::UserId.eq(user.get()))
        .filter(notification::Column::State.eq("waiting"))
        .filter(notification::Column::Reason.eq(AWAITS_GRANT));
    Write::one(update.build(backend))
}

/// How many messages wait, and since when the oldest does.
pub async fn depth(readers: &Readers) -> Result<(u64, Option<Timestamp>), StoreError> {
    let open = || {
        notification::Entity::find()
            .filter(notification::Column::State.is_in(["waiting", "sending"]))
    };
    let waiting = open().count(readers.db()).await?;
    let oldest: Option<i64> = open()
        .select_only()
        .column(notification::Column::CreatedAt)
        .order_by_asc(notification::Column::CreatedAt)
        .limit(1)
        .into_tuple()
        .one(readers.db())
        .await?;
    Ok((waiting, oldest.map(Timestamp::from_millis)))
}
