//! A WeChat that stands while shops come and go: two mini-programs, restarts, changed rows.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use buynow::clock::Clock;
use buynow::config::{Config, SANDBOX_APPID, sandbox_templates};
use buynow::sandbox::{Forge, Sandbox, SandboxApp, SandboxConfig, SandboxHandle, SandboxTemplate};
use entity::wxapp;
use sea_orm::{
    ActiveModelTrait as _, Database, DatabaseConnection, EntityTrait as _, IntoActiveModel as _,
};

use crate::support::{START, Storage, TestApp};

pub const SECOND_APPID: &str = "wx5a11d0b0e0000002";
pub const SECOND_ID: i64 = 10_002;
pub const OTHER_MCH_ID: &str = "1900000002";

/// A WeChat that outlives the shops, and knows two mini-programs.
pub struct WeChat {
    pub handle: SandboxHandle,
    pub clock: Clock,
}

impl WeChat {
    /// The second mini-program belongs to the merchant named, the first to the usual one.
    pub fn with_second_of(mch_id: &str) -> Self {
        let clock = Clock::manual(START);
        let first = Config::default().wxapp.or_sandbox();
        let template = |sample: buynow::config::SandboxTemplate| SandboxTemplate {
            template_id: sample.template.template_id,
            title: sample.title.to_owned(),
            fields: sample.fields.iter().map(|(k, l)| (k.to_string(), l.to_string())).collect(),
        };
        let app = |appid: &str, mch_id: &str| SandboxApp {
            appid: appid.to_owned(),
            secret: first.secret.clone(),
            mch_id: mch_id.to_owned(),
            api_key: first.api_key.clone(),
            templates: sandbox_templates().into_iter().map(template).collect(),
        };
        let config = SandboxConfig {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: clock.clone(),
            apps: vec![app(SANDBOX_APPID, &first.mch_id), app(SECOND_APPID, mch_id)],
        };
        Self { handle: Sandbox::start(config).unwrap(), clock }
    }

    pub fn new() -> Self {
        Self::with_second_of(&Config::default().wxapp.or_sandbox().mch_id)
    }

    pub async fn shop(&self) -> TestApp {
        self.shop_on(Storage::new()).await
    }

    pub async fn shop_on(&self, storage: Arc<Storage>) -> TestApp {
        TestApp::builder().wechat(&self.handle).on(storage, self.clock.clone()).start().await
    }
}

pub async fn database(storage: &Storage) -> DatabaseConnection {
    Database::connect(storage.url()).await.unwrap()
}

/// Changes the row of the first mini-program, as staff would, while the shop is down.
pub async fn change_wxapp(storage: &Storage, change: impl FnOnce(&mut wxapp::ActiveModel)) {
    let db = database(storage).await;
    let row = wxapp::Entity::find_by_id(10_001).one(&db).await.unwrap().unwrap();
    let mut row = row.into_active_model();
    change(&mut row);
    row.update(&db).await.unwrap();
    db.close().await.unwrap();
}

pub async fn add_second_wxapp(app: &TestApp, mch_id: &str) {
    let db = database(&app.storage()).await;
    let mut row = wxapp::Entity::find_by_id(10_001).one(&db).await.unwrap().unwrap();
    row.id = SECOND_ID;
    row.appid = SECOND_APPID.to_owned();
    row.mch_id = mch_id.to_owned();
    wxapp::Entity::insert(row.into_active_model().reset_all()).exec(&db).await.unwrap();
    db.close().await.unwrap();
}

/// A notification that comes to another path or server than the order named.
pub fn at_path(app: &TestApp, wxapp: i64) -> Forge {
    let url = format!("{}/wechat/pay/v2/notify/{wxapp}", app.url);
    Forge { notify_url: Some(url), ..Forge::default() }
}
