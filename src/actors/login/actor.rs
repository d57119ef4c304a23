//! The login actor: see [`super::protocol`].

use std::rc::Rc;

use actix::prelude::*;
use tokio::sync::Semaphore;

use super::protocol::*;
use crate::wechat::api::ApiClient;
use crate::wechat::login::code_to_session;

/// Log-ins of all mini-programs.
pub struct LoginActor {
    api: ApiClient,
    calls: Rc<Semaphore>,
}

impl LoginActor {
    /// Made on the arbiter that it runs on: the client belongs to it.
    pub fn new(api: ApiClient) -> Self {
        Self { api, calls: Rc::new(Semaphore::new(CALLS_MAX)) }
    }
}

impl Actor for LoginActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(2 * CALLS_MAX);
    }
}

impl Handler<ExchangeCode> for LoginActor {
    type Result = ResponseFuture<Result<Openid, ExchangeError>>;

    fn handle(&mut self, exchange: ExchangeCode, _: &mut Self::Context) -> Self::Result {
        let (api, calls) = (self.api.clone(), self.calls.clone());
        Box::pin(async move {
            let _call = calls.try_acquire().map_err(|_| ExchangeError::Busy)?;
            let ExchangeCode { wxapp, code } = exchange;
            let session = code_to_session(&api, &wxapp.appid, &wxapp.secret, &code).await?;
            Ok(Openid(session.openid))
        })
    }
}
