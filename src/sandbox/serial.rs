//! Numbers that never repeat: prepay_ids, transaction_ids, refund_ids, codes, tokens.
//!
//! Each run draws a number of its own, because a demo database outlives the simulation and the
//! shop's payments are unique by transaction_id for ever.

use super::beijing;
use crate::clock::Timestamp;

pub(super) struct Serial {
    run: u32,
    next: u64,
}

impl Serial {
    pub(super) fn new(run: u32) -> Self {
        Self { run, next: 0 }
    }

    fn draw(&mut self) -> (u32, u64) {
        self.next += 1;
        (self.run, self.next)
    }

    /// 34 characters of the 64 that WeChat allows.
    pub(super) fn prepay_id(&mut self, now: Timestamp) -> String {
        let (run, next) = self.draw();
        format!("wx{}{run:08x}{next:010}", beijing::compact(now))
    }

    /// 28 digits, as WeChat's.
    pub(super) fn transaction_id(&mut self) -> String {
        let (run, next) = self.draw();
        format!("4200{run:010}{next:014}")
    }

    /// 28 digits, as WeChat's.
    pub(super) fn refund_id(&mut self) -> String {
        let (run, next) = self.draw();
        format!("5030{run:010}{next:014}")
    }

    /// 32 hexadecimal digits: nonces, login codes.
    pub(super) fn text32(&mut self) -> String {
        let (run, next) = self.draw();
        format!("{run:08x}{next:024x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_wechats_lengths_and_differ() {
        let mut serial = Serial::new(u32::MAX);
        let now = Timestamp::from_seconds(1_795_516_215);
        assert_eq!(serial.prepay_id(now).len(), 34);
        assert_eq!(serial.transaction_id().len(), 28);
        assert_eq!(serial.refund_id().len(), 28);
        assert_eq!(serial.text32().len(), 32);
        assert_ne!(serial.transaction_id(), serial.transaction_id());
        assert_ne!(Serial::new(1).transaction_id(), Serial::new(2).transaction_id());
    }
}
