//! Points of a commit at which a test may look, wait or break something.

use futures_util::future::BoxFuture;

/// Where in a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// All is written, COMMIT has not been sent.
    BeforeCommit,
    /// COMMIT was answered, nobody has been told.
    AfterCommit,
    /// A batch whose fate was unknown has been kept from ever committing.
    AfterFence,
}

/// How the commit goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    GoOn,
    /// As if the database had failed here: before COMMIT the batch is lost, after it the answer is.
    Fail,
    /// Before COMMIT: as if the connection had died with it; nothing is written and nobody knows.
    Vanish,
}

/// Watches commits. Production has [`NoProbe`].
pub trait CommitProbe: Send + Sync {
    fn at(&self, point: Point) -> BoxFuture<'static, Verdict>;
}

/// Lets every commit go on.
pub struct NoProbe;

impl CommitProbe for NoProbe {
    fn at(&self, _: Point) -> BoxFuture<'static, Verdict> {
        Box::pin(std::future::ready(Verdict::GoOn))
    }
}
