//! The lock around the world, and the ways to wait for it.
//!
//! Whoever changes the world goes through [`Desk::change`]: first what is due by the clock happens,
//! then the change, then everyone who waits looks again and the courier is woken if there is
//! something to carry. The lock is never held across an await.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, mpsc, watch};

use super::courier::Errand;
use super::fault::{Fault, FaultKind};
use super::world::World;
use crate::clock::{Clock, Timestamp};

/// Shared by the server, the courier and the handles; cheap to clone.
#[derive(Clone)]
pub(super) struct Desk(Arc<Inner>);

struct Inner {
    clock: Clock,
    world: Mutex<World>,
    /// Openids that a send is going on for. A lock of its own: it is let go of in a drop.
    sending: Mutex<HashSet<String>>,
    /// Counts changes.
    changed: watch::Sender<u64>,
    courier: mpsc::Sender<Errand>,
    wake: Notify,
}

/// A call that has come in.
pub(super) struct Entered {
    pub(super) number: u64,
    pub(super) fault: Option<Fault>,
    /// How often the path had been released before.
    released: u64,
}

impl Desk {
    pub(super) fn new(clock: Clock, world: World, courier: mpsc::Sender<Errand>) -> Self {
        Self(Arc::new(Inner {
            clock,
            world: Mutex::new(world),
            sending: Mutex::new(HashSet::new()),
            changed: watch::Sender::new(0),
            courier,
            wake: Notify::new(),
        }))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // The rules do not panic half-way through a change; a poisoned lock is still consistent.
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Changes the world, or looks at it as it is now.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut World, Timestamp) -> R) -> R {
        let now = self.0.clock.now();
        let mut world = self.world();
        world.advance(now);
        let result = change(&mut world, now);
        let due = world.notices.has_due(now);
        drop(world);
        self.0.changed.send_modify(|changes| *changes += 1);
        if due {
            self.0.wake.notify_one();
        }
        result
    }

    /// Looks at the world without waking anybody.
    pub(super) fn look<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        look(&self.world())
    }

    /// Waits until `look` finds something, for `limit` of real time at most.
    pub(super) async fn wait_for<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&World) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.0.changed.subscribe();
        let search = async {
            loop {
                if let Some(found) = self.look(&mut look) {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(limit, search).await.ok().flatten()
    }

    /// Resolves when there may be something to carry.
    pub(super) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// Gives the courier something to do; `false` when the sandbox has stopped.
    pub(super) async fn send(&self, errand: Errand) -> bool {
        self.0.courier.send(errand).await.is_ok()
    }

    /// A call has come in: it is counted, and a fault that waits for it is taken.
    pub(super) fn enter(&self, path: &'static str, request: Value) -> Entered {
        self.change(|world, now| {
            let number = world.calls.enter(path, request, now);
            let fault = world.faults.hit(path);
            let held = fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Delay);
            let hold = world.holds.entry(path).or_default();
            hold.held += u64::from(held);
            Entered { number, fault, released: hold.released }
        })
    }

    /// The call's effect is done and its answer is held from now on.
    pub(super) fn hold(&self, path: &'static str) {
        self.change(|world, _| world.holds.entry(path).or_default().held += 1);
    }

    /// Waits until the path has been released since the call came in. A hold ends by itself after
    /// `limit`, so that a forgotten one does not keep a test for ever.
    pub(super) async fn released(&self, path: &'static str, entered: &Entered, limit: Duration) {
        self.wait_for(limit, |world| {
            let hold = world.holds.get(path)?;
            (hold.released > entered.released).then_some(())
        })
        .await;
        self.change(|world, _| {
            let hold = world.holds.entry(path).or_default();
            hold.held = hold.held.saturating_sub(1);
        });
    }

    /// The call is over.
    pub(super) fn leave(&self, path: &'static str, number: u64, outcome: &str) {
        self.change(|world, _| world.calls.leave(path, number, outcome));
    }

    /// Notes that a send to the openid is going on; `None` when another one is.
    pub(super) fn begin_send(&self, openid: &str) -> Option<Sending> {
        let mut sending = self.sending();
        sending
            .insert(openid.to_owned())
            .then(|| Sending { desk: self.clone(), openid: openid.to_owned() })
    }

    fn sending(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A send that is going on; it ends when this is dropped.
pub(super) struct Sending {
    desk: Desk,
    openid: String,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.desk.sending().remove(&self.openid);
    }
}
