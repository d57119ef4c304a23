//! JSON over HTTP, as the mini-program and the phone speak it.

use anyhow::{Context, bail};
use awc::Client;
use awc::http::Method;
use serde_json::Value;

/// The longest answer that is read.
const ANSWER_MAX: usize = 1 << 20;

/// Calls one server.
pub(super) struct Caller {
    http: Client,
    base: String,
    headers: Vec<(&'static str, String)>,
}

/// What came back.
pub(super) struct Answer {
    pub status: u16,
    pub json: Value,
}

impl Answer {
    /// The body, if the call went well.
    pub fn ok(self) -> anyhow::Result<Value> {
        match self.status {
            200..=299 => Ok(self.json),
            status => bail!("{status} {}", self.json),
        }
    }
}

impl Caller {
    pub fn new(base: impl Into<String>) -> Self {
        Self { http: Client::default(), base: base.into(), headers: Vec::new() }
    }

    /// Sends this header with every call from now on.
    pub fn set_header(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.push((name, value.into()));
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None, None).await?.ok()
    }

    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.try_post(path, body, None).await?.ok()
    }

    /// As [`Caller::post`], under an idempotency key, and without a judgement of the answer.
    pub async fn try_post(
        &self,
        path: &str,
        body: Value,
        key: Option<&str>,
    ) -> anyhow::Result<Answer> {
        self.call(Method::POST, path, Some(body), key).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let failed = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.insert_header((*name, value.as_str()));
        }
        if let Some(key) = key {
            request = request.insert_header(("Idempotency-Key", key));
        }
        let sent = match body {
            Some(body) => request.send_json(&body),
            None => request.send(),
        };
        // awc's errors are not Sync; their words are what is wanted of them.
        let answer = sent.await.map_err(|error| anyhow::anyhow!("{failed}: {error}"));
        let mut answer = answer?;
        let bytes = answer.body().limit(ANSWER_MAX).await.context(failed)?;
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status: answer.status().as_u16(), json })
    }
}
