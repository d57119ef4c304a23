#![allow(clippy::unwrap_used)]

use std::ffi::OsString;
use std::path::Path;

use secrecy::ExposeSecret;

use super::*;

const LIVE: &str = r#"
server.public_url = "https://shop.example"
wechat.mode = "live"
wxapp.appid = "wx0123456789abcdef"
wxapp.secret = "s"
wxapp.mch_id = "1900000109"
wxapp.api_key = "0123456789abcdef0123456789ABCDEF"
wxapp.cert_file = "config.toml"
wxapp.key_file = "config.toml"
security.master_key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
"#;

/// Loads from a file with this text, called `config.toml`, and these variables.
pub(super) fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Config::load_with(Some(&file), variables.collect::<Vec<(OsString, OsString)>>()).map_err(
        |error| {
            let lines = error.problems().iter().map(ToString::to_string).collect::<Vec<_>>();
            lines.join("\n").replace(&*folder.path().join("").to_string_lossy(), "")
        },
    )
}

#[track_caller]
pub(super) fn refused(text: &str, variables: &[(&str, &str)], expected: &str) {
    let error = load(text, variables).expect_err("these settings are wrong");
    assert_eq!(error, expected);
}

#[track_caller]
fn live_refused(more: &str, expected: &str) {
    let (key, _) = more.split_once(" = ").unwrap_or((more, ""));
    let kept = LIVE.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n");
    refused(&format!("{kept}\n{}", if more == key { "" } else { more }), &[], expected);
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let shipped = Config::load_with(Some(Path::new("config.toml")), []).unwrap();
    let defaults = Config { origin: shipped.origin.clone(), ..Config::default() };
    assert_eq!(format!("{shipped:?}"), format!("{defaults:?}"));
    assert!(shipped.wxapp.secret.expose_secret().is_empty());
    assert_eq!(shipped.database.url.expose_secret(), "sqlite://buynow.db");
}

#[test]
fn the_shipped_file_lists_every_key() {
    let file = include_str!("../../config.toml");
    let sections = ["server", "database", "engine", "notifier", "reaper", "wechat", "wxapp"];
    for section in sections.into_iter().chain(["security", "log", "wxapp.templates.order_paid"]) {
        let error = load(&format!("[{section}]\nzzz = 1\ntemplate_id = \"x\""), &[]).unwrap_err();
        let (_, keys) = error.split_once(" are ").unwrap_or_else(|| panic!("{error}"));
        let part = file.split(&format!("[{section}]")).nth(1).unwrap();
        let part = part.split("\n[").next().unwrap();
        for key in keys.split(", ").filter(|key| *key != "templates") {
            let listed =
                |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
            assert!(part.lines().any(listed), "{section}.{key} is not in config.toml");
        }
    }
}

#[test]
fn variables_go_before_the_file_and_the_file_before_the_defaults() {
    let file = "[server]\nport = 1000\nshutdown_seconds = 7";
    let config = load(file, &[("BUYNOW__SERVER__PORT", "2000"), ("OTHER", "x")]).unwrap();
    assert_eq!((config.server.port, config.server.shutdown_seconds), (2000, 7));
    assert_eq!(config.engine.queue_max, 1024);
}

#[test]
fn a_variable_is_read_as_what_its_setting_is() {
    let key = "00000000000000000000000000000000";
    let config = load(
        "",
        &[
            ("BUYNOW__WXAPP__MCH_ID", "0019000001"),
            ("BUYNOW__WXAPP__API_KEY", key),
            ("BUYNOW__WXAPP__FREE_FREIGHT_FROM_FEN", "9900"),
            ("BUYNOW__WXAPP__LEGACY_TEMPLATE_MESSAGES", "true"),
            ("BUYNOW__WXAPP__TEMPLATES__ORDER_PAID__TEMPLATE_ID", "17"),
            ("BUYNOW__WXAPP__TEMPLATES__ORDER_PAID__DATA__THING1", "{goods}"),
            ("BUYNOW__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 192.168.1.1"),
            ("BUYNOW__SERVER__CORS_ORIGINS", "[\"https://a.example\"]"),
            ("BUYNOW__SERVER__BIND", "::1"),
            ("BUYNOW__ENGINE__MAX_LINES", ""),
        ],
    )
    .unwrap();
    assert_eq!(config.wxapp.mch_id, "0019000001");
    assert_eq!(config.wxapp.api_key.expose_secret(), key);
    assert_eq!(config.wxapp.free_freight_from_fen, Some(9900));
    assert!(config.wxapp.legacy_template_messages);
    assert_eq!(config.wxapp.templates.order_paid.unwrap().template_id, "17");
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.server.cors_origins, ["https://a.example"]);
    assert_eq!(config.server.bind, Some("::1".parse().unwrap()));
    assert_eq!(config.engine.max_lines, 50);
}

#[test]
fn an_unknown_key_is_refused_by_name_and_place() {
    refused(
        "[reaper]\npol_ms = 5",
        &[],
        "reaper.pol_ms (config.toml): unknown key; keys of [reaper] are poll_ms, batch",
    );
    refused(
        "[serve]\nport = 5",
        &[],
        "serve (config.toml): unknown key; the sections are server, database, engine, notifier, \
         reaper, wechat, wxapp, security, log",
    );
    refused(
        "",
        &[("BUYNOW__LOG__COLOUR", "red")],
        "log.colour (environment variable BUYNOW__LOG__COLOUR): unknown key; keys of [log] are \
         format, level",
    );
}

#[test]
fn a_bad_value_is_refused_by_name_and_place() {
    refused(
        "[server]\nport = 70000",
        &[],
        "server.port (config.toml): 70000 is not a whole number from 0 to 65535",
    );
    refused(
        "[server]\nport = \"80\"",
        &[],
        "server.port (config.toml): \"80\" is not a whole number from 0 to 65535",
    );
    refused(
        "",
        &[("BUYNOW__SERVER__PORT", "eighty")],
        "server.port (environment variable BUYNOW__SERVER__PORT): \"eighty\" is not a whole number \
         from 0 to 65535",
    );
    refused(
        "[wechat]\nmode = \"test\"",
        &[],
        "wechat.mode (config.toml): \"test\" is not one of sandbox, live",
    );
    refused("server = 5", &[], "server (config.toml): 5 is not a section");
    refused(
        "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"proxy\"]",
        &[],
        "server.trusted_proxies.1 (config.toml): \"proxy\" is not an address or a range such as \
         10.0.0.0/8",
    );
    refused(
        "",
        &[("BUYNOW__SERVER", "x"), ("BUYNOW__SERVER__PORT", "1")],
        "server.port (environment variable BUYNOW__SERVER__PORT): stands for a section and for a \
         value at once",
    );
    refused(
        "[wxapp.templates.order_paid]\npage = \"x\"",
        &[],
        "wxapp.templates.order_paid (config.toml): template_id is missing",
    );
}

#[test]
fn a_secret_is_not_shown_when_it_is_refused() {
    refused(
        "[wxapp]\napi_key = 12345678",
        &[],
        "wxapp.api_key (config.toml): this is not a text in quotes",
    );
    refused(
        "",
        &[("BUYNOW__WXAPP__API_KEY", "hunter2")],
        "wxapp.api_key (environment variable BUYNOW__WXAPP__API_KEY): must be 32 letters and \
         digits: the APIv2 key of the merchant platform",
    );
    let shown = format!("{:?}", load(LIVE, &[]).unwrap());
    for secret in ["0123456789abcdef0123456789ABCDEF", "000102030405"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_refused_by_its_line() {
    let error = load("[server]\nport = 1\nbind =\n", &[]).unwrap_err();
    assert!(error.starts_with("config.toml line 3: "), "{error}");
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let error = Config::load_with(Some(Path::new("/nowhere/x.toml")), []).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/nowhere/x.toml: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn several_problems_read_as_one_line_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, "[reaper]\nbatch = 0\npoll_ms = 0").unwrap();
    let error = Config::load_with(Some(&file), []).unwrap_err();
    assert_eq!(error.problems().len(), 2);
    let line = error.to_string();
    assert!(line.ends_with("(and 1 more; `buynow config check` lists them)"), "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn bases_with_the_simulation_are_refused() {
    refused(
        "[wechat]\npay_base = \"http://127.0.0.1:9\"",
        &[],
        "wechat.pay_base (config.toml): cannot be set with wechat.mode = \"sandbox\", which starts \
         a simulation and sets it; remove it, or set wechat.mode = \"live\"",
    );
}

#[test]
fn live_mode_takes_complete_settings_and_wechats_own_hosts() {
    let config = load(LIVE, &[]).unwrap();
    assert_eq!(config.wechat.api_base(), "https://api.weixin.qq.com");
    assert_eq!(config.wechat.pay_base(), "https://api.mch.weixin.qq.com");
    assert_eq!(config.wechat.api_base_2(), Some("https://api2.weixin.qq.com"));
    assert_eq!(config.wechat.pay_base_2(), Some("https://api2.mch.weixin.qq.com"));
    assert_eq!(config.master_key().expose_secret()[31], 0x1f);
    assert_eq!(config.public_url(1), "https://shop.example");
}

#[test]
fn live_mode_wants_a_public_https_url_except_on_loopback() {
    live_refused(
        "server.public_url",
        "server.public_url (not set): is required in live mode: WeChat notifies it",
    );
    live_refused(
        "server.public_url = \"http://shop.example\"",
        "server.public_url (config.toml): must begin with https:// in live mode (loopback \
         addresses excepted)",
    );
    for url in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:8080/"] {
        let text = LIVE.replace("https://shop.example", url);
        assert!(load(&text, &[]).is_ok(), "{url}");
    }
    for url in ["shop.example", "ftp://shop.example", "https://shop.example/?a=1", "https://"] {
        let text = LIVE.replace("https://shop.example", url);
        let expected = format!(
            "server.public_url (config.toml): {url:?} is not a URL such as https://shop.example, \
             without query or user"
        );
        refused(&text, &[], &expected);
    }
}

#[test]
fn live_mode_wants_every_secret() {
    live_refused(
        "security.master_key",
        "security.master_key (not set): is required in live mode; set BUYNOW__SECURITY__MASTER_KEY",
    );
    live_refused(
        "wxapp",
        "wxapp.appid (not set): is required in live mode; set BUYNOW__WXAPP__APPID\n\
         wxapp.secret (not set): is required in live mode; set BUYNOW__WXAPP__SECRET\n\
         wxapp.mch_id (not set): is required in live mode; set BUYNOW__WXAPP__MCH_ID\n\
         wxapp.api_key (not set): is required in live mode; set BUYNOW__WXAPP__API_KEY\n\
         wxapp.cert_file (not set): is required in live mode: WeChat takes no refund without \
         apiclient_cert.pem\n\
         wxapp.key_file (not set): is required in live mode: WeChat takes no refund without \
         apiclient_key.pem",
    );
}

#[test]
fn live_mode_wants_the_merchant_certificate_unless_a_gateway_here_holds_it() {
    let bare = LIVE.lines().filter(|line| !line.contains("_file"));
    let bare = bare.collect::<Vec<_>>().join("\n");
    let error = load(&bare, &[]).unwrap_err();
    assert!(error.contains("wxapp.cert_file") && error.contains("wxapp.key_file"), "{error}");
    for (base, fine) in [
        ("http://127.0.0.1:9000", true),
        ("http://localhost:9000", true),
        ("https://127.0.0.1:9000", false),
        ("http://pay.example", false),
    ] {
        let loaded = load(&format!("{bare}\nwechat.pay_base = {base:?}"), &[]);
        assert_eq!(loaded.is_ok(), fine, "{base}: {loaded:?}");
    }
}

#[test]
fn a_gateway_has_no_second_host_unless_one_is_named() {
    let with = |bases: &str| load(&format!("{LIVE}\n{bases}"), &[]).unwrap().wechat;
    assert_eq!(with("wechat.pay_base = \"https://pay.example\"").pay_base_2(), None);
    assert_eq!(with("wechat.pay_base_2 = \"\"").pay_base_2(), None);
    assert_eq!(
        with("wechat.pay_base_2 = \"https://b.example/\"").pay_base_2(),
        Some("https://b.example")
    );
    let error = load(&format!("{LIVE}\nwechat.api_base_2 = \"api2\""), &[]).unwrap_err();
    assert!(error.contains("wechat.api_base_2"), "{error}");
    let error = load("[wechat]\npay_base_2 = \"http://127.0.0.1:9\"", &[]).unwrap_err();
    assert!(error.contains("wechat.pay_base_2"), "{error}");
}

#[test]
fn a_gateway_here_holds_the_certificate_only_if_all_calls_go_through_it() {
    let bare = LIVE.lines().filter(|line| !line.contains("_file")).collect::<Vec<_>>().join("\n");
    let here = "wechat.pay_base = \"http://127.0.0.1:9\"";
    let second = "wechat.pay_base_2 = \"https://api2.mch.weixin.qq.com\"";
    assert!(load(&format!("{bare}\n{here}"), &[]).is_ok());
    let error = load(&format!("{bare}\n{here}\n{second}"), &[]).unwrap_err();
    assert!(error.contains("wxapp.cert_file"), "{error}");
}

#[test]
fn a_master_key_has_32_bytes_in_either_spelling() {
    let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let config = load("", &[("BUYNOW__SECURITY__MASTER_KEY", base64)]).unwrap();
    assert_eq!(config.master_key().expose_secret()[31], 0x1f);
    refused(
        "security.master_key = \"short\"",
        &[],
        "security.master_key (config.toml): must be 32 bytes as 64 hexadecimal digits or as \
         base64, such as `openssl rand -hex 32` makes",
    );
}

#[test]
fn templates_are_checked_field_by_field() {
    let template =
        |rest: &str| format!("[wxapp.templates.order_paid]\ntemplate_id = \"t\"\n{rest}");
    refused(
        &template("data = { title = \"x\" }"),
        &[],
        "wxapp.templates.order_paid.data.title (config.toml): is not a field of a subscribe \
         message: thing1, amount2, character_string3, time4 ...",
    );
    refused(
        &template("data = { thing1 = \"{good}\" }"),
        &[],
        "wxapp.templates.order_paid.data.thing1 (config.toml): {good} is not known; facts are \
         {shop} {goods} {amount} {order_id} {order_no} {time}",
    );
    refused(
        &template("kind = \"template\"\ndata = { keyword1 = \"{goods}\" }"),
        &[],
        "wxapp.templates.order_paid.kind (config.toml): \"template\" was retired by WeChat; it \
         needs wxapp.legacy_template_messages = true",
    );
    refused(
        &template(""),
        &[],
        "wxapp.templates.order_paid.data (not set): is empty; a message needs its fields",
    );
}

#[test]
fn other_rules_have_their_line_too() {
    refused(
        "[engine]\nbatch_orders_max = 0",
        &[],
        "engine.batch_orders_max (config.toml): 0 is not between 1 and 1024",
    );
    refused(
        "[engine]\nmax_order_fen = 0",
        &[],
        "engine.max_order_fen (config.toml): 0 is not between 1 and 100000000000",
    );
    refused(
        "[database]\nurl = \"oracle://root:pw@db/x\"",
        &[],
        "database.url (config.toml): must begin with sqlite:, postgres://, mysql:// or mariadb://",
    );
    refused(
        "[database]\nurl = \"mysql://root:pw@db:3306\"",
        &[],
        "database.url (config.toml): names no database: postgres://user:password@host/DATABASE",
    );
    refused(
        "[server]\ncors_origins = [\"https://a.example/x\"]",
        &[],
        "server.cors_origins (config.toml): \"https://a.example/x\" is not an origin such as \
         https://shop.example, or \"*\"",
    );
    refused(
        "[server]\naddress_burst = 0",
        &[],
        "server.address_burst (config.toml): must be at least 1 with a rate set",
    );
    refused(
        "[wxapp]\nfreight_fen = -1",
        &[],
        "wxapp.freight_fen (config.toml): -1 is not between 0 and engine.max_order_fen (10000000)",
    );
    refused(
        "[wxapp]\nfree_freight_from_fen = -1",
        &[],
        "wxapp.free_freight_from_fen (config.toml): -1 is negative",
    );
    refused("[wxapp]\nid = 0", &[], "wxapp.id (config.toml): 0 is not between 1 and 2^53 - 1");
    refused("[wxapp]\nname = \" \"", &[], "wxapp.name (config.toml): must have 1 to 32 characters");
    refused(
        "[log]\nlevel = \"buynow=loud\"",
        &[],
        "log.level (config.toml): \"buynow=loud\" is not a filter such as info or info,buynow=debug",
    );
}

#[test]
fn a_certificate_needs_its_key_and_both_must_be_readable() {
    refused(
        "[wxapp]\ncert_file = \"config.toml\"",
        &[],
        "wxapp.cert_file (config.toml): goes together with wxapp.key_file: the merchant \
         certificate and its key, both PEM",
    );
    refused(
        "[wxapp]\ncert_file = \"/nowhere/c.pem\"\nkey_file = \"config.toml\"",
        &[],
        "wxapp.cert_file (config.toml): /nowhere/c.pem cannot be read: No such file or directory \
         (os error 2)",
    );
}

#[test]
fn the_simulation_is_served_on_loopback_unless_it_is_to_be_public() {
    let plain = load("", &[]).unwrap();
    assert!(plain.listen_ip(false).unwrap().is_loopback());
    assert!(plain.listen_ip(true).unwrap().is_unspecified());
    assert!(load(LIVE, &[]).unwrap().listen_ip(false).unwrap().is_unspecified());
    let open = load("", &[("BUYNOW__SERVER__BIND", "0.0.0.0")]).unwrap();
    assert_eq!(
        open.listen_ip(false).unwrap_err().to_string(),
        "server.bind (environment variable BUYNOW__SERVER__BIND): 0.0.0.0 can be reached from \
         outside, and the simulated WeChat lets anyone pay; use a loopback address, or start with \
         --sandbox-public"
    );
    assert!(open.listen_ip(true).unwrap().is_unspecified());
}

#[test]
fn the_simulation_gives_an_identity_that_live_mode_would_accept() {
    let mut config = load(LIVE, &[]).unwrap();
    config.wechat.pay_base = Some("http://127.0.0.1:1".into());
    config.wxapp = Config::default().wxapp.or_sandbox();
    assert_eq!(problems(&config), []);
    assert_eq!(config.wxapp.appid, SANDBOX_APPID);
    assert_eq!(config.wxapp.templates.iter().count(), sandbox_templates().len());
}

#[test]
fn what_was_set_stays_beside_the_simulations_identity() {
    let wxapp = load(LIVE, &[]).unwrap().wxapp.or_sandbox();
    assert_eq!((wxapp.appid.as_str(), wxapp.mch_id.as_str()), ("wx0123456789abcdef", "1900000109"));
    assert_eq!(wxapp.secret.expose_secret(), "s");
}

#[test]
fn a_database_url_is_shown_without_its_password() {
    let url = |text: &str| Database { url: text.into(), ..Database::default() }.shown();
    assert_eq!(url("postgres://shop:p@ss@db/buynow"), "postgres://***@db/buynow");
    assert_eq!(url("sqlite://buynow.db"), "sqlite://buynow.db");
    let urls = vec!["mysql://u:p@a/shop".into(), "mysql://u:p@b/shop".into()];
    let cluster = Database { urls, ..Database::default() };
    assert_eq!(cluster.shown(), "mysql://***@a/shop, mysql://***@b/shop");
}
