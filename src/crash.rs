//! Named points at which a test may let this process die, as `kill -9` would end it.
//!
//! Compiled in always, so that what is tested is what is shipped, and armed by the variable
//! [`VARIABLE`] alone: `serve` refuses it unless WeChat is on this machine. A point that is not
//! armed costs one load of a pointer. It owns which points there are; where they stand is written
//! at each of them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// `BUYNOW_CRASH_AT=after_commit:3` ends the process at the third time that it comes to the point.
pub const VARIABLE: &str = "BUYNOW_CRASH_AT";

macro_rules! points {
    ($($(#[$doc:meta])* $name:ident $text:literal;)+) => {
        /// Where in its work the process is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum CrashPoint {
            $($(#[$doc])* $name,)+
        }

        impl CrashPoint {
            /// All of them.
            pub const ALL: &[CrashPoint] = &[$(CrashPoint::$name,)+];

            /// As it stands in the variable.
            pub fn as_str(self) -> &'static str {
                match self { $(CrashPoint::$name => $text,)+ }
            }
        }
    };
}

points! {
    /// A batch is written, COMMIT has not been sent.
    BeforeCommit "before_commit";
    /// COMMIT was answered, nobody has been told.
    AfterCommit "after_commit";
    /// An attempt is committed as `requesting`, unifiedorder has not been called.
    BeforeUnifiedOrder "before_unifiedorder";
    /// unifiedorder was answered, the prepay_id is not recorded.
    AfterUnifiedOrder "after_unifiedorder";
    /// A payment is committed, WeChat's notification is not acknowledged.
    PaymentCommitted "payment_committed";
    /// Messages are claimed, none was sent.
    MessageClaimed "message_claimed";
    /// WeChat has taken a message, that is not recorded.
    MessageSent "message_sent";
    /// An order is being closed, WeChat has not been asked.
    ClosingBegun "closing_begun";
    /// closeorder was answered, the order is not closed here.
    ClosedAtWechat "closed_at_wechat";
    /// WeChat has confirmed the end of an attempt, that is not recorded.
    CloseConfirmed "close_confirmed";
    /// A refund is committed as `requested`, WeChat has not been called.
    BeforeRefund "before_refund";
    /// The refund call was answered, the answer is not recorded.
    AfterRefund "after_refund";
}

/// The variable names no point, or no number of times.
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE}={0}: not a point and a number, as in after_commit:3")]
pub struct NoCrashPoint(String);

struct Armed {
    point: CrashPoint,
    left: AtomicU32,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Arms one point for the life of this process.
pub fn arm(text: &str) -> Result<(), NoCrashPoint> {
    let (point, left) = parse(text).ok_or_else(|| NoCrashPoint(text.to_owned()))?;
    // Only the first arming counts.
    let _armed = ARMED.set(Armed { point, left: AtomicU32::new(left) });
    Ok(())
}

fn parse(text: &str) -> Option<(CrashPoint, u32)> {
    let (name, times) = text.split_once(':').unwrap_or((text, "1"));
    let point = CrashPoint::ALL.iter().find(|point| point.as_str() == name)?;
    Some((*point, times.parse().ok().filter(|times| *times > 0)?))
}

/// The process has come to a point, and ends here if that is armed and it is its time.
pub fn passes(point: CrashPoint) {
    let Some(armed) = ARMED.get() else { return };
    if armed.point == point && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        // No destructor runs, nothing is flushed, no connection is closed in good order.
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_known_by_its_name() {
        for point in CrashPoint::ALL {
            assert_eq!(parse(point.as_str()), Some((*point, 1)));
            assert_eq!(parse(&format!("{}:7", point.as_str())), Some((*point, 7)));
        }
    }

    #[test]
    fn what_is_no_point_arms_nothing() {
        for text in ["", "after_commit:0", "after_commit:", "after_commit:x", "lunch", "lunch:1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
