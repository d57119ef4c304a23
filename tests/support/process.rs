//! The real binary as a process of its own, and WeChat in this one: what the shop forgets when it
//! is killed, WeChat remembers.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use awc::http::Method;
use buynow::clock::Clock;
use buynow::config::{Config, SANDBOX_APPID, sandbox_templates};
use buynow::domain::id::WxappId;
use buynow::sandbox::{Sandbox, SandboxApp, SandboxConfig, SandboxHandle, SandboxTemplate};
use buynow::store::seed::{SeedFile, seed_url};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::shopper::{Reply, Shopper, call};
use super::storage::Storage;

/// Longest wait for what a healthy process does in a moment.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shop in a folder of its own, served by a process that can be killed and started again.
pub struct Process {
    pub folder: tempfile::TempDir,
    pub sandbox: SandboxHandle,
    pub url: String,
    database_url: String,
    /// Of the database, when it belongs to this shop.
    storage: Option<Arc<Storage>>,
    running: Option<Running>,
    /// Of its environment, over what config.toml says.
    variables: Vec<(String, String)>,
}

struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Arc<Mutex<String>>,
}

impl Process {
    /// Writes config.toml for a free port and starts WeChat; the shop is not served yet.
    pub fn prepare() -> Self {
        Self::prepare_with("")
    }

    /// As [`Self::prepare`], with further sections of config.toml.
    pub fn prepare_with(settings: &str) -> Self {
        let storage = Storage::new();
        storage.make_empty_at_once();
        let mut shop = Self::prepare_at(&storage.url(), settings);
        shop.storage = Some(storage);
        shop
    }

    /// As [`Self::prepare_with`], on a database that is there.
    pub fn prepare_at(database_url: &str, settings: &str) -> Self {
        Self::prepare_on(database_url, wechat(Clock::system()), settings)
    }

    /// Another one on the same database and with the same WeChat.
    pub fn beside(&self, settings: &str) -> Self {
        let mut shop = Self::prepare_on(&self.database_url, self.sandbox.clone(), settings);
        shop.storage = self.storage.clone();
        shop
    }

    /// On servers of a cluster that have an empty database of these URLs, the first of which takes
    /// writes.
    pub fn prepare_on_cluster(urls: &[String]) -> Self {
        let process = Self::prepare_on(&urls[0], wechat(Clock::system()), "");
        let file = process.folder.path().join("config.toml");
        let config = std::fs::read_to_string(&file).unwrap();
        let one = format!("url = \"{}\"", urls[0]);
        std::fs::write(file, config.replace(&one, &format!("urls = {urls:?}"))).unwrap();
        process
    }

    fn prepare_on(database_url: &str, sandbox: SandboxHandle, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("http://127.0.0.1:{}", free_port());
        let database = format!("[database]\nurl = \"{database_url}\"\n");
        let config = config(&url, sandbox.url()) + &database + settings;
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let database_url = database_url.to_owned();
        let (storage, running, variables) = (None, None, Vec::new());
        Self { folder, sandbox, url, database_url, storage, running, variables }
    }

    /// From its next start on, with this variable.
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn database_url(&self) -> String {
        self.database_url.clone()
    }

    /// Serves; returns when it listens.
    #[track_caller]
    pub fn start(&mut self) {
        self.start_until("buynow serves");
    }

    /// Starts to serve; returns when it has said these words.
    #[track_caller]
    pub fn start_until(&mut self, words: &str) {
        let serve = self.command(&["serve"]);
        self.start_as(serve, words);
    }

    /// Serves, and dies when it comes to a point of `buynow::crash` for the nth time, as in
    /// `after_commit:3`.
    #[track_caller]
    pub fn start_to_die_at(&mut self, point: &str) {
        let mut serve = self.command(&["serve"]);
        serve.env(buynow::crash::VARIABLE, point);
        self.start_as(serve, "buynow serves");
    }

    #[track_caller]
    fn start_as(&mut self, mut serve: Command, words: &str) {
        let mut child = serve.stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let said = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        let kept = said.clone();
        std::thread::spawn(move || pass_on(stderr, &send, &kept));
        let running = Running { child, lines, said };
        running.wait_for(words);
        self.running = Some(running);
    }

    /// As a power cut would end it: nothing is finished, nothing is written any more.
    pub fn kill(&mut self) {
        let mut running = self.running.take().unwrap();
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    /// Asks it to end, as systemd does.
    pub fn send_sigterm(&self) {
        self.signal("TERM");
    }

    /// Stops it where it is: connections stay open and silent.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.running.as_ref().unwrap().child.id();
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
        assert!(kill.unwrap().success());
    }

    /// Waits for the end of a process that was asked to end.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut running = self.running.take().unwrap();
        let waiting = actix_rt::task::spawn_blocking(move || {
            let status = running.child.wait().unwrap();
            (status, running)
        });
        let (status, running) = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
        assert!(!running.said().contains("panicked"), "{}", running.said());
        status
    }

    /// What it has logged since its start.
    pub fn said(&self) -> String {
        self.running.as_ref().map(Running::said).unwrap_or_default()
    }

    #[track_caller]
    pub fn wait_until_it_says(&self, words: &str) {
        self.running.as_ref().unwrap().wait_for(words);
    }

    /// Runs another command of the binary in the same folder, to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(&[], arguments)
    }

    /// As [`Self::run`], with these variables.
    pub fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        self.command(arguments).envs(variables.iter().copied()).output().unwrap()
    }

    /// As [`Self::run`], while buyers of this process go on.
    pub async fn runs(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        actix_rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buynow"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BUYNOW__")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder.path()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    pub async fn shopper(&self, name: &str) -> Shopper {
        Shopper::arrive(&self.url, &self.sandbox, SANDBOX_APPID, name).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        call(&self.url, Method::GET, path, None, &[], None).await
    }

    /// Goods with one SKU, loaded as `buynow seed` does, beside the running server.
    pub async fn a_sku_of(&self, deduct_stock: &str, price_fen: i64, stock: i64) -> i64 {
        let code = format!("sku-{}", rand::random::<u32>());
        let goods = json!({
            "name": "高山茶", "code": code, "deduct_stock": deduct_stock,
            "skus": [{"code": code, "price_fen": price_fen, "stock": stock}],
        });
        let file = SeedFile::parse(json!({ "goods": [goods] }).to_string().as_bytes()).unwrap();
        let wxapp = WxappId::parse(10_001).unwrap();
        let now = Clock::system().now();
        let seeded = seed_url(&self.database_url(), wxapp, &file, now).await.unwrap();
        seeded.goods[0].skus[0].id
    }

    /// Pieces of a SKU that are not deducted, as buyers see them.
    pub async fn stock(&self, sku: i64) -> i64 {
        let goods = self.get("/api/v1/goods?limit=100").await;
        for goods in goods.body["items"].as_array().unwrap() {
            let detail = self.get(&format!("/api/v1/goods/{}", goods["id"])).await;
            let skus = detail.body["skus"].as_array().unwrap().clone();
            if let Some(found) = skus.iter().find(|found| found["id"] == json!(sku)) {
                return found["stock"].as_i64().unwrap();
            }
        }
        panic!("SKU {sku} is not in the catalogue");
    }

    /// As the operator looks at it, beside the running server.
    #[track_caller]
    pub fn audit_is_clean(&self) {
        let output = self.run(&["audit"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            if std::thread::panicking() {
                eprintln!("--- the server said:\n{}", running.said());
            }
            drop(running.child.kill());
            drop(running.child.wait());
        }
    }
}

impl Running {
    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    #[track_caller]
    fn wait_for(&self, words: &str) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line.contains(words) {
                return;
            }
        }
        panic!("it never said {words:?} but:\n{}", self.said());
    }
}

fn pass_on(stderr: impl std::io::Read, lines: &Sender<String>, kept: &Mutex<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let mut kept = kept.lock().unwrap();
        kept.push_str(&line);
        kept.push('\n');
        // Nobody listens once it has started.
        drop(lines.send(line));
    }
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The simulated WeChat with the mini-program of a configuration that leaves all to it.
pub fn wechat(clock: Clock) -> SandboxHandle {
    let wxapp = Config::default().wxapp.or_sandbox();
    let template = |sample: buynow::config::SandboxTemplate| SandboxTemplate {
        template_id: sample.template.template_id,
        title: sample.title.to_owned(),
        fields: sample.fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    };
    let app = SandboxApp {
        appid: wxapp.appid,
        secret: wxapp.secret,
        mch_id: wxapp.mch_id,
        api_key: wxapp.api_key,
        templates: sandbox_templates().into_iter().map(template).collect(),
    };
    let bind = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Sandbox::start(SandboxConfig { bind, clock, apps: vec![app] }).unwrap()
}

/// Live mode with WeChat's addresses on this machine.
fn config(url: &str, wechat: &str) -> String {
    let wxapp = Config::default().wxapp.or_sandbox();
    let port = url.rsplit(':').next().unwrap();
    let (appid, mch_id) = (wxapp.appid, wxapp.mch_id);
    let (secret, api_key) = (wxapp.secret.expose_secret(), wxapp.api_key.expose_secret());
    let master_key = "5a".repeat(32);
    let paid = sandbox_templates().remove(0);
    let data = Value::from_iter(paid.template.data.clone());
    let data = toml::Value::try_from(data).unwrap();
    format!(
        r#"
[server]
bind = "127.0.0.1"
port = {port}
public_url = "{url}"
workers = 2
shutdown_seconds = 10
buyer_requests_per_second = 0
address_requests_per_second = 0
[wechat]
mode = "live"
api_base = "{wechat}"
pay_base = "{wechat}"
[wxapp]
appid = "{appid}"
secret = "{secret}"
mch_id = "{mch_id}"
api_key = "{api_key}"
[wxapp.templates.order_paid]
template_id = "{template_id}"
data = {data}
[security]
master_key = "{master_key}"
[reaper]
poll_ms = 100
[notifier]
poll_ms = 100
"#,
        template_id = paid.template.template_id,
    )
}
