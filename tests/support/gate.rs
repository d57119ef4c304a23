//! A gate in the way of commits: closed by a test, it holds the next one at its point.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use buynow::actors::journal::{CommitProbe, Point, Verdict};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

/// Holds the first commit that comes to it after it was closed.
pub struct Gate {
    point: Point,
    closed: AtomicBool,
    reached: Notify,
    opened: Arc<Notify>,
}

impl Gate {
    pub fn at(point: Point) -> Arc<Self> {
        let (closed, reached, opened) = (AtomicBool::new(false), Notify::new(), Arc::default());
        Arc::new(Self { point, closed, reached, opened })
    }
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
    /// Waits until a commit stands before the gate.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }
    /// Lets the commit that stands there go on.
    pub fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        self.opened.notify_one();
    }
}

impl CommitProbe for Gate {
    fn at(&self, point: Point) -> BoxFuture<'static, Verdict> {
        if point != self.point || !self.closed.swap(false, Ordering::SeqCst) {
            return Box::pin(std::future::ready(Verdict::GoOn));
        }
        self.reached.notify_one();
        let opened = self.opened.clone();
        Box::pin(async move {
            opened.notified().await;
            Verdict::GoOn
        })
    }
}
