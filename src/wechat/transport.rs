//! HTTP to WeChat, or to whatever stands in for it: time limits, a limited answer, one repeat of a
//! connection that never came about, at the second host where there is one.
//!
//! Invariant: one call is sent once. A call that may have been sent is never repeated here, at
//! whichever host: its outcome is unknown, and what to do about that is the engine's matter.
//!
//! It owns the awc client (one for each arbiter, since awc is not `Send`) and TLS by rustls with
//! the ring provider. It refuses to know what the bytes mean, and logs path and result, never
//! queries or bodies: they hold secrets, tokens and openids.

use std::cell::Cell;
use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use awc::error::{ConnectError, PayloadError, SendRequestError};
use awc::http::{Method, StatusCode, Uri, header};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};

use super::hosts::{Host, Hosts};
use super::xml::LIMIT_BYTES;
use crate::clock::Clock;

/// Connections to one host at a time; more calls wait, within their time limit.
const CONNECTIONS_MAX: usize = 200;
/// Idle connections are dropped before most servers drop them (5 s), so that a call does not meet
/// one that is just being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// The merchant's certificate for the calls that move money out, as PEM.
#[derive(Clone)]
pub struct ClientCertificate {
    /// `apiclient_cert.pem`: the certificate, then its chain.
    pub cert_pem: Vec<u8>,
    /// `apiclient_key.pem`.
    pub key_pem: SecretString,
}

impl ClientCertificate {
    /// Reads the two PEM files; the error names the file.
    pub fn from_files(cert: &Path, key: &Path) -> Result<Self, SetupError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|error| SetupError::File(path.display().to_string(), error.kind()))
        };
        Ok(Self { cert_pem: read(cert)?.into_bytes(), key_pem: SecretString::from(read(key)?) })
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}

/// Why a client cannot be made from its settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    #[error("the base address {0:?} is not http(s)://host[:port][/path]")]
    BaseUrl(String),
    #[error("cannot read {0}: {1}")]
    File(String, std::io::ErrorKind),
    #[error("the merchant certificate or its key is not PEM, or they do not fit together")]
    Certificate,
    #[error("the additional root certificates are not PEM")]
    Roots,
}

/// Why no answer came. Except for [`CallError::NotSent`] the request may have taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection came about, twice: the request never left.
    #[error("no connection; the request was not sent")]
    NotSent,
    #[error("no answer in time")]
    Timeout,
    #[error("the connection broke")]
    Broken,
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("the answer is longer than {LIMIT_BYTES} bytes")]
    TooLarge,
}

impl CallError {
    /// One word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Status(_) => "http_status",
            Self::TooLarge => "too_large",
        }
    }
}

/// One call. The query is encoded here.
pub(super) struct Call<'a> {
    pub method: Method,
    pub path: &'static str,
    pub query: &'a [(&'a str, &'a str)],
    pub content_type: &'static str,
    /// Empty for none.
    pub body: String,
    /// Limit for the whole call: connection, request, answer, and the repeat if there is one.
    pub within: Duration,
}

/// Where WeChat is: its host, and the one that stands by. Clones share which of them is in use.
#[derive(Clone)]
pub(super) struct Bases(Rc<Hosts>);

impl Bases {
    /// Each an address without query, over http too.
    pub fn new(first: &str, second: Option<&str>, clock: &Clock) -> Result<Self, SetupError> {
        let (first, second) = (checked_base(first)?, second.map(checked_base).transpose()?);
        Ok(Self(Rc::new(Hosts::new(first, second, clock.clone()))))
    }
}

/// A client for one WeChat.
#[derive(Clone)]
pub(super) struct Transport {
    client: awc::Client,
    hosts: Rc<Hosts>,
}

impl Transport {
    pub fn new(
        bases: &Bases,
        connect_timeout: Duration,
        certificate: Option<&ClientCertificate>,
        extra_root_pem: Option<&[u8]>,
    ) -> Result<Self, SetupError> {
        let connector = awc::Connector::new()
            .rustls_0_23(Arc::new(tls(certificate, extra_root_pem)?))
            .timeout(connect_timeout)
            .handshake_timeout(connect_timeout)
            .conn_keep_alive(KEEP_ALIVE)
            .limit(CONNECTIONS_MAX);
        let client = awc::Client::builder()
            .connector(connector)
            .add_default_header((header::USER_AGENT, concat!("buynow/", env!("CARGO_PKG_VERSION"))))
            .disable_redirects()
            .disable_timeout()
            .finish();
        Ok(Self { client, hosts: bases.0.clone() })
    }

    /// Sends, and once more at once, to the other host, when no connection came about: then
    /// nothing was sent.
    pub async fn send(&self, call: &Call<'_>) -> Result<Vec<u8>, CallError> {
        if self.hosts.is_probe_due() {
            drop(actix_rt::spawn(self.clone().probe(call.within)));
        }
        let host = Cell::new(self.hosts.current());
        let attempts = async {
            match self.send_once(host.get(), call).await {
                Err(CallError::NotSent) => {
                    host.set(self.hosts.other(host.get()));
                    self.send_elsewhere(host.get(), call).await
                }
                outcome => outcome,
            }
        };
        let outcome = tokio::time::timeout(call.within, attempts).await;
        let outcome = outcome.unwrap_or(Err(CallError::Timeout));
        self.hosts.note(host.get(), outcome.as_ref().err().copied());
        outcome
    }

    /// The repeat. A host that can be reached is the one to go on with.
    async fn send_elsewhere(&self, host: Host, call: &Call<'_>) -> Result<Vec<u8>, CallError> {
        let outcome = self.send_once(host, call).await;
        if !matches!(outcome, Err(CallError::NotSent)) {
            self.hosts.turn_to(host, "the other one cannot be reached");
        }
        outcome
    }

    /// Looks whether the first host is there again, beside the calls, so that none waits for it.
    async fn probe(self, within: Duration) {
        let request = self.client.get(format!("{}/", self.hosts.base(Host::First)));
        let answer = tokio::time::timeout(within, request.send()).await;
        let is_there = matches!(answer, Ok(Ok(answer)) if answer.status().as_u16() < 500);
        if is_there {
            self.hosts.turn_to(Host::First, "it answers again");
        }
    }

    async fn send_once(&self, host: Host, call: &Call<'_>) -> Result<Vec<u8>, CallError> {
        let url = format!("{}{}", self.hosts.base(host), call.path);
        let mut request = self.client.request(call.method.clone(), url);
        if !call.query.is_empty() {
            request = request.query(&call.query).map_err(|_| CallError::NotSent)?;
        }
        if !call.body.is_empty() {
            request = request.content_type(call.content_type);
        }
        let mut answer = request.send_body(call.body.clone()).await.map_err(|e| failure(&e))?;
        if answer.status() != StatusCode::OK {
            return Err(CallError::Status(answer.status().as_u16()));
        }
        match answer.body().limit(LIMIT_BYTES).await {
            Ok(body) => Ok(body.to_vec()),
            Err(PayloadError::Overflow) => Err(CallError::TooLarge),
            Err(_) => Err(CallError::Broken),
        }
    }
}

fn failure(error: &SendRequestError) -> CallError {
    match error {
        // awc's word for a connection that ended before the answer began: the request may be there.
        SendRequestError::Connect(ConnectError::Disconnected) => CallError::Broken,
        SendRequestError::Url(_) | SendRequestError::Connect(_) => CallError::NotSent,
        SendRequestError::Timeout => CallError::Timeout,
        _ => CallError::Broken,
    }
}

/// The base without a slash at its end, so that base and path can be joined.
fn checked_base(base: &str) -> Result<String, SetupError> {
    let wrong = || SetupError::BaseUrl(base.to_owned());
    let uri: Uri = base.parse().map_err(|_| wrong())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    if !known || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
        return Err(wrong());
    }
    Ok(base.trim_end_matches('/').to_owned())
}

/// HTTP/1.1 over TLS 1.2 or 1.3; trusts the web's roots and, for tests and gateways, further ones.
fn tls(
    certificate: Option<&ClientCertificate>,
    extra_root_pem: Option<&[u8]>,
) -> Result<ClientConfig, SetupError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in certificates(extra_root_pem.unwrap_or_default()).ok_or(SetupError::Roots)? {
        roots.add(root).map_err(|_| SetupError::Roots)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let chain = certificates(&pem.cert_pem).filter(|chain| !chain.is_empty());
            let key = PrivateKeyDer::from_pem_slice(pem.key_pem.expose_secret().as_bytes());
            builder
                .with_client_auth_cert(
                    chain.ok_or(SetupError::Certificate)?,
                    key.map_err(|_| SetupError::Certificate)?,
                )
                .map_err(|_| SetupError::Certificate)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()
}

/// Writes the log line and the metrics of one finished call.
///
/// `result` is a code of WeChat or a word of ours; what is not a known code counts as `other` in
/// the metrics, so that their number stays bounded.
pub(super) fn record(
    path: &'static str,
    result: &str,
    known: bool,
    began: Instant,
    rid: Option<&str>,
) {
    let elapsed = began.elapsed();
    let label = if known { result.to_owned() } else { "other".to_owned() };
    metrics::counter!("buynow_wechat_calls_total", "path" => path, "result" => label).increment(1);
    metrics::histogram!("buynow_wechat_call_seconds", "path" => path).record(elapsed);
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let result: String = result.chars().filter(char::is_ascii_graphic).take(32).collect();
    tracing::info!(path, result, elapsed_ms, rid, "wechat call");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_base_is_an_address_without_query() {
        for (base, kept) in [
            ("https://api.mch.weixin.qq.com", "https://api.mch.weixin.qq.com"),
            ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
            ("http://gateway/wechat/", "http://gateway/wechat"),
        ] {
            assert_eq!(checked_base(base).as_deref(), Ok(kept));
        }
        for bad in ["", "api.mch.weixin.qq.com", "ftp://host", "https://", "https://host?x=1"] {
            assert_eq!(checked_base(bad), Err(SetupError::BaseUrl(bad.to_owned())));
        }
    }

    #[test]
    fn what_is_not_pem_is_named() {
        let certificate = ClientCertificate {
            cert_pem: b"nonsense".to_vec(),
            key_pem: SecretString::from("nonsense"),
        };
        assert_eq!(tls(Some(&certificate), None).err(), Some(SetupError::Certificate));
        let broken = b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
        assert_eq!(tls(None, Some(broken)).err(), Some(SetupError::Roots));
        assert!(tls(None, None).is_ok());
        let missing = ClientCertificate::from_files(Path::new("/no/cert"), Path::new("/no/key"));
        let kind = std::io::ErrorKind::NotFound;
        assert_eq!(missing.err(), Some(SetupError::File("/no/cert".to_owned(), kind)));
    }
}
