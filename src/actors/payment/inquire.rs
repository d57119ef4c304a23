//! Staff ask whether an order is paid: of all attempts, also of those that are closed for us.

use super::actor::Inner;
use super::closing::{Asked, take_word};
use super::protocol::{Inquired, InquiredWord, PaymentError};
use super::provider::TradeWord;
use crate::domain::attempt::{Attempt, AttemptState};
use crate::domain::id::OrderId;
use crate::store::payments;

/// The latest attempts that are asked about.
const ATTEMPTS_MAX: usize = 10;

pub(super) async fn inquire(inner: &Inner, id: OrderId) -> Result<Vec<Inquired>, PaymentError> {
    let deps = &inner.deps;
    let found = payments::order_with_attempts(&deps.readers, deps.wxapp.id, id).await?;
    let Some((_, attempts)) = found else { return Ok(Vec::new()) };
    let mut answers = Vec::new();
    for attempt in attempts.iter().rev().take(ATTEMPTS_MAX) {
        let out_trade_no = attempt.out_trade_no.clone();
        answers.push(Inquired { out_trade_no, word: ask(inner, attempt).await? });
    }
    Ok(answers)
}

/// Money that is not recorded yet is settled, or goes back; everything else is only told.
async fn ask(inner: &Inner, attempt: &Attempt) -> Result<InquiredWord, PaymentError> {
    let asked = Asked { at: inner.deps.clock.now(), claim: None };
    let word = match inner.deps.provider.ask(attempt).await {
        Ok(word) => word,
        Err(error) => return Ok(InquiredWord::NoAnswer(error.text())),
    };
    let said = match &word {
        TradeWord::Paid(_) => InquiredWord::Paid,
        TradeWord::PaidAndRefunded(_) => InquiredWord::Refunded,
        TradeWord::NotPaid => InquiredWord::NotPaid,
        TradeWord::Closed => InquiredWord::Closed,
        TradeWord::Unknown => InquiredWord::Unknown,
        TradeWord::PaidByOthers(_) | TradeWord::OpenByOthers => InquiredWord::Others,
    };
    let speaks_of_money = matches!(word, TradeWord::Paid(_) | TradeWord::PaidAndRefunded(_));
    if speaks_of_money && attempt.state != AttemptState::Paid {
        take_word(inner, attempt, word, asked).await?;
    }
    Ok(said)
}
