//! Carries notifications to the shop, by awc, and brings its answers back.
//!
//! It lives on the sandbox's own thread. What is due is carried when something is due at once,
//! every second while the clock moves by itself, and when a test asks ([`Errand::RunDue`]).

use std::rc::Rc;
use std::time::Duration;

use actix_web::rt;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::desk::Desk;
use super::notice::{Parcel, ShopAnswer};

/// How many deliveries go on at once.
const AT_ONCE: usize = 64;
/// Rule: payment notification, the shop answers within five seconds.
const ANSWER_SECONDS: u64 = 5;
const ANSWER_BYTES: usize = 64 * 1024;
/// How long a run waits for deliveries that others have started.
const RUN_SECONDS: u64 = 60;
/// The tick of a clock that moves by itself.
const TICK: Duration = Duration::from_secs(1);

/// What the courier is asked to do.
pub(super) enum Errand {
    /// Carry what is due and tell how many deliveries that were, once none is under way.
    RunDue(oneshot::Sender<usize>),
    /// Carry these now, one after another or all `together`.
    Carry { parcels: Vec<Parcel>, together: bool, reply: oneshot::Sender<Vec<ShopAnswer>> },
}

/// Starts the courier on the current thread.
pub(super) fn start(desk: Desk, errands: mpsc::Receiver<Errand>) {
    let courier = Rc::new(Courier {
        client: awc::Client::builder()
            .timeout(Duration::from_secs(ANSWER_SECONDS))
            .disable_redirects()
            .finish(),
        at_once: Semaphore::new(AT_ONCE),
        desk,
    });
    rt::spawn(courier.clone().serve(errands));
    rt::spawn(courier.clone().heed());
    if !courier.desk.clock().is_manual() {
        rt::spawn(courier.tick());
    }
}

struct Courier {
    client: awc::Client,
    at_once: Semaphore,
    desk: Desk,
}

impl Courier {
    async fn serve(self: Rc<Self>, mut errands: mpsc::Receiver<Errand>) {
        while let Some(errand) = errands.recv().await {
            rt::spawn(self.clone().run(errand));
        }
    }

    async fn heed(self: Rc<Self>) {
        loop {
            self.desk.woken().await;
            self.start_due();
        }
    }

    async fn tick(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            // An empty change lets happen what is due by the clock.
            self.desk.change(|_, _| ());
        }
    }

    /// Starts all deliveries that are due; the answer is how many.
    fn start_due(self: &Rc<Self>) -> usize {
        let mut started = 0;
        loop {
            let parcels = self.desk.change(|world, now| world.due_parcels(AT_ONCE, now));
            if parcels.is_empty() {
                return started;
            }
            started += parcels.len();
            for parcel in parcels {
                let courier = self.clone();
                rt::spawn(async move { courier.carry(&parcel).await });
            }
        }
    }

    async fn run(self: Rc<Self>, errand: Errand) {
        match errand {
            Errand::RunDue(reply) => {
                let started = self.start_due();
                let limit = Duration::from_secs(RUN_SECONDS);
                let idle =
                    |world: &super::world::World| (world.notices.under_way() == 0).then_some(());
                self.desk.wait_for(limit, idle).await;
                // Nobody need be there any more to hear it.
                let _ = reply.send(started);
            }
            Errand::Carry { parcels, together, reply } => {
                let answers = self.carry_all(&parcels, together).await;
                let _ = reply.send(answers);
            }
        }
    }

    async fn carry_all(&self, parcels: &[Parcel], together: bool) -> Vec<ShopAnswer> {
        let deliveries = parcels.iter().map(|parcel| self.carry(parcel));
        if together {
            return futures_util::future::join_all(deliveries).await;
        }
        let mut answers = Vec::with_capacity(parcels.len());
        for delivery in deliveries {
            answers.push(delivery.await);
        }
        answers
    }

    async fn carry(&self, parcel: &Parcel) -> ShopAnswer {
        let permit = self.at_once.acquire().await;
        let answer = self.post(parcel).await;
        drop(permit);
        self.desk.change(|world, now| world.delivered(parcel, &answer, now));
        tracing::debug!(status = answer.status, "notification delivered");
        answer
    }

    async fn post(&self, parcel: &Parcel) -> ShopAnswer {
        let request = self.client.post(&parcel.url).content_type("text/xml; charset=utf-8");
        let lost = |why: String| ShopAnswer { status: 0, body: why };
        let mut response = match request.send_body(parcel.body.clone()).await {
            Ok(response) => response,
            Err(error) => return lost(error.to_string()),
        };
        match response.body().limit(ANSWER_BYTES).await {
            Ok(body) => ShopAnswer {
                status: response.status().as_u16(),
                body: String::from_utf8_lossy(&body).into_owned(),
            },
            Err(error) => lost(error.to_string()),
        }
    }
}
