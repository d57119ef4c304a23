//! Ticks: one actor that tells the others that time has passed, so that timers are tested as
//! messages.

use std::time::Duration;

use actix::prelude::*;

use super::notifier::{NotifierActor, RunNotifier};
use super::reaper::{ReaperActor, RunReaper};

/// How often the reaper and the notifier look for work.
#[derive(Debug, Clone, Copy)]
pub struct Ticks {
    pub reaper: Duration,
    pub notifier: Duration,
}

/// Ticks for the reaper and the notifier. One that is still at work is not told twice.
pub struct ClockworkActor {
    ticks: Ticks,
    reaper: Addr<ReaperActor>,
    notifier: Addr<NotifierActor>,
}

impl ClockworkActor {
    pub fn new(ticks: Ticks, reaper: Addr<ReaperActor>, notifier: Addr<NotifierActor>) -> Self {
        Self { ticks, reaper, notifier }
    }
}

impl Actor for ClockworkActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.ticks.reaper, |actor, _| {
            // A full mailbox means that it has more than enough ticks.
            let _enough = actor.reaper.try_send(RunReaper);
        });
        ctx.run_interval(self.ticks.notifier, |actor, _| {
            let _enough = actor.notifier.try_send(RunNotifier);
        });
    }
}

/// No more ticks.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopTicking;

impl Handler<StopTicking> for ClockworkActor {
    type Result = ();

    fn handle(&mut self, _: StopTicking, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
