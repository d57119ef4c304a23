//! What we rely on in actix 0.13, each by a test: style.md, section 4.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix::prelude::*;
use tokio::sync::{Notify, oneshot};

/// Counts, stops short, fails.
#[derive(Default)]
struct Subject {
    counted: Vec<u32>,
}

impl Actor for Subject {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(2);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Count(u32);

impl Handler<Count> for Subject {
    type Result = ();
    fn handle(&mut self, Count(number): Count, _: &mut Self::Context) {
        self.counted.push(number);
    }
}

#[derive(Message)]
#[rtype(result = "Vec<u32>")]
struct Counted;

impl Handler<Counted> for Subject {
    type Result = MessageResult<Counted>;
    fn handle(&mut self, _: Counted, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.counted.clone())
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for Subject {
    type Result = ();
    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("as told");
    }
}

/// Waits, then tells that it has come to its end.
#[derive(Message)]
#[rtype(result = "()")]
struct Long {
    go_on: oneshot::Receiver<()>,
    ended: oneshot::Sender<()>,
}

impl Handler<Long> for Subject {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, long: Long, _: &mut Self::Context) -> Self::Result {
        Box::pin(async move {
            long.go_on.await.unwrap();
            long.ended.send(()).unwrap();
        })
    }
}

/// The same, but the result changes the actor.
#[derive(Message)]
#[rtype(result = "()")]
struct CountLater(oneshot::Receiver<()>, u32);

impl Handler<CountLater> for Subject {
    type Result = ResponseActFuture<Self, ()>;
    fn handle(
        &mut self,
        CountLater(go_on, number): CountLater,
        _: &mut Self::Context,
    ) -> Self::Result {
        let waiting = async move { drop(go_on.await) };
        Box::pin(waiting.into_actor(self).map(move |(), actor, _| actor.counted.push(number)))
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for Subject {
    type Result = ();
    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

static RESTARTS: AtomicU32 = AtomicU32::new(0);

impl Supervised for Subject {
    fn restarting(&mut self, _: &mut Self::Context) {
        RESTARTS.fetch_add(1, Ordering::SeqCst);
    }
}

#[actix::test]
async fn a_handler_runs_to_its_end_when_the_caller_gives_up() {
    let subject = Subject::default().start();
    let (go, go_on) = oneshot::channel();
    let (ended, has_ended) = oneshot::channel();
    let mut asked = Box::pin(subject.send(Long { go_on, ended }));
    super::testing::begin(&mut asked).await;
    subject.send(Count(1)).await.unwrap();
    drop(asked);
    go.send(()).unwrap();
    has_ended.await.unwrap();
}

/// So what must not be lost goes by `do_send`, with a reply channel of its own.
#[actix::test]
async fn a_question_nobody_waits_for_is_skipped_and_an_order_is_not() {
    let subject = Subject::default().start();
    let mut asked = Box::pin(subject.send(Count(7)));
    super::testing::begin(&mut asked).await;
    drop(asked);
    subject.do_send(Count(8));
    assert_eq!(subject.send(Counted).await.unwrap(), [8]);
}

#[actix::test]
async fn the_mailbox_goes_on_while_a_future_waits() {
    let subject = Subject::default().start();
    let (go, go_on) = oneshot::channel();
    let mut later = Box::pin(subject.send(CountLater(go_on, 1)));
    super::testing::begin(&mut later).await;
    subject.send(Count(2)).await.unwrap();
    go.send(()).unwrap();
    later.await.unwrap();
    assert_eq!(subject.send(Counted).await.unwrap(), [2, 1]);
}

#[actix::test]
async fn messages_of_one_sender_keep_their_order() {
    let arbiter = Arbiter::new();
    let subject = Subject::start_in_arbiter(&arbiter.handle(), |_| Subject::default());
    for number in 0..1_000 {
        subject.do_send(Count(number));
    }
    assert_eq!(subject.send(Counted).await.unwrap(), (0..1_000).collect::<Vec<_>>());
    arbiter.stop();
}

#[actix::test]
async fn do_send_ignores_the_capacity_and_try_send_keeps_it() {
    let arbiter = Arbiter::new();
    let hold = Arc::new(Notify::new());
    let held = hold.clone();
    let subject = Subject::start_in_arbiter(&arbiter.handle(), |_| Subject::default());
    subject.send(Count(0)).await.unwrap();
    // The arbiter is busy with something else, so that nothing leaves the mailbox.
    let (sender, blocked) = std::sync::mpsc::channel::<()>();
    arbiter.spawn_fn(move || {
        held.notify_one();
        let _released = blocked.recv();
    });
    hold.notified().await;
    for number in 1..=100 {
        subject.do_send(Count(number));
    }
    // Each address has one place of its own above the capacity.
    subject.try_send(Count(101)).unwrap();
    assert!(matches!(subject.try_send(Count(999)), Err(SendError::Full(_))));
    drop(sender);
    assert_eq!(subject.send(Counted).await.unwrap().len(), 102);
    arbiter.stop();
}

#[actix::test]
async fn a_panic_closes_the_mailbox_and_a_neighbour_lives() {
    let arbiter = Arbiter::new();
    let start = || Subject::start_in_arbiter(&arbiter.handle(), |_| Subject::default());
    let (subject, neighbour) = (start(), start());
    assert!(matches!(subject.send(Panic).await, Err(MailboxError::Closed)));
    neighbour.send(Count(1)).await.unwrap();
    assert_eq!(neighbour.send(Counted).await.unwrap(), [1]);
    assert!(!subject.connected());
    assert!(matches!(subject.send(Count(1)).await, Err(MailboxError::Closed)));
    arbiter.stop();
}

#[actix::test]
async fn a_supervisor_does_not_revive_after_a_panic() {
    let arbiter = Arbiter::new();
    let subject = Supervisor::start_in_arbiter(&arbiter.handle(), |_| Subject::default());
    assert!(subject.send(Panic).await.is_err());
    assert!(subject.send(Count(1)).await.is_err());
    arbiter.stop();
}

#[actix::test]
async fn a_supervised_actor_that_stops_comes_back_with_its_old_state() {
    let subject = Supervisor::start(|_| Subject::default());
    subject.send(Count(1)).await.unwrap();
    let before = RESTARTS.load(Ordering::SeqCst);
    subject.send(Stop).await.unwrap();
    assert_eq!(subject.send(Counted).await.unwrap(), [1]);
    assert_eq!(RESTARTS.load(Ordering::SeqCst), before + 1);
}
