//! How the merchant platform says no: one name for each reason, with WeChat's code.

use thiserror::Error;

/// A signed answer with `result_code` FAIL. Source: the error tables of the v2 interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("缺少参数 {0}")]
    Lacks(&'static str),
    #[error("参数错误 {0}")]
    Parameter(&'static str),
    #[error("APPID不存在")]
    UnknownAppid,
    #[error("appid和mch_id不匹配")]
    OtherMerchant,
    #[error("该订单已支付")]
    Paid,
    #[error("订单已关闭")]
    Closed,
    #[error("201 商户订单号重复")]
    Duplicate,
    #[error("订单不存在")]
    UnknownOrder,
    #[error("订单生成后不能马上关单，最短间隔为5分钟")]
    TooYoung,
    #[error("订单号不存在或者订单未支付")]
    UnknownTransaction,
    #[error("订单已经超过退款期限")]
    Overdue,
    #[error("申请退款金额超过可退金额")]
    ExceedsPayment,
    #[error("该订单部分退款次数已达上限")]
    TooManyRefunds,
    #[error("同一笔订单一分钟内只能申请一次退款")]
    RefundTooSoon,
    #[error("基本账户余额不足，请充值后重新发起")]
    BalanceShort,
    #[error("退款单不存在")]
    UnknownRefund,
    /// What a test has asked for, see `fault.rs`.
    #[error("sandbox fault")]
    Ordered(String),
}

impl Refusal {
    /// The `err_code`.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Lacks(_) => "LACK_PARAMS",
            Self::Parameter(_) => "PARAM_ERROR",
            Self::UnknownAppid => "APPID_NOT_EXIST",
            Self::OtherMerchant => "APPID_MCHID_NOT_MATCH",
            Self::Paid => "ORDERPAID",
            Self::Closed => "ORDERCLOSED",
            // WeChat gives no code of its own to a close that comes too early.
            Self::Duplicate | Self::TooYoung => "INVALID_REQUEST",
            Self::UnknownOrder => "ORDERNOTEXIST",
            Self::UnknownTransaction => "INVALID_TRANSACTIONID",
            Self::Overdue => "TRADE_OVERDUE",
            Self::ExceedsPayment | Self::TooManyRefunds => "ERROR",
            Self::RefundTooSoon => "INVALID_REQ_TOO_MUCH",
            Self::BalanceShort => "NOTENOUGH",
            Self::UnknownRefund => "REFUNDNOTEXIST",
            Self::Ordered(code) => code,
        }
    }
}
