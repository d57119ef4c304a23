//! Debian's chromium, driven by its chromedriver over the W3C WebDriver protocol: the few commands
//! that these tests need, spoken over awc.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::servers::absent;

const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";
/// By which WebDriver names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const ENTER: char = '\u{e007}';
/// How long a command may take; the machine may be busy with other tests.
const COMMAND_WAIT: Duration = Duration::from_secs(90);
/// How long a page may take.
const PAGE_WAIT: Duration = Duration::from_secs(30);

/// A browser of its own, with nothing in it.
pub struct Browser {
    driver: Child,
    session: String,
    site: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.end_session();
        // What is left of the driver and its browser is one group of processes.
        let group = format!("-{}", self.driver.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).status());
        drop(self.driver.wait());
    }
}

/// Whether pages may run their scripts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scripts {
    On,
    Off,
}

impl Browser {
    /// The driver ends its browser, and removes what it kept, only when it is asked so: killed, it
    /// leaves the browser running.
    fn end_session(&self) {
        let Some((host, path)) = self.session.strip_prefix("http://").and_then(|url| {
            let (host, path) = url.split_once('/')?;
            Some((host, format!("/{path}")))
        }) else {
            return;
        };
        let Ok(mut stream) = std::net::TcpStream::connect(host) else { return };
        drop(stream.set_read_timeout(Some(Duration::from_secs(10))));
        drop(write!(stream, "DELETE {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        // It answers when the browser is gone.
        drop(stream.read(&mut [0; 64]));
    }

    /// At this site; where there is no browser, says so.
    pub async fn open(site: &str, scripts: Scripts) -> Option<Self> {
        if !Path::new(CHROMIUM).exists() || !Path::new(DRIVER).exists() {
            absent("browser", "chromium chromium-driver");
            return None;
        }
        let (driver, port) = start_driver();
        let mut browser = Self { driver, session: String::new(), site: site.to_owned() };
        let base = format!("http://127.0.0.1:{port}");
        let asked = json!({"capabilities": {"alwaysMatch": capabilities(scripts)}});
        let made = command(Method::POST, &format!("{base}/session"), Some(asked)).await;
        browser.session = format!("{base}/session/{}", made["sessionId"].as_str().unwrap());
        Some(browser)
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        command(Method::POST, &format!("{}{path}", self.session), Some(body)).await
    }

    async fn get(&self, path: &str) -> Value {
        command(Method::GET, &format!("{}{path}", self.session), None).await
    }

    pub async fn goto(&self, path: &str) {
        self.post("/url", json!({"url": format!("{}{path}", self.site)})).await;
    }

    /// The path and query of the page.
    pub async fn place(&self) -> String {
        let url = self.get("/url").await.as_str().unwrap().to_owned();
        url.strip_prefix(&self.site).unwrap_or(&url).to_owned()
    }

    /// The first element, as soon as there is one.
    async fn find(&self, css: &str) -> String {
        let begun = Instant::now();
        loop {
            let wanted = json!({"using": "css selector", "value": css});
            let found = self.post("/elements", wanted).await;
            if let Some(element) = found[0][ELEMENT].as_str() {
                return element.to_owned();
            }
            assert!(begun.elapsed() < PAGE_WAIT, "{css} is not on {}", self.place().await);
        }
    }

    /// Waits for a page that has this.
    pub async fn is_there(&self, css: &str) {
        self.find(css).await;
    }

    /// Waits for a page that shows this text: without script, the driver does not wait by itself.
    #[track_caller]
    pub fn shows(&self, css: &str, text: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let script = format!(
            "const found = document.querySelector({});
             return document.readyState === 'complete' && found ? found.innerText : ''",
            json!(css)
        );
        async move {
            let begun = Instant::now();
            loop {
                let shown = self.runs(&script).await;
                let shown = shown.as_str().unwrap_or_default();
                if shown.contains(text) {
                    return;
                }
                assert!(begun.elapsed() < PAGE_WAIT, "at {caller}: {css} shows {shown}");
            }
        }
    }

    /// Presses the mouse on it, as a hand would.
    pub async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.post(&format!("/element/{element}/click"), json!({})).await;
    }

    /// Types into a field.
    pub async fn types(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        self.post(&format!("/element/{element}/value"), json!({"text": text})).await;
    }

    /// Types into a field and presses Enter.
    pub async fn enters(&self, css: &str, text: &str) {
        self.types(css, &format!("{text}{ENTER}")).await;
    }

    /// Presses keys wherever the focus is.
    pub async fn keys(&self, keys: &str) {
        let press = |key: char| {
            let key = key.to_string();
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
        };
        let actions: Vec<Value> = keys.chars().flat_map(press).collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.post("/actions", json!({"actions": [keyboard]})).await;
    }

    pub async fn text(&self, css: &str) -> String {
        let element = self.find(css).await;
        let text = self.get(&format!("/element/{element}/text")).await;
        text.as_str().unwrap().to_owned()
    }

    /// Waits until what has this id has the focus: pages move it after they are there.
    #[track_caller]
    pub fn focuses(&self, id: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let begun = Instant::now();
            loop {
                let script = "return document.activeElement ? document.activeElement.id : ''";
                let focus = self.runs(script).await;
                if focus == id {
                    return;
                }
                assert!(begun.elapsed() < PAGE_WAIT, "at {caller}: {focus} has the focus");
            }
        }
    }

    pub async fn runs(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// The same with `done` as the last argument of the script.
    pub async fn runs_until_done(&self, script: &str) -> Value {
        self.post("/execute/async", json!({"script": script, "args": []})).await
    }

    /// A screen so wide, in pixels, in light or dark.
    pub async fn screen(&self, width: u32, scheme: &str) {
        let height = 900;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.tool("Emulation.setDeviceMetricsOverride", metrics).await;
        let dark = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.tool("Emulation.setEmulatedMedia", dark).await;
    }

    async fn tool(&self, name: &str, params: Value) {
        self.post("/goog/cdp/execute", json!({"cmd": name, "params": params})).await;
    }

    /// What the console holds since it was looked at last, but for the browser's own word that a
    /// page was answered with 4xx.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({"type": "browser"})).await;
        let said = log.as_array().unwrap().iter();
        let said = said.map(|entry| entry["message"].as_str().unwrap().to_owned());
        said.filter(|line| !line.contains("the server responded with a status of 4")).collect()
    }

    /// The picture of the screen, PNG in base64.
    pub async fn picture(&self) -> String {
        self.get("/screenshot").await.as_str().unwrap().to_owned()
    }
}

fn start_driver() -> (Child, u16) {
    let mut driver = Command::new(DRIVER)
        .arg("--port=0")
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines.map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("was started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    (driver, port.expect("chromedriver says where it listens"))
}

fn capabilities(scripts: Scripts) -> Value {
    let javascript = if scripts == Scripts::On { 1 } else { 2 };
    json!({
        "browserName": "chrome",
        "goog:loggingPrefs": {"browser": "ALL"},
        "goog:chromeOptions": {
            "binary": CHROMIUM,
            // Tests run as root in a container, where the sandbox cannot.
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-background-networking", "--no-first-run", "--window-size=1280,900"],
            "prefs": {"profile.managed_default_content_settings.javascript": javascript},
        },
    })
}

/// One command; what it answers, or a test that fails.
async fn command(method: Method, url: &str, body: Option<Value>) -> Value {
    let client = awc::Client::builder().timeout(COMMAND_WAIT).finish();
    let request = client.request(method, url);
    let sent = match &body {
        Some(body) => request.send_json(body).await,
        None => request.send().await,
    };
    let mut reply = sent.unwrap_or_else(|error| panic!("{url}: {error}"));
    let bytes = reply.body().limit(16 * 1024 * 1024).await.unwrap();
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    assert!(reply.status().is_success(), "{url}: {}", answer["value"]);
    answer["value"].clone()
}
