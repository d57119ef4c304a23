//! What the pages say, in Chinese and in English: one table, so that neither can lack a line.
//!
//! Texts that pages name are fields ([`Texts`], [`OrderTexts`]); the words for what the engine
//! names, such as states and refusals, are looked up ([`Tongue::word`]).

macro_rules! texts {
    ($kind:ident; $($name:ident $zh:literal $en:literal;)+) => {
        /// Words of the pages in one language.
        pub struct $kind {
            $(pub $name: &'static str,)+
        }

        impl $kind {
            pub(super) const CHINESE: Self = Self { $($name: $zh,)+ };
            pub(super) const ENGLISH: Self = Self { $($name: $en,)+ };
            #[cfg(test)]
            pub(super) const LINES: &[(&str, &str, &str)] =
                &[$((stringify!($name), $zh, $en),)+];
        }
    };
}
mod goods;
mod orders;
mod shipping;
mod site;
mod words;

pub use goods::GoodsTexts;
pub use orders::OrderTexts;
pub use shipping::ShippingTexts;
pub use site::Texts;

use crate::domain::staff::{Right, Role};

/// The language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tongue {
    #[default]
    Chinese,
    English,
}

impl Tongue {
    /// `zh` or `en`.
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "zh" => Some(Self::Chinese),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    pub fn code(self) -> &'static str {
        match self {
            Self::Chinese => "zh",
            Self::English => "en",
        }
    }

    /// What `lang` says of a page.
    pub fn html(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }

    pub fn texts(self) -> &'static Texts {
        match self {
            Self::Chinese => &Texts::CHINESE,
            Self::English => &Texts::ENGLISH,
        }
    }

    /// The texts about orders.
    pub fn orders(self) -> &'static OrderTexts {
        match self {
            Self::Chinese => &OrderTexts::CHINESE,
            Self::English => &OrderTexts::ENGLISH,
        }
    }

    /// The texts of the shipping desk.
    pub fn shipping(self) -> &'static ShippingTexts {
        match self {
            Self::Chinese => &ShippingTexts::CHINESE,
            Self::English => &ShippingTexts::ENGLISH,
        }
    }

    /// The texts about goods.
    pub fn goods(self) -> &'static GoodsTexts {
        match self {
            Self::Chinese => &GoodsTexts::CHINESE,
            Self::English => &GoodsTexts::ENGLISH,
        }
    }

    /// The word for what the engine calls `name`; without one, the name itself.
    pub fn word(self, kind: &str, name: &str) -> String {
        match (words::find(kind, name), self) {
            (Some((zh, _)), Self::Chinese) => zh.to_owned(),
            (Some((_, en)), Self::English) => en.to_owned(),
            (None, _) => name.to_owned(),
        }
    }
}

impl Texts {
    /// The word for a role.
    pub fn role_label(&self, role: &Role) -> &'static str {
        match role {
            Role::Owner => self.role_owner,
            Role::Operations => self.role_operations,
            Role::Warehouse => self.role_warehouse,
            Role::Finance => self.role_finance,
            Role::ReadOnly => self.role_read_only,
        }
    }

    /// The word for a right.
    pub fn right_label(&self, right: &Right) -> &'static str {
        match right {
            Right::OrdersRead => self.right_orders_read,
            Right::PersonalData => self.right_personal_data,
            Right::OrdersNote => self.right_orders_note,
            Right::OrdersAddress => self.right_orders_address,
            Right::OrdersPrice => self.right_orders_price,
            Right::OrdersCancel => self.right_orders_cancel,
            Right::OrdersRelease => self.right_orders_release,
            Right::OrdersShip => self.right_orders_ship,
            Right::OrdersRefund => self.right_orders_refund,
            Right::OrdersAskWechat => self.right_orders_ask_wechat,
            Right::Incidents => self.right_incidents,
            Right::GoodsRead => self.right_goods_read,
            Right::GoodsEdit => self.right_goods_edit,
            Right::StockAdjust => self.right_stock_adjust,
            Right::Staff => self.right_staff,
            Right::Tokens => self.right_tokens,
            Right::Audit => self.right_audit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_there_in_both_languages() {
        let lines = Texts::LINES.iter().chain(OrderTexts::LINES).chain(GoodsTexts::LINES);
        for (name, zh, en) in lines.chain(ShippingTexts::LINES) {
            assert!(!zh.trim().is_empty() && !en.trim().is_empty(), "{name}");
            assert!(en.is_ascii(), "{name}: {en}");
        }
    }

    #[test]
    fn languages_are_known_by_their_codes() {
        for tongue in [Tongue::Chinese, Tongue::English] {
            assert_eq!(Tongue::parse(tongue.code()), Some(tongue));
        }
        assert_eq!(Tongue::parse("fr"), None);
    }
}
