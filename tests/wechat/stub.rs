//! A server that answers what it was told to, path by path, and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use buynow::clock::Clock;
use buynow::domain::id::OutTradeNo;
use buynow::wechat::pay::{Merchant, PayConfig};
use buynow::wechat::sign::{self, SignType};
use buynow::wechat::xml::{self, Fields};
use secrecy::SecretString;

/// What the stub does with one request.
#[derive(Clone)]
pub enum Reply {
    Body(String),
    Status(u16),
    /// Never answers.
    Silence,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub query: String,
    pub body: String,
}

#[derive(Default)]
struct Script {
    replies: HashMap<String, VecDeque<Reply>>,
    asked: Vec<Asked>,
}

pub struct Stub {
    pub base: String,
    script: Arc<Mutex<Script>>,
    handle: ServerHandle,
}

impl Stub {
    pub async fn start() -> Self {
        Self::start_at(0).await
    }

    /// At a port that was free a moment ago.
    pub async fn start_at(port: u16) -> Self {
        let script = Arc::<Mutex<Script>>::default();
        let shared = web::Data::from(script.clone());
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = HttpServer::new(move || {
            App::new().app_data(shared.clone()).default_service(web::to(answer))
        });
        let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { base, script, handle }
    }

    /// The next replies at this path, in order; after the last one the stub answers 404.
    pub fn will(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut script = self.script.lock().unwrap();
        script.replies.entry(path.to_owned()).or_default().extend(replies);
    }

    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let script = self.script.lock().unwrap();
        script.asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }

    /// Everything that was asked here, by path.
    pub fn paths(&self) -> Vec<String> {
        self.script.lock().unwrap().asked.iter().map(|asked| asked.path.clone()).collect()
    }

    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

async fn answer(
    request: HttpRequest,
    body: String,
    script: web::Data<Mutex<Script>>,
) -> HttpResponse {
    let path = request.path().to_owned();
    let reply = {
        let mut script = script.lock().unwrap();
        let query = request.query_string().to_owned();
        script.asked.push(Asked { path: path.clone(), query, body });
        script.replies.get_mut(&path).and_then(VecDeque::pop_front)
    };
    match reply {
        // As WeChat does for JSON errors of GET calls: the header says text.
        Some(Reply::Body(body)) => HttpResponse::Ok().content_type("text/plain").body(body),
        Some(Reply::Status(status)) => {
            HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish()
        }
        Some(Reply::Silence) => std::future::pending().await,
        None => HttpResponse::NotFound().finish(),
    }
}

pub fn merchant() -> Merchant {
    Merchant {
        appid: "wx8f3c2e1a9b7d4c60".to_owned(),
        mch_id: "1900012345".to_owned(),
        api_key: SecretString::from("8934e7d15453e97507ef794cf7b0519d"),
        sign_type: SignType::HmacSha256,
    }
}

pub fn number() -> OutTradeNo {
    OutTradeNo::parse("T86353213763162966717").unwrap()
}

/// A signed answer of [`merchant`]'s WeChat.
pub fn signed(fields: &[(&str, &str)]) -> String {
    let merchant = merchant();
    let mut all = Fields::from_iter([
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", &merchant.appid),
        ("mch_id", &merchant.mch_id),
        ("nonce_str", "ArfVkYqqBv4IoMsP"),
    ]);
    for (name, value) in fields {
        all.insert(*name, *value);
    }
    let signature = sign::sign(&all, &merchant.api_key, merchant.sign_type);
    all.insert("sign", signature);
    xml::write(&all)
}

pub fn signed_refusal(code: &str) -> String {
    signed(&[("result_code", "FAIL"), ("err_code", code)])
}

/// Long limits: a test that waits for them has failed.
pub fn pay_config(base: &str) -> PayConfig {
    PayConfig {
        base: base.to_owned(),
        base_2: None,
        clock: Clock::system(),
        connect_timeout: Duration::from_secs(20),
        call_timeout: Duration::from_secs(20),
        refund_timeout: Duration::from_secs(20),
        certificate: None,
        extra_root_pem: None,
    }
}
