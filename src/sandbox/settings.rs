//! What of WeChat's behaviour a test may turn: ages, gaps, the merchant's balance, who starts what.

use serde::{Deserialize, Serialize};

/// Whether the simulation does something by itself or waits for a control call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Auto,
    Manual,
}

/// What closeorder says of a number that was never seen. Both have been reported of WeChat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseUnknown {
    NotExist,
    Success,
}

/// The settings in force. Seconds are seconds of the simulation's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// closeorder refuses younger trades. WeChat: 300; here 0, so that a demo need not wait.
    pub close_min_age_seconds: i64,
    pub close_unknown: CloseUnknown,
    /// unifiedorder refuses a `time_expire` that is nearer than this. WeChat: 60.
    pub expire_min_seconds: i64,
    /// What refunds may take from the merchant; `null`: without end. Payments do not add to it.
    pub balance_fen: Option<i64>,
    /// `manual`: payments are notified only by `POST /sandbox/notify`.
    pub notify: Mode,
    /// `manual`: refunds stay PROCESSING until `POST /sandbox/refunds/{out_refund_no}`.
    pub refund: Mode,
    /// How long an automatic refund stays PROCESSING.
    pub refund_seconds: i64,
    /// The least time between two refund calls on one order; 0 turns the rule off. WeChat: 60.
    pub refund_min_gap_seconds: i64,
    /// How long after the close the money of a late payment lands; 0: in the same instant.
    pub late_after_seconds: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            close_min_age_seconds: 0,
            close_unknown: CloseUnknown::NotExist,
            expire_min_seconds: 60,
            balance_fen: None,
            notify: Mode::Auto,
            refund: Mode::Auto,
            refund_seconds: 0,
            refund_min_gap_seconds: 60,
            late_after_seconds: 2,
        }
    }
}

/// Changes to the settings; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsChange {
    pub close_min_age_seconds: Option<i64>,
    pub close_unknown: Option<CloseUnknown>,
    pub expire_min_seconds: Option<i64>,
    /// `Some(None)`, in JSON `null`: without end.
    #[serde(deserialize_with = "present")]
    pub balance_fen: Option<Option<i64>>,
    pub notify: Option<Mode>,
    pub refund: Option<Mode>,
    pub refund_seconds: Option<i64>,
    pub refund_min_gap_seconds: Option<i64>,
    pub late_after_seconds: Option<i64>,
}

/// Tells `null` from absent.
fn present<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::<i64>::deserialize(input).map(Some)
}

impl Settings {
    pub(super) fn change(&mut self, change: SettingsChange) {
        fn set<T>(value: &mut T, to: Option<T>) {
            if let Some(to) = to {
                *value = to;
            }
        }
        set(&mut self.close_min_age_seconds, change.close_min_age_seconds);
        set(&mut self.close_unknown, change.close_unknown);
        set(&mut self.expire_min_seconds, change.expire_min_seconds);
        set(&mut self.balance_fen, change.balance_fen);
        set(&mut self.notify, change.notify);
        set(&mut self.refund, change.refund);
        set(&mut self.refund_seconds, change.refund_seconds);
        set(&mut self.refund_min_gap_seconds, change.refund_min_gap_seconds);
        set(&mut self.late_after_seconds, change.late_after_seconds);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn changed(json: &str) -> Settings {
        let mut settings = Settings { balance_fen: Some(5), ..Settings::default() };
        settings.change(serde_json::from_str(json).unwrap());
        settings
    }

    #[test]
    fn what_is_absent_stays_and_null_lifts_the_balance() {
        assert_eq!(changed("{}").balance_fen, Some(5));
        assert_eq!(changed(r#"{"balance_fen":null}"#).balance_fen, None);
        assert_eq!(changed(r#"{"balance_fen":0}"#).balance_fen, Some(0));
        assert_eq!(changed(r#"{"notify":"manual"}"#).notify, Mode::Manual);
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        assert!(serde_json::from_str::<SettingsChange>(r#"{"notfy":"manual"}"#).is_err());
    }
}
