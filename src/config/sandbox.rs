//! Who the shop is while the simulated WeChat stands in: nothing here is secret.

use secrecy::{ExposeSecret, SecretString};

use super::{Config, Mode, Template, TemplateKind, Templates, Wxapp};

/// Seals secrets at rest while no `security.master_key` is set. Known to everyone.
pub(super) const DEVELOPMENT_KEY: [u8; 32] = *b"buynow development key no secret";

/// The appid that the simulation gives to a shop without one of its own.
pub const SANDBOX_APPID: &str = "wx5a11d0b0e0000001";
const SANDBOX_MCH_ID: &str = "1900000001";
const SANDBOX_SECRET: &str = "5a11d0b05a11d0b05a11d0b05a11d0b0";
const SANDBOX_API_KEY: &str = "sandboxsandboxsandboxsandbox0001";

/// A template of the simulated platform: what is sent, and how the phone shows it.
#[derive(Debug, Clone)]
pub struct SandboxTemplate {
    pub event: &'static str,
    /// Title of the message.
    pub title: &'static str,
    /// Field and its label.
    pub fields: Vec<(&'static str, &'static str)>,
    pub template: Template,
}

impl Config {
    /// These settings for a simulated WeChat on this machine that lives longer than the shop.
    pub fn with_wechat_at(mut self, url: &str) -> Self {
        self.wechat.mode = Mode::Live;
        self.wechat.api_base = Some(url.to_owned());
        self.wechat.pay_base = Some(url.to_owned());
        self.server.bind = Some(std::net::Ipv4Addr::LOCALHOST.into());
        self.wxapp = self.wxapp.or_sandbox();
        self
    }
}

impl Wxapp {
    /// This mini-program with the simulation's identity and templates wherever none was set.
    pub fn or_sandbox(&self) -> Wxapp {
        let mut wxapp = self.clone();
        fill(&mut wxapp.appid, SANDBOX_APPID);
        fill(&mut wxapp.mch_id, SANDBOX_MCH_ID);
        fill_secret(&mut wxapp.secret, SANDBOX_SECRET);
        fill_secret(&mut wxapp.api_key, SANDBOX_API_KEY);
        for sample in sandbox_templates() {
            slot(&mut wxapp.templates, sample.event).get_or_insert(sample.template);
        }
        wxapp
    }
}

fn fill(text: &mut String, default: &str) {
    if text.is_empty() {
        default.clone_into(text);
    }
}

fn fill_secret(secret: &mut SecretString, default: &str) {
    if secret.expose_secret().is_empty() {
        *secret = SecretString::from(default);
    }
}

fn slot<'a>(templates: &'a mut Templates, event: &str) -> &'a mut Option<Template> {
    match event {
        "order_refunded" => &mut templates.order_refunded,
        "order_shipped" => &mut templates.order_shipped,
        _ => &mut templates.order_paid,
    }
}

/// The templates that the simulated platform knows from the start.
pub fn sandbox_templates() -> Vec<SandboxTemplate> {
    vec![
        sample(
            "order_paid",
            "付款成功通知",
            &[
                ("thing1", "商品", "{goods}"),
                ("amount2", "付款金额", "{amount}"),
                ("character_string3", "订单编号", "{order_no}"),
                ("time4", "付款时间", "{time}"),
            ],
        ),
        sample(
            "order_refunded",
            "退款通知",
            &[
                ("thing1", "商品", "{goods}"),
                ("amount2", "退款金额", "{amount}"),
                ("character_string3", "订单编号", "{order_no}"),
                ("thing4", "退款原因", "{reason}"),
            ],
        ),
        sample(
            "order_shipped",
            "发货通知",
            &[
                ("thing1", "商品", "{goods}"),
                ("thing2", "快递公司", "{company}"),
                ("character_string3", "快递单号", "{number}"),
                ("character_string4", "订单编号", "{order_no}"),
            ],
        ),
    ]
}

fn sample(
    event: &'static str,
    title: &'static str,
    fields: &[(&'static str, &'static str, &'static str)],
) -> SandboxTemplate {
    SandboxTemplate {
        event,
        title,
        fields: fields.iter().map(|(key, label, _)| (*key, *label)).collect(),
        template: Template {
            template_id: format!("sandbox-{}", event.replace('_', "-")),
            page: "pages/order/detail?id={order_id}".to_owned(),
            kind: TemplateKind::Subscribe,
            data: fields.iter().map(|(key, _, text)| ((*key).into(), (*text).into())).collect(),
        },
    }
}
