//! Work that must go on whatever one run of it meets.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

/// Runs `work`. A panic ends this run only: it is logged and counted, and the next run starts
/// afresh. Without it, whoever repeats the work would be gone for good, and nobody would notice.
pub(super) async fn survive<T: Default>(what: &'static str, work: impl Future<Output = T>) -> T {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(what, "a run has panicked; it is given up, the next one starts afresh");
        crate::metrics::replaced(what);
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use super::survive;

    async fn run(luck: bool) -> usize {
        assert!(luck, "a row that nobody has thought of");
        7
    }

    #[tokio::test]
    async fn a_run_that_panics_ends_alone() {
        assert_eq!(survive("test", run(true)).await, 7);
        assert_eq!(survive("test", run(false)).await, 0);
        assert_eq!(survive("test", run(true)).await, 7);
    }
}
