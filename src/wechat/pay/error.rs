//! What may come of a call other than success: a signed refusal, or no usable word.

use std::fmt;

use crate::wechat::transport::CallError;

/// Why a call to WeChat Pay did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayError {
    /// WeChat refused, in an answer whose signature holds. Nothing happened.
    #[error("WeChat refused: {code}")]
    Refused {
        code: ErrCode,
        /// `err_code_des`, for people; it changes, so nothing may depend on it.
        description: String,
    },
    /// Whether the call took effect is not known: repeat it unchanged, or query.
    #[error("outcome unknown: {0}")]
    Unknown(#[from] UnknownCause),
}

impl PayError {
    /// WeChat's code, when it refused.
    pub fn code(&self) -> Option<&ErrCode> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unknown(_) => None,
        }
    }
    /// Whether the same call can never succeed. False: repeat it unchanged, later.
    pub fn is_final(&self) -> bool {
        self.code().is_some_and(|code| !code.is_transient())
    }
    /// Whether someone must look: configuration, permission, or a defect of ours.
    pub fn needs_alarm(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.needs_alarm(),
            // A wrong key or merchant number shows as an unsigned FAIL or a foreign signature.
            Self::Unknown(cause) => matches!(
                cause,
                UnknownCause::ReturnFail(_)
                    | UnknownCause::BadSignature
                    | UnknownCause::OtherMerchant
            ),
        }
    }
    /// Whether the request certainly never reached WeChat.
    pub fn was_not_sent(&self) -> bool {
        matches!(self, Self::Unknown(UnknownCause::Call(CallError::NotSent)))
    }
}

impl From<CallError> for PayError {
    fn from(error: CallError) -> Self {
        Self::Unknown(UnknownCause::Call(error))
    }
}

/// Why the outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCause {
    /// Transport, time limit, HTTP status.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Not a v2 message, or a signed one that lacks what it must have; says what.
    #[error("unusable answer: {0}")]
    Garbage(&'static str),
    #[error("the answer's signature is missing or does not fit")]
    BadSignature,
    #[error("the answer is of another appid, merchant or number")]
    OtherMerchant,
    /// `return_code` is FAIL: unsigned, so it proves nothing. `return_msg` is for people.
    #[error("return_code FAIL: {0}")]
    ReturnFail(String),
    /// SYSTEMERROR or BIZERR_NEED_RETRY: WeChat itself does not know.
    #[error("WeChat reports {0}")]
    System(ErrCode),
}

impl UnknownCause {
    /// One word for logs and metrics.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Call(error) => error.as_str(),
            Self::Garbage(_) => "garbage",
            Self::BadSignature => "bad_signature",
            Self::OtherMerchant => "other_merchant",
            Self::ReturnFail(_) => "return_fail",
            Self::System(code) => code.as_str(),
        }
    }
}

macro_rules! err_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal),+ $(,)?) => {
        /// `err_code` of an answer. A code that is not listed is kept as it stands.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum ErrCode {
            $($(#[$doc])* $name,)+
            Other(String),
        }

        impl ErrCode {
            pub fn parse(code: &str) -> Self {
                match code {
                    $($code => Self::$name,)+
                    other => Self::Other(other.chars().take(64).collect()),
                }
            }
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $code,)+
                    Self::Other(code) => code,
                }
            }
        }

        #[cfg(test)]
        const KNOWN_CODES: &[&str] = &[$($code),+];
    };
}

err_codes! {
    /// Outcome unknown; never inside [`PayError::Refused`].
    SystemError = "SYSTEMERROR",
    /// Refund: outcome unknown; never inside [`PayError::Refused`].
    BizErrNeedRetry = "BIZERR_NEED_RETRY",
    /// Already paid: query.
    OrderPaid = "ORDERPAID",
    /// The number is closed for ever.
    OrderClosed = "ORDERCLOSED",
    /// WeChat never accepted the number.
    OrderNotExist = "ORDERNOTEXIST",
    /// The number was used with other parameters.
    OutTradeNoUsed = "OUT_TRADE_NO_USED",
    /// 201: the number was used with other parameters.
    InvalidRequest = "INVALID_REQUEST",
    NoAuth = "NOAUTH",
    /// Order: the buyer's balance. Refund: the merchant's; later, with the same number.
    NotEnough = "NOTENOUGH",
    AppidNotExist = "APPID_NOT_EXIST",
    MchidNotExist = "MCHID_NOT_EXIST",
    AppidMchidNotMatch = "APPID_MCHID_NOT_MATCH",
    LackParams = "LACK_PARAMS",
    ParamError = "PARAM_ERROR",
    XmlFormatError = "XML_FORMAT_ERROR",
    PostDataEmpty = "POST_DATA_EMPTY",
    NotUtf8 = "NOT_UTF8",
    RequirePostMethod = "REQUIRE_POST_METHOD",
    SignError = "SIGNERROR",
    FrequencyLimited = "FREQUENCY_LIMITED",
    RateLimit = "RATELIMIT",
    /// Refund: the payment is older than a year.
    TradeOverdue = "TRADE_OVERDUE",
    /// Refund: for a human to read.
    BusinessError = "ERROR",
    UserAccountAbnormal = "USER_ACCOUNT_ABNORMAL",
    /// Refund: too many wrong requests; wait a minute.
    InvalidReqTooMuch = "INVALID_REQ_TOO_MUCH",
    InvalidTransactionId = "INVALID_TRANSACTIONID",
    /// The refund was not accepted: send it again with the same number.
    RefundNotExist = "REFUNDNOTEXIST",
}

impl ErrCode {
    /// WeChat itself does not know the outcome.
    pub fn is_unknown_outcome(&self) -> bool {
        matches!(self, Self::SystemError | Self::BizErrNeedRetry)
    }
    /// Too fast: the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::FrequencyLimited | Self::RateLimit | Self::InvalidReqTooMuch)
    }
    /// Wrong configuration, missing permission, or a defect: no repeat mends it.
    pub fn needs_alarm(&self) -> bool {
        matches!(
            self,
            Self::NoAuth
                | Self::AppidNotExist
                | Self::MchidNotExist
                | Self::AppidMchidNotMatch
                | Self::LackParams
                | Self::ParamError
                | Self::XmlFormatError
                | Self::PostDataEmpty
                | Self::NotUtf8
                | Self::RequirePostMethod
                | Self::SignError
        )
    }
}

impl fmt::Display for ErrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> PayError {
        PayError::Refused { code: ErrCode::parse(code), description: String::new() }
    }

    #[test]
    fn codes_keep_their_names() {
        for code in KNOWN_CODES.iter().chain(&["SOMETHING_NEW"]) {
            assert_eq!(ErrCode::parse(code).as_str(), *code);
        }
        assert_eq!(ErrCode::parse(&"X".repeat(1000)).as_str().len(), 64);
    }

    #[test]
    fn a_refusal_is_final_unless_it_was_only_too_fast() {
        for code in ["ORDERPAID", "ORDERCLOSED", "SIGNERROR", "ERROR", "SOMETHING_NEW"] {
            assert!(refused(code).is_final(), "{code}");
        }
        for code in ["FREQUENCY_LIMITED", "RATELIMIT", "INVALID_REQ_TOO_MUCH"] {
            assert!(!refused(code).is_final(), "{code}");
        }
        assert!(!PayError::from(CallError::Timeout).is_final());
    }

    #[test]
    fn wrong_keys_raise_an_alarm_and_ordinary_refusals_do_not() {
        assert!(refused("SIGNERROR").needs_alarm());
        assert!(PayError::from(UnknownCause::BadSignature).needs_alarm());
        assert!(!refused("ORDERPAID").needs_alarm());
        assert!(!PayError::from(CallError::Broken).needs_alarm());
        assert!(PayError::from(CallError::NotSent).was_not_sent());
        assert!(!PayError::from(CallError::Timeout).was_not_sent());
    }
}
