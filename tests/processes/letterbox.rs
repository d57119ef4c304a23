//! Stands between WeChat and the servers, as a load balancer would: what comes is handed to one of
//! them, or to several at once.

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};

use crate::support::process::free_port;

/// Who gets what comes.
pub struct Letterbox(actix_web::dev::ServerHandle);

impl Letterbox {
    /// Its address, before there is anybody to hand anything to.
    pub fn address() -> String {
        format!("http://127.0.0.1:{}", free_port())
    }

    /// Hands every letter to all of these at the same moment; WeChat hears the first one's answer.
    pub fn for_all(url: &str, servers: Vec<String>) -> Self {
        let app = move || {
            let servers = Data::new(servers.clone());
            App::new().app_data(servers).default_service(actix_web::web::to(hand_over))
        };
        let address = url.trim_start_matches("http://").to_owned();
        let server = HttpServer::new(app).workers(1).bind(address).unwrap().run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Self(handle)
    }

    pub async fn stop(self) {
        self.0.stop(false).await;
    }
}

async fn hand_over(request: HttpRequest, body: Bytes, servers: Data<Vec<String>>) -> HttpResponse {
    let send = |server: &String| {
        let client = awc::Client::builder().timeout(std::time::Duration::from_secs(20)).finish();
        let letter = client.post(format!("{server}{}", request.uri()));
        let body = body.clone();
        async move {
            let mut answer = letter.send_body(body).await.map_err(|error| error.to_string())?;
            let body = answer.body().await.map_err(|error| error.to_string())?;
            Ok::<_, String>((answer.status(), body))
        }
    };
    let answers = futures_util::future::join_all(servers.iter().map(send)).await;
    match answers.into_iter().next() {
        Some(Ok((status, body))) => HttpResponse::build(status).body(body),
        Some(Err(_)) | None => HttpResponse::BadGateway().finish(),
    }
}
