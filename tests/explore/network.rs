//! Between us and WeChat: what becomes of one number and of who is busy with it.

use super::steps::Action;
use super::world::*;

/// What happens to one number between us and WeChat.
pub fn network(pay: &mut Pay, action: Action, knew: bool, at: usize) {
    match action {
        Action::Send(_) => (pay.flying, pay.call) = (true, Call::Waiting),
        Action::Arrive(_) => {
            pay.flying = false;
            let answer = match pay.trade {
                Trade::Unheard | Trade::Open => Call::Prepaid,
                Trade::Paid | Trade::Closed => Call::Spent,
            };
            if pay.trade == Trade::Unheard {
                pay.trade = Trade::Open;
            }
            if pay.call == Call::Waiting {
                pay.call = answer;
            }
        }
        Action::Reject(_) => {
            pay.flying = false;
            if pay.call == Call::Waiting {
                pay.call = Call::Refused;
            }
        }
        Action::LoseAnswer(_) => pay.call = Call::None,
        Action::Pay(_) | Action::NotifyOfLateMoney(_) => pay.trade = Trade::Paid,
        Action::CloserMishears(_) => {
            let trade = std::mem::replace(&mut pay.trade, Trade::Unheard);
            match pay.closer {
                Closer::ToClose { .. } => closer_closes(pay),
                _ => closer_asks(pay, knew, at),
            }
            pay.trade = trade;
        }
        Action::CloserAsks(_) => closer_asks(pay, knew, at),
        Action::CloserCloses(_) => closer_closes(pay),
        Action::CloserTells(_) | Action::CloserDies(_) => pay.closer = Closer::Idle,
        _ => {}
    }
}

fn closer_asks(pay: &mut Pay, knew: bool, at: usize) {
    if pay.call == Call::Spent {
        pay.call = Call::None;
    }
    pay.closer = match (pay.closer, pay.trade) {
        (Closer::Idle, Trade::Open) => Closer::ToClose { knew, unknown: false },
        (Closer::Idle, Trade::Unheard) if knew => Closer::ToClose { knew, unknown: true },
        (Closer::Idle, word) => Closer::Word { knew, word, at },
        (Closer::ToAsk { .. }, Trade::Open) => Closer::Idle,
        (Closer::ToAsk { knew }, word) => Closer::Word { knew, word, at },
        (other, _) => other,
    };
}

fn closer_closes(pay: &mut Pay) {
    let Closer::ToClose { knew, unknown } = pay.closer else { return };
    let refused = matches!(pay.trade, Trade::Unheard | Trade::Closed);
    if pay.trade == Trade::Open {
        pay.trade = Trade::Closed;
    }
    pay.closer = if refused && !unknown { Closer::Idle } else { Closer::ToAsk { knew } };
}
