//! The messenger: see [`super::protocol`].

use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;

use tracing::Instrument as _;

use super::protocol::*;
use crate::clock::Clock;
use crate::domain::notification::TemplateKind;
use crate::store::wxapps::Wxapp;
use crate::wechat::api::ApiClient;
use crate::wechat::login::code_to_session;
use crate::wechat::message::{
    MiniProgramState, SubscribeMessage, TemplateMessage, fit_fields, send_subscribe, send_template,
};
use crate::wechat::token::TokenKeeper;

/// Talks to api.weixin.qq.com for one mini-program.
pub struct MessengerActor {
    inner: Rc<Inner>,
    mailbox: usize,
}

struct Inner {
    wxapp: Arc<Wxapp>,
    client: ApiClient,
    token: TokenKeeper,
    state: MiniProgramState,
    clock: Clock,
}

impl MessengerActor {
    pub fn new(
        wxapp: Arc<Wxapp>,
        client: ApiClient,
        clock: Clock,
        state: MiniProgramState,
        mailbox: usize,
    ) -> Self {
        let (appid, secret) = (wxapp.appid.clone(), wxapp.secret.clone());
        let token = TokenKeeper::new(client.clone(), appid, secret, clock.clone());
        Self { inner: Rc::new(Inner { wxapp, client, token, state, clock }), mailbox }
    }
}

impl Actor for MessengerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.mailbox);
    }
}

impl Handler<Login> for MessengerActor {
    type Result = ResponseFuture<Result<WechatSession, LoginError>>;

    fn handle(&mut self, login: Login, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        let span = login.span.clone();
        let exchange = async move {
            let (appid, secret) = (&inner.wxapp.appid, &inner.wxapp.secret);
            code_to_session(&inner.client, appid, secret, &login.code).await
        };
        Box::pin(exchange.instrument(span))
    }
}

impl Handler<Deliver> for MessengerActor {
    type Result = ResponseFuture<Result<Sent, MessageError>>;

    fn handle(&mut self, message: Deliver, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        Box::pin(async move { deliver(&inner, message).await })
    }
}

async fn deliver(inner: &Inner, message: Deliver) -> Result<Sent, MessageError> {
    let page = Some(message.page).filter(|page| !page.is_empty());
    // It may have to be fetched first, and the time be over by then.
    inner.token.token().await.map_err(MessageError::NoToken)?;
    if inner.clock.now() > message.not_after {
        return Err(MessageError::NotSent);
    }
    match message.kind {
        TemplateKind::Subscribe => {
            let data =
                fit_fields(&message.data).map_err(|(field, _)| MessageError::FieldRule(field))?;
            let message = SubscribeMessage {
                openid: message.openid,
                template_id: message.template_id,
                page,
                state: inner.state,
                data,
            };
            send_subscribe(&inner.client, &inner.token, &message).await
        }
        TemplateKind::Template => {
            let message = TemplateMessage {
                openid: message.openid,
                template_id: message.template_id,
                page,
                form_id: message.form_id.unwrap_or_default(),
                data: message.data,
                emphasis_keyword: None,
            };
            send_template(&inner.client, &inner.token, &message).await
        }
    }
}
