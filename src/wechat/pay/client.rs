//! The five calls to WeChat Pay v2. One client for each arbiter; it holds no state but connections
//! and which of WeChat's hosts is in use.

use std::time::{Duration, Instant};

use awc::http::Method;

use super::answers::{self, REFUNDS_MAX, RefundAccepted, RefundStatus, Trade};
use super::error::{ErrCode, PayError, UnknownCause};
use super::requests::{self, RefundKey, RefundRequest, UnifiedOrder};
use super::{ClientCertificate, Merchant, SetupError};
use crate::clock::Clock;
use crate::domain::id::OutTradeNo;
use crate::wechat::transport::{Bases, Call, Transport, record};
use crate::wechat::xml::{self, Fields};

const UNIFIED_ORDER: &str = "/pay/unifiedorder";
const ORDER_QUERY: &str = "/pay/orderquery";
const CLOSE_ORDER: &str = "/pay/closeorder";
const REFUND: &str = "/secapi/pay/refund";
const REFUND_QUERY: &str = "/pay/refundquery";

/// WeChat gives 10 refunds a page.
const REFUND_PAGES_MAX: usize = REFUNDS_MAX / 10 + 1;

/// Where WeChat Pay is, and how long to wait for it.
#[derive(Clone)]
pub struct PayConfig {
    /// `https://api.mch.weixin.qq.com`, or whatever stands in for it, over http too.
    pub base: String,
    /// `https://api2.mch.weixin.qq.com`: the same WeChat by another way, called while the first
    /// cannot be reached.
    pub base_2: Option<String>,
    /// Decides when the first is tried again.
    pub clock: Clock,
    /// For name look-up and TCP, and again for the TLS handshake.
    pub connect_timeout: Duration,
    /// For a whole call other than a refund.
    pub call_timeout: Duration,
    pub refund_timeout: Duration,
    /// Shown for refunds only, the one call here for which WeChat asks for it.
    pub certificate: Option<ClientCertificate>,
    /// PEM of roots trusted besides those of the web: gateways, tests.
    pub extra_root_pem: Option<Vec<u8>>,
}

/// Calls WeChat Pay.
#[derive(Clone)]
pub struct PayClient {
    plain: Transport,
    certified: Transport,
    call_timeout: Duration,
    refund_timeout: Duration,
}

impl PayClient {
    /// Fails on a base address that is none and on PEM that does not read.
    pub fn new(config: PayConfig) -> Result<Self, SetupError> {
        let roots = config.extra_root_pem.as_deref();
        let bases = Bases::new(&config.base, config.base_2.as_deref(), &config.clock)?;
        let transport = |certificate: Option<&ClientCertificate>| {
            Transport::new(&bases, config.connect_timeout, certificate, roots)
        };
        Ok(Self {
            plain: transport(None)?,
            certified: transport(config.certificate.as_ref())?,
            call_timeout: config.call_timeout,
            refund_timeout: config.refund_timeout,
        })
    }

    /// Announces an order; the answer is its prepay_id, good for two hours. Repeating it with the
    /// same content is safe and gives a fresh one.
    pub async fn unified_order(
        &self,
        merchant: &Merchant,
        order: &UnifiedOrder,
    ) -> Result<String, PayError> {
        self.call(UNIFIED_ORDER, merchant, order.fields(), answers::prepay_id).await
    }

    /// Asks what became of a number. `ORDERNOTEXIST` (refused): WeChat never accepted it.
    pub async fn query_order(
        &self,
        merchant: &Merchant,
        number: &OutTradeNo,
    ) -> Result<Trade, PayError> {
        let fields = Fields::from_iter([("out_trade_no", number.as_str())]);
        self.call(ORDER_QUERY, merchant, fields, |fields| answers::trade(fields, number)).await
    }

    /// Closes a number; ORDERCLOSED counts as done. Success proves nothing by itself (it was seen
    /// for numbers that WeChat does not know): query afterwards.
    pub async fn close_order(
        &self,
        merchant: &Merchant,
        number: &OutTradeNo,
    ) -> Result<(), PayError> {
        let fields = Fields::from_iter([("out_trade_no", number.as_str())]);
        match self.call(CLOSE_ORDER, merchant, fields, |_| Ok(())).await {
            Err(PayError::Refused { code: ErrCode::OrderClosed, .. }) => Ok(()),
            outcome => outcome,
        }
    }

    /// Asks for a refund, with the merchant's certificate. Success is acceptance only.
    pub async fn refund(
        &self,
        merchant: &Merchant,
        refund: &RefundRequest,
    ) -> Result<RefundAccepted, PayError> {
        self.call(REFUND, merchant, refund.fields(), |fields| answers::accepted(fields, refund))
            .await
    }

    /// Asks how far refunds are; at most 50, which is all that one payment can have.
    /// `REFUNDNOTEXIST` (refused): there is none.
    pub async fn query_refunds(
        &self,
        merchant: &Merchant,
        key: &RefundKey,
    ) -> Result<Vec<RefundStatus>, PayError> {
        let mut refunds: Vec<RefundStatus> = Vec::new();
        for _ in 0..REFUND_PAGES_MAX {
            let mut fields = key.fields();
            if !refunds.is_empty() {
                fields.insert("offset", refunds.len().to_string());
            }
            let page = self.call(REFUND_QUERY, merchant, fields, answers::refund_page).await?;
            let ended = page.refunds.is_empty();
            refunds.extend(page.refunds);
            if ended || refunds.len() >= page.total {
                break;
            }
        }
        Ok(refunds)
    }

    /// Signs, sends, opens and reads; then logs the outcome.
    async fn call<T>(
        &self,
        path: &'static str,
        merchant: &Merchant,
        fields: Fields,
        read: impl FnOnce(&Fields) -> Result<T, PayError>,
    ) -> Result<T, PayError> {
        let began = Instant::now();
        let outcome = match self.exchange(path, merchant, fields).await {
            Ok(answer) => answers::open(&answer, merchant).and_then(|fields| read(&fields)),
            Err(error) => Err(error),
        };
        report(path, &outcome, began);
        outcome
    }

    async fn exchange(
        &self,
        path: &'static str,
        merchant: &Merchant,
        fields: Fields,
    ) -> Result<Vec<u8>, PayError> {
        let (transport, within) = if path == REFUND {
            (&self.certified, self.refund_timeout)
        } else {
            (&self.plain, self.call_timeout)
        };
        let body = xml::write(&requests::complete(fields, merchant));
        let call = Call {
            method: Method::POST,
            path,
            query: &[],
            content_type: "text/xml; charset=utf-8",
            body,
            within,
        };
        Ok(transport.send(&call).await?)
    }
}

fn report<T>(path: &'static str, outcome: &Result<T, PayError>, began: Instant) {
    let (result, known) = match outcome {
        Ok(_) => ("SUCCESS", true),
        Err(PayError::Refused { code, .. }) => (code.as_str(), !matches!(code, ErrCode::Other(_))),
        Err(PayError::Unknown(cause)) => (cause.as_str(), true),
    };
    record(path, result, known, began, None);
    if let Err(PayError::Unknown(
        cause @ (UnknownCause::ReturnFail(_) | UnknownCause::Garbage(_)),
    )) = outcome
    {
        tracing::warn!(path, %cause, "unusable answer of WeChat");
    }
}
