//! `GET /demo`: a page that behaves as the mini-program would. Only with the simulated WeChat.
//!
//! The files are part of the binary. The page learns two things from here, the simulation's address
//! and the appid; the rest it does through the public API and `/sandbox/*`.

use actix_web::http::header::{self, ContentType};
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

const INDEX: &str = include_str!("../../assets/demo/index.html");

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../assets/demo/", $name)))),+]
    };
}

/// Everything that the page loads, by its path below `/demo/`.
const FILES: &[(&str, &str)] = files![
    "base.css",
    "shop.css",
    "address.js",
    "checkout.js",
    "dom.js",
    "layer.js",
    "main.js",
    "me.js",
    "messages.js",
    "net.js",
    "orders.js",
    "pay.js",
    "rush.js",
    "shop.js",
    "wire.js",
    "images/coffee.svg",
    "images/icon.svg",
    "images/lamp.svg",
    "images/notebook.svg",
    "images/orange.svg",
    "images/plant.svg",
    "images/scarf.svg",
    "images/teacup.svg",
    "images/tote.svg",
];

/// The page, but for the address of the simulation.
#[derive(Debug, Clone)]
pub struct DemoPage {
    sandbox_url: String,
    appid: String,
}

impl DemoPage {
    /// `sandbox_url`: base of the simulation. Where its host is `0.0.0.0`, which no browser can
    /// reach, the page puts the host by which it was asked for itself.
    pub fn new(sandbox_url: &str, appid: &str) -> Self {
        Self { sandbox_url: sandbox_url.to_owned(), appid: appid.to_owned() }
    }

    /// Adds `/demo` and `/demo/...` to the application.
    pub fn add_to(self, config: &mut ServiceConfig) {
        let page = web::resource(["/demo", "/demo/"]).app_data(Data::new(self));
        config.service(page.get(index));
        config.service(web::resource("/demo/{file:.+}").get(file));
    }

    fn sandbox_url_for(&self, host: &str) -> String {
        let unspecified = ["//0.0.0.0:", "//[::]:"];
        let Some(any) = unspecified.iter().find(|any| self.sandbox_url.contains(**any)) else {
            return self.sandbox_url.clone();
        };
        let name = host.rfind(':').filter(|at| !host[*at..].contains(']'));
        let name = name.map_or(host, |at| &host[..at]);
        self.sandbox_url.replace(any, &format!("//{name}:"))
    }
}

async fn index(request: HttpRequest, page: Data<DemoPage>) -> HttpResponse {
    let sandbox_url = page.sandbox_url_for(request.connection_info().host());
    let html = INDEX
        .replace("__SANDBOX_URL__", &escaped(&sandbox_url))
        .replace("__APPID__", &escaped(&page.appid));
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((header::CONTENT_SECURITY_POLICY, policy(&sandbox_url)))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(html)
}

async fn file(name: Path<String>) -> HttpResponse {
    let Some((name, text)) = FILES.iter().find(|(known, _)| *known == name.as_str()) else {
        return HttpResponse::NotFound().finish();
    };
    HttpResponse::Ok()
        .content_type(content_type(name))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(*text)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    }
}

/// Scripts and styles of our own only; calls to this server and to the simulation only. Pictures may
/// come from elsewhere: a shop seeded with its own goods names them by any URL.
fn policy(sandbox_url: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || ":/.-[]".contains(*c);
    let sandbox: String = sandbox_url.chars().filter(plain).collect();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {sandbox}; \
         img-src 'self' data: http: https:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// Fit for a double-quoted HTML attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, body};

    use super::*;

    async fn get(path: &str) -> (StatusCode, String, String) {
        let page = DemoPage::new("http://127.0.0.1:9\"><script>", "wx1&2");
        let app = init_service(App::new().configure(|routes| page.add_to(routes))).await;
        let request = TestRequest::get().uri(path).to_request();
        let response = call_service(&app, request).await.into_parts().1;
        let header = response.headers().get(header::CONTENT_TYPE);
        let kind = header.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let status = response.status();
        let text = body::to_bytes(response.into_body()).await.unwrap();
        (status, kind, String::from_utf8(text.to_vec()).unwrap())
    }

    #[actix_web::test]
    async fn the_page_is_filled_in_and_nothing_breaks_out_of_it() {
        let (status, kind, html) = get("/demo").await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/html; charset=utf-8"));
        assert!(html.contains(r#"content="http://127.0.0.1:9&quot;&gt;&lt;script&gt;""#), "{html}");
        assert!(html.contains(r#"content="wx1&amp;2""#), "{html}");
        assert!(!html.contains("__"), "a place was left unfilled");
    }

    #[actix_web::test]
    async fn every_file_that_the_page_names_is_served() {
        let everything: String = FILES.iter().map(|(_, text)| *text).chain([INDEX]).collect();
        let quoted = everything.split(['"', '\'']);
        let named =
            quoted.filter_map(|text| text.strip_prefix("/demo/").or(text.strip_prefix("./")));
        let mut count = 0;
        for name in named.filter(|name| name.contains('.')) {
            let (status, kind, _) = get(&format!("/demo/{name}")).await;
            assert_eq!(status, StatusCode::OK, "{name}");
            assert!(!kind.is_empty(), "{name}");
            count += 1;
        }
        assert!(count > FILES.len() / 2, "{count}");
    }

    #[actix_web::test]
    async fn pictures_of_the_samples_are_served() {
        let samples = include_str!("../../assets/demo/samples.json");
        for name in samples.split('"').filter_map(|text| text.strip_prefix("/demo/")) {
            assert_eq!(get(&format!("/demo/{name}")).await.1, "image/svg+xml", "{name}");
        }
    }

    #[actix_web::test]
    async fn other_files_are_not_there() {
        for path in ["/demo/nothing.js", "/demo/../Cargo.toml", "/demo/%2e%2e/Cargo.toml"] {
            assert_eq!(get(path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn a_simulation_on_every_interface_is_reached_by_the_host_of_the_page() {
        let public = DemoPage::new("http://0.0.0.0:9", "wx1");
        assert_eq!(public.sandbox_url_for("192.168.1.5:8080"), "http://192.168.1.5:9");
        assert_eq!(public.sandbox_url_for("[fd00::1]:8080"), "http://[fd00::1]:9");
        assert_eq!(public.sandbox_url_for("shop"), "http://shop:9");
        let confined = DemoPage::new("http://127.0.0.1:9", "wx1");
        assert_eq!(confined.sandbox_url_for("shop:80"), "http://127.0.0.1:9");
    }

    #[test]
    fn the_policy_takes_no_word_from_the_address() {
        let policy = policy("http://127.0.0.1:9; script-src *");
        assert!(policy.contains("connect-src 'self' http://127.0.0.1:9script-src; "), "{policy}");
    }

    #[test]
    fn no_script_writes_markup() {
        for (name, text) in FILES.iter().filter(|(name, _)| name.ends_with(".js")) {
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!text.contains(word), "{word} in {name}");
            }
        }
    }
}
