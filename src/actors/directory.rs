//! Mini-program to actors: starts them from the store, and replaces those that have died.
//!
//! A dead actor is replaced, not revived: nothing of it is trusted. The four actors of a shop
//! are replaced together, so that no order actor keeps the address of a goods actor that is gone;
//! what is under way in the old ones runs to its end.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::ArbiterHandle;

use super::goods::{Board, GoodsActor, Listener};
use super::journal::JournalHandle;
use super::messenger::MessengerActor;
use super::order::{Gate, KeySet, OrderActor, OrderDeps, Placer};
use super::payment::{PaymentActor, PaymentDeps, WechatPayV2};
use crate::clock::Clock;
use crate::domain::id::WxappId;
use crate::domain::money::Money;
use crate::store::Readers;
use crate::store::ids::Ids;
use crate::store::seal::Sealer;
use crate::store::wxapps::{self, Wxapp, WxappError};
use crate::wechat::api::{ApiClient, ApiConfig};
use crate::wechat::message::MiniProgramState;
use crate::wechat::pay::{ClientCertificate, PayClient, PayConfig, SetupError};

const IN_FLIGHT_EXTRA_SECONDS: u64 = 10;
const IN_FLIGHT_SECONDS_MIN: u64 = 30;

/// A mini-program with its actors.
pub struct Shop {
    pub wxapp: Arc<Wxapp>,
    pub goods: Addr<GoodsActor>,
    pub order: Addr<OrderActor>,
    /// What every order passes on its way to `order`.
    pub gate: Gate,
    pub payment: Addr<PaymentActor>,
    pub messenger: Addr<MessengerActor>,
}

impl Shop {
    fn is_alive(&self) -> bool {
        self.goods.connected()
            && self.order.connected()
            && self.payment.connected()
            && self.messenger.connected()
    }
}

/// Why there is no shop.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("there is no such mini-program")]
    Unknown,
    /// The appid was left out, and there is more than one mini-program.
    #[error("which mini-program is meant?")]
    Ambiguous,
    #[error(transparent)]
    Wxapp(#[from] WxappError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What every shop's actors are made with.
pub struct ShopSettings {
    pub stock_refresh_ms: i64,
    pub order_expire_seconds: i64,
    pub max_order: Money,
    pub mailbox: usize,
    /// Where WeChat reaches us, without a slash at its end.
    pub public_url: String,
    pub pay_base: String,
    pub pay_base_2: Option<String>,
    pub api_base: String,
    pub api_base_2: Option<String>,
    pub connect_timeout: Duration,
    pub call_timeout: Duration,
    pub refund_timeout: Duration,
    /// How long a piece of work of the engine's own stays one process's.
    pub claim_seconds: i64,
    /// Longest call to WeChat.
    pub call_seconds: i64,
    pub miniprogram_state: MiniProgramState,
    /// None: the journal places orders.
    pub placer: Option<Arc<dyn Placer>>,
}

/// What the directory starts actors with.
pub struct DirectoryDeps {
    pub settings: ShopSettings,
    pub readers: Readers,
    pub sealer: Arc<Sealer>,
    pub journal: JournalHandle,
    pub ids: Arc<Ids>,
    pub keys: Arc<KeySet>,
    pub clock: Clock,
    pub engine: ArbiterHandle,
    pub io: ArbiterHandle,
}

/// The way to all shops. Clones lead to the same ones.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    deps: DirectoryDeps,
    shops: RwLock<HashMap<WxappId, Arc<Shop>>>,
    /// One start at a time, so that a crowd makes one set of actors.
    starting: tokio::sync::Mutex<()>,
}

impl Directory {
    pub fn new(deps: DirectoryDeps) -> Self {
        let inner =
            Inner { deps, shops: RwLock::default(), starting: tokio::sync::Mutex::default() };
        Self(Arc::new(inner))
    }

    /// Starts the actors of every mini-program; the answer is how many there are.
    pub async fn start_all(&self) -> Result<usize, DirectoryError> {
        let all = wxapps::all(&self.0.deps.readers, &self.0.deps.sealer).await?;
        let count = all.len();
        for wxapp in all {
            self.shop(wxapp.id).await?;
        }
        Ok(count)
    }

    /// The shop with this id, if its actors were started and live.
    pub fn open_shop(&self, id: WxappId) -> Option<Arc<Shop>> {
        self.read().get(&id).filter(|shop| shop.is_alive()).cloned()
    }

    /// The shop with this id.
    pub async fn shop(&self, id: WxappId) -> Result<Arc<Shop>, DirectoryError> {
        if let Some(shop) = self.open_shop(id) {
            return Ok(shop);
        }
        let _one_at_a_time = self.0.starting.lock().await;
        if let Some(shop) = self.open_shop(id) {
            return Ok(shop);
        }
        let deps = &self.0.deps;
        let wxapp = wxapps::by_id(&deps.readers, &deps.sealer, id).await?;
        let shop = Arc::new(self.start(wxapp.ok_or(DirectoryError::Unknown)?)?);
        let former = self.write().insert(id, shop.clone());
        if former.is_some() {
            tracing::error!(wxapp = %id, "an actor has died; its shop's actors are replaced");
            crate::metrics::replaced("shop");
        }
        Ok(shop)
    }

    /// The shop with this appid.
    pub async fn shop_by_appid(&self, appid: &str) -> Result<Arc<Shop>, DirectoryError> {
        if let Some(shop) = self.find(|shop| shop.wxapp.appid == appid) {
            return Ok(shop);
        }
        let deps = &self.0.deps;
        let wxapp = wxapps::by_appid(&deps.readers, &deps.sealer, appid).await?;
        self.shop(wxapp.ok_or(DirectoryError::Unknown)?.id).await
    }

    /// The shop, as long as there is only one.
    pub async fn only_shop(&self) -> Result<Arc<Shop>, DirectoryError> {
        let ids: Vec<WxappId> = self.read().keys().copied().collect();
        match ids[..] {
            [id] => self.shop(id).await,
            [] => Err(DirectoryError::Unknown),
            _ => Err(DirectoryError::Ambiguous),
        }
    }

    /// Shops whose actors have been started, and whether all of them live.
    pub fn shops(&self) -> Vec<Arc<Shop>> {
        self.read().values().cloned().collect()
    }

    /// Whether every actor that was started lives.
    pub fn is_alive(&self) -> bool {
        self.read().values().all(|shop| shop.is_alive())
    }

    fn find(&self, wanted: impl Fn(&Shop) -> bool) -> Option<Arc<Shop>> {
        let shops = self.read();
        shops.values().find(|shop| wanted(shop) && shop.is_alive()).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<WxappId, Arc<Shop>>> {
        self.0.shops.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<WxappId, Arc<Shop>>> {
        self.0.shops.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn start(&self, wxapp: Wxapp) -> Result<Shop, DirectoryError> {
        let wxapp = Arc::new(wxapp);
        let board = Board::default();
        let goods = self.start_goods(&wxapp, board.clone());
        let order = self.start_order(&wxapp, goods.clone());
        let payment = self.start_payment(&wxapp)?;
        let messenger = self.start_messenger(&wxapp)?;
        let deps = &self.0.deps;
        let listener = Listener::new(goods.clone().recipient(), board.clone());
        deps.journal.listen(wxapp.id, listener);
        let gate = Gate::new(wxapp.id, board, deps.keys.clone(), deps.clock.clone());
        Ok(Shop { wxapp, goods, order, gate, payment, messenger })
    }

    fn start_goods(&self, wxapp: &Wxapp, board: Board) -> Addr<GoodsActor> {
        let deps = &self.0.deps;
        let (id, readers, clock) = (wxapp.id, deps.readers.clone(), deps.clock.clone());
        let (refresh_ms, mailbox) = (deps.settings.stock_refresh_ms, deps.settings.mailbox);
        GoodsActor::start_in_arbiter(&deps.engine, move |_| {
            GoodsActor::new(id, readers, clock, refresh_ms, mailbox).with_board(board)
        })
    }

    fn start_order(&self, wxapp: &Wxapp, goods: Addr<GoodsActor>) -> Addr<OrderActor> {
        let deps = &self.0.deps;
        let deps = OrderDeps {
            wxapp: wxapp.id,
            goods,
            journal: deps.journal.clone(),
            readers: deps.readers.clone(),
            ids: deps.ids.clone(),
            keys: deps.keys.clone(),
            clock: deps.clock.clone(),
            expire_seconds: deps.settings.order_expire_seconds,
            max: deps.settings.max_order,
            mailbox: deps.settings.mailbox,
            placer: deps.settings.placer.clone(),
        };
        OrderActor::start_in_arbiter(&self.0.deps.engine, move |_| OrderActor::new(deps))
    }

    fn start_payment(&self, wxapp: &Arc<Wxapp>) -> Result<Addr<PaymentActor>, DirectoryError> {
        let deps = &self.0.deps;
        let settings = &deps.settings;
        let config = PayConfig {
            base: settings.pay_base.clone(),
            base_2: settings.pay_base_2.clone(),
            clock: deps.clock.clone(),
            connect_timeout: settings.connect_timeout,
            call_timeout: settings.call_timeout,
            refund_timeout: settings.refund_timeout,
            certificate: certificate(wxapp)?,
            extra_root_pem: None,
        };
        PayClient::new(config.clone())?;
        let notify_url = format!("{}/wechat/pay/v2/notify/{}", settings.public_url, wxapp.id);
        let (journal, readers) = (deps.journal.clone(), deps.readers.clone());
        let (ids, clock, mailbox) = (deps.ids.clone(), deps.clock.clone(), settings.mailbox);
        let in_flight_seconds = in_flight_seconds(settings);
        let (claim_seconds, call_seconds) = (settings.claim_seconds, settings.call_seconds);
        let wxapp = wxapp.clone();
        Ok(PaymentActor::start_in_arbiter(&deps.io, move |_| {
            let client = PayClient::new(config).expect("the same configuration was good just now");
            let provider = Box::new(WechatPayV2::new(wxapp.clone(), client));
            PaymentActor::new(PaymentDeps {
                wxapp,
                provider,
                journal,
                readers,
                ids,
                clock,
                notify_url,
                in_flight_seconds,
                claim_seconds,
                call_seconds,
                mailbox,
            })
        }))
    }

    fn start_messenger(&self, wxapp: &Arc<Wxapp>) -> Result<Addr<MessengerActor>, DirectoryError> {
        let deps = &self.0.deps;
        let config = ApiConfig {
            base: deps.settings.api_base.clone(),
            base_2: deps.settings.api_base_2.clone(),
            clock: deps.clock.clone(),
            connect_timeout: deps.settings.connect_timeout,
            call_timeout: deps.settings.call_timeout,
            busy_pause: Duration::from_millis(200),
            extra_root_pem: None,
        };
        ApiClient::new(&config)?;
        let (wxapp, clock) = (wxapp.clone(), deps.clock.clone());
        let (state, mailbox) = (deps.settings.miniprogram_state, deps.settings.mailbox);
        Ok(MessengerActor::start_in_arbiter(&deps.io, move |_| {
            let client = ApiClient::new(&config).expect("the same configuration was good just now");
            MessengerActor::new(wxapp, client, clock, state, mailbox)
        }))
    }
}

/// How long a call to WeChat may be on its way: twice what this process waits, because its timeouts
/// run by another clock than the attempts' times, and some seconds in WeChat's own queues.
fn in_flight_seconds(settings: &ShopSettings) -> i64 {
    let waits = settings.connect_timeout.saturating_add(settings.call_timeout);
    let seconds = waits.as_secs().saturating_mul(2).saturating_add(IN_FLIGHT_EXTRA_SECONDS);
    i64::try_from(seconds.max(IN_FLIGHT_SECONDS_MIN)).unwrap_or(i64::MAX)
}

fn certificate(wxapp: &Wxapp) -> Result<Option<ClientCertificate>, SetupError> {
    match (&wxapp.cert_file, &wxapp.key_file) {
        (Some(cert), Some(key)) => {
            ClientCertificate::from_files(cert.as_ref(), key.as_ref()).map(Some)
        }
        _ => Ok(None),
    }
}
