//! Anything that can happen in a small shop, in any order, for properties over it.

use proptest::prelude::*;

use super::world::*;
use crate::domain::attempt::Attempt;
use crate::domain::books::Kept;
use crate::domain::fold::*;
use crate::domain::goods::DeductStock;
use crate::domain::order::CloseReason;
use crate::domain::payment::{IncidentReason, RefundEvent};

/// A wish; what it is about is chosen among what is there when its turn comes.
#[derive(Debug, Clone)]
pub enum Wish {
    Place { user: usize, items: Vec<(usize, i64)>, key: u8, expect_pay: Option<i64> },
    Start { order: usize },
    Prepay { attempt: usize, refused: bool },
    Pay { attempt: usize, transaction: u8, wrong_by: i64, gone: Gone },
    BeginClosing { order: usize, reason: CloseReason, user: Option<usize> },
    CloseAttempt { attempt: usize },
    Postpone { order: usize },
    Refund { refund: usize, event: RefundEvent },
    Incident { transaction: u8 },
    SwitchMode { goods: i64 },
    Reprice { order: usize, by: i64 },
    Ship { order: usize, pieces: Option<i64>, number: u8, key: Option<u8> },
    Receive { order: usize, user: Option<usize> },
    GiveBack { order: usize },
    ChangePrice { order: usize, adjust: i64 },
    Cancel { order: usize },
    Release { order: usize },
    Adjust { sku: usize, delta: i64 },
    Remind { order: usize },
    Wait { seconds: i64 },
}

/// How much of a payment WeChat shows as refunded already.
#[derive(Debug, Clone, Copy)]
pub enum Gone {
    Nothing,
    Part,
    All,
}

/// A wish made definite.
#[derive(Debug, Clone)]
pub enum Step {
    Do(Box<Command>),
    SwitchMode(i64, DeductStock),
    Reprice(i64, i64),
    Wait(i64),
}

const SKUS: [i64; 4] = [ORDER_SKUS[0], ORDER_SKUS[1], PAYMENT_SKU, FREE_SKU];

pub fn wish() -> impl Strategy<Value = Wish> {
    let any = || 0_usize..64;
    let items = prop::collection::vec((0_usize..4, 1_i64..4), 1..4);
    let expect = prop_oneof![4 => Just(None), 1 => (0_i64..6).prop_map(|n| Some(n * 100))];
    let reason =
        prop_oneof![Just(CloseReason::Buyer), Just(CloseReason::Expired), Just(CloseReason::Staff)];
    let gone = prop_oneof![6 => Just(Gone::Nothing), 1 => Just(Gone::Part), 1 => Just(Gone::All)];
    let wrong = prop_oneof![6 => Just(0), 1 => Just(-1_i64), 1 => Just(100)];
    let place = (0_usize..3, items, 0_u8..12, expect)
        .prop_map(|(user, items, key, expect_pay)| Wish::Place { user, items, key, expect_pay });
    let pay = (any(), 0_u8..10, wrong, gone).prop_map(|(attempt, transaction, wrong_by, gone)| {
        Wish::Pay { attempt, transaction, wrong_by, gone }
    });
    let ship = (any(), prop::option::of(1_i64..3), 0_u8..4, prop::option::weighted(0.3, 0_u8..3))
        .prop_map(|(order, pieces, number, key)| Wish::Ship { order, pieces, number, key });
    prop_oneof![
        6 => place,
        6 => any().prop_map(|order| Wish::Start { order }),
        3 => (any(), prop::bool::weighted(0.3)).prop_map(|(attempt, refused)| Wish::Prepay { attempt, refused }),
        6 => pay,
        3 => (any(), reason, prop::option::weighted(0.5, 0_usize..3))
            .prop_map(|(order, reason, user)| Wish::BeginClosing { order, reason, user }),
        4 => any().prop_map(|attempt| Wish::CloseAttempt { attempt }),
        1 => any().prop_map(|order| Wish::Postpone { order }),
        3 => (any(), refund_event()).prop_map(|(refund, event)| Wish::Refund { refund, event }),
        1 => (0_u8..10).prop_map(|transaction| Wish::Incident { transaction }),
        1 => (1_i64..4).prop_map(|goods| Wish::SwitchMode { goods }),
        1 => (any(), 1_i64..50).prop_map(|(order, by)| Wish::Reprice { order, by }),
        5 => ship,
        3 => (any(), prop::option::of(0_usize..3))
            .prop_map(|(order, user)| Wish::Receive { order, user }),
        2 => any().prop_map(|order| Wish::GiveBack { order }),
        2 => (any(), -150_i64..150).prop_map(|(order, adjust)| Wish::ChangePrice { order, adjust }),
        1 => any().prop_map(|order| Wish::Cancel { order }),
        2 => any().prop_map(|order| Wish::Release { order }),
        1 => (0_usize..4, -3_i64..4).prop_map(|(sku, delta)| Wish::Adjust { sku, delta }),
        1 => any().prop_map(|order| Wish::Remind { order }),
        1 => (1_i64..1_000).prop_map(|seconds| Wish::Wait { seconds }),
    ]
}

pub fn refund_event() -> impl Strategy<Value = RefundEvent> {
    prop_oneof![
        Just(RefundEvent::Request),
        Just(RefundEvent::Accepted { wechat_refund_id: Some("W".into()), look_at: START }),
        Just(RefundEvent::Succeeded { at: START }),
        Just(RefundEvent::ClosedByWechat),
        Just(RefundEvent::Abnormal),
        Just(RefundEvent::Failed { code: "ERROR".into() }),
        Just(RefundEvent::TryAgain { at: START }),
    ]
}

/// Makes wishes definite, drawing numbers for what is new.
#[derive(Debug, Default)]
pub struct Maker {
    made: i64,
}

fn pick<T>(all: impl Iterator<Item = T>, which: usize) -> Option<T> {
    let all: Vec<T> = all.collect();
    let index = which.checked_rem(all.len())?;
    all.into_iter().nth(index)
}

fn pick_order(world: &World, which: usize) -> Option<i64> {
    pick(world.books.orders.keys().map(|id| id.get()), which)
}

fn pick_attempt(world: &World, which: usize) -> Option<&Attempt> {
    pick(world.books.attempts.values().map(Kept::get), which)
}

impl Maker {
    /// None: there is nothing that the wish could be about.
    pub fn step(&mut self, world: &World, wish: Wish) -> Option<Step> {
        self.made += 1;
        let id = 1000 + self.made;
        Some(Step::Do(Box::new(match wish {
            Wish::Place { user, items, key: number, expect_pay } => {
                let items: Vec<_> = items.iter().map(|(sku, n)| (SKUS[*sku], *n)).collect();
                let user = BUYERS[user];
                // Four keys for each buyer; what was asked for is their content.
                let claim = KeyClaim {
                    key: key(user, &format!("k{}", number % 4)),
                    request_hash: format!("{items:?}"),
                };
                let expect_pay = expect_pay.map(fen);
                Place { key: claim, expect_pay, ..place(id, user, &items) }.into()
            }
            Wish::Start { order } => start(id, pick_order(world, order)?).into(),
            Wish::Prepay { attempt, refused } => {
                let attempt = pick_attempt(world, attempt)?.id.get();
                if refused {
                    prepay_refused(attempt).into()
                } else {
                    prepaid(attempt, world.now).into()
                }
            }
            Wish::Pay { attempt, transaction, wrong_by, gone } => {
                pay(pick_attempt(world, attempt)?, transaction, wrong_by, gone).into()
            }
            Wish::BeginClosing { order, reason, user } => {
                let user = user.map(|user| user_id(BUYERS[user]));
                BeginClosing { user, ..begin_closing(pick_order(world, order)?, reason) }.into()
            }
            Wish::CloseAttempt { attempt } => {
                let attempt = pick_attempt(world, attempt)?;
                close_attempt(attempt.order.get(), attempt.id.get()).into()
            }
            Wish::Postpone { order } => {
                let next_at = world.now.plus_seconds(30);
                PostponeClosing { order: order_id(pick_order(world, order)?), next_at }.into()
            }
            Wish::Refund { refund, event } => {
                let refund = pick(world.books.refunds.values().map(Kept::get), refund)?;
                ChangeRefund::of(refund, event, Vec::new()).into()
            }
            Wish::Incident { transaction } => incident(transaction).into(),
            Wish::SwitchMode { goods } => return Some(switch_mode(world, goods)),
            Wish::Reprice { order, by } => return reprice(world, order, by),
            Wish::Wait { seconds } => return Some(Step::Wait(seconds)),
            wish => return staffs(world, wish).map(|command| Step::Do(Box::new(command))),
        })))
    }
}

/// What happens to orders after they are placed, mostly by staff.
fn staffs(world: &World, wish: Wish) -> Option<Command> {
    Some(match wish {
        Wish::Ship { order, pieces, number, key } => {
            let order = pick_order(world, order)?;
            let line = world.books.lines_of(order_id(order)).first()?.id.get();
            let lines: Vec<(i64, i64)> = pieces.map(|pieces| (line, pieces)).into_iter().collect();
            let key = key.map(|key| format!("form-{key}"));
            desk(key.as_deref(), super::words::ship(order, &format!("SF{number:05}"), &lines))
                .into()
        }
        Wish::Receive { order, user } => {
            let by = match user {
                Some(user) => Receiver::Buyer(user_id(BUYERS[user])),
                None => Receiver::Time { shipped_by: world.now },
            };
            Receive { order: order_id(pick_order(world, order)?), by }.into()
        }
        Wish::GiveBack { order } => desk(None, refund_order(pick_order(world, order)?)).into(),
        Wish::ChangePrice { order, adjust } => {
            desk(None, super::words::reprice(pick_order(world, order)?, adjust)).into()
        }
        Wish::Cancel { order } => {
            let order = order_id(pick_order(world, order)?);
            desk(None, Act::Cancel { order, reason: "不要了".into() }).into()
        }
        Wish::Release { order } => {
            let order = order_id(pick_order(world, order)?);
            desk(None, Act::Release { order, reason: "微信不回答".into() }).into()
        }
        Wish::Adjust { sku, delta } => {
            let reason = "盘点".to_owned();
            desk(None, Act::AdjustStock { sku: sku_id(SKUS[sku]), delta, reason }).into()
        }
        Wish::Remind { order } => Remind { order: order_id(pick_order(world, order)?) }.into(),
        _ => return None,
    })
}

/// A transaction belongs to one attempt, as at WeChat; each attempt may have several.
fn pay(attempt: &Attempt, transaction: u8, wrong_by: i64, gone: Gone) -> Settle {
    let amount = attempt.amount.as_fen();
    let id = format!("TX{}x{}", attempt.id, transaction % 3);
    let refunds = match gone {
        Gone::Nothing => vec![],
        Gone::Part => vec![found_refund(&format!("x{id}"), 1, true)],
        Gone::All => vec![found_refund(&format!("x{id}a"), amount, true)],
    };
    Settle { refunds, ..settle(attempt.id.get(), &id, amount + wrong_by) }
}

fn incident(number: u8) -> KeepIncident {
    KeepIncident {
        wxapp: wxapp(),
        mch_id: "1900000109".into(),
        transaction: transaction(&format!("TX-{number}")),
        out_trade_no: "NOBODYS".into(),
        amount: fen(1),
        reason: IncidentReason::UnknownNumber,
    }
}

fn switch_mode(world: &World, goods: i64) -> Step {
    Step::SwitchMode(
        goods,
        match world.books.goods[&goods_id(goods)].get().deduct_stock {
            DeductStock::Order => DeductStock::Payment,
            DeductStock::Payment => DeductStock::Order,
        },
    )
}

/// Staff change the price of an order that is not being closed, and only upwards here.
fn reprice(world: &World, order: usize, by: i64) -> Option<Step> {
    use crate::domain::order::OrderState;
    let unpaid = world.books.orders.values().map(Kept::get);
    let unpaid = unpaid.filter(|order| order.state == OrderState::Unpaid(None));
    let order = pick(unpaid.map(|order| order.id.get()), order)?;
    Some(Step::Reprice(order, by))
}

impl World {
    /// Everything but a command changes the world directly.
    pub fn take(&mut self, step: &Step) -> Option<Outcome> {
        match step {
            Step::Do(command) => return Some(self.fold((**command).clone())),
            Step::SwitchMode(goods, mode) => {
                self.change_goods(*goods, |goods| goods.deduct_stock = *mode)
            }
            Step::Reprice(order, by) => self.reprice(*order, *by),
            Step::Wait(seconds) => self.wait(*seconds),
        }
        None
    }
}

/// A shop with little stock and a limit on goods 1.
pub fn small_shop(stock: i64, limit: Option<i64>) -> World {
    let mut world = World::new(stock);
    world.change_goods(1, |goods| goods.limit_per_user = limit);
    world
}

/// Makes every wish definite and true in one world, step by step.
pub fn play(world: &mut World, wishes: Vec<Wish>, mut after: impl FnMut(&mut World)) -> Vec<Step> {
    let mut maker = Maker::default();
    let mut steps = Vec::new();
    for wish in wishes {
        if let Some(step) = maker.step(world, wish) {
            world.take(&step);
            steps.push(step);
            after(world);
        }
    }
    steps
}
