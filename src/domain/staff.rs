//! Staff (店员): what they may do. A role is a set of rights; a grant gives a role for one
//! mini-program or for all of them.
//!
//! Nothing here knows passwords, sessions or pages. A right is asked for by name, never by role, so
//! that a new role changes no route.

use std::collections::BTreeMap;

use crate::domain::id::WxappId;

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident $text:literal;)+) => {
        /// One thing that staff may be allowed to do (权限). The text form is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Right {
            $($(#[$doc])* $name,)+
        }

        impl Right {
            /// All of them, in the order in which people see them.
            pub const ALL: &[Right] = &[$(Right::$name,)+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|right| right.as_str() == text)
            }
        }
    };
}

rights! {
    /// See orders, with personal data masked.
    OrdersRead "orders.read";
    /// See a buyer's name, phone and address, and search by phone.
    PersonalData "orders.personal_data";
    /// Write remarks and staff notes.
    OrdersNote "orders.note";
    /// Change the address before shipping.
    OrdersAddress "orders.address";
    /// Change the price before payment.
    OrdersPrice "orders.price";
    /// Cancel what is unpaid.
    OrdersCancel "orders.cancel";
    /// Release stock by hand that WeChat does not confirm as free.
    OrdersRelease "orders.release";
    /// Ship, and correct an express number.
    OrdersShip "orders.ship";
    /// Give money back.
    OrdersRefund "orders.refund";
    /// Ask WeChat whether an order is paid.
    OrdersAskWechat "orders.ask_wechat";
    /// See what WeChat said that fits nothing, and settle it.
    Incidents "incidents.handle";
    /// See goods, prices, stock and its ledger.
    GoodsRead "goods.read";
    /// Write goods, prices and categories, put on and off sale.
    GoodsEdit "goods.edit";
    /// Move stock by hand, with a reason.
    StockAdjust "stock.adjust";
    /// See staff, and change accounts and grants.
    Staff "staff.manage";
    /// Make and end API tokens.
    Tokens "tokens.manage";
    /// See who changed what.
    Audit "audit.read";
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident $text:literal;)+) => {
        /// A set of rights with a name (角色).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Role {
            $($(#[$doc])* $name,)+
        }

        impl Role {
            pub const ALL: &[Role] = &[$(Role::$name,)+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|role| role.as_str() == text)
            }
        }
    };
}

roles! {
    /// Everything.
    Owner "owner";
    /// The daily work with orders, but for money back and staff.
    Operations "operations";
    /// Packs and ships.
    Warehouse "warehouse";
    /// Looks at money and gives it back.
    Finance "finance";
    /// Looks only.
    ReadOnly "read_only";
}

impl Role {
    /// Whether this role has this right.
    pub fn has(self, right: Right) -> bool {
        use Right::*;
        match self {
            Self::Owner => true,
            Self::Operations => matches!(
                right,
                OrdersRead
                    | PersonalData
                    | OrdersNote
                    | OrdersAddress
                    | OrdersPrice
                    | OrdersCancel
                    | OrdersShip
                    | OrdersAskWechat
                    | Incidents
                    | GoodsRead
                    | GoodsEdit
                    | StockAdjust
            ),
            Self::Warehouse => matches!(
                right,
                OrdersRead | PersonalData | OrdersNote | OrdersShip | GoodsRead | StockAdjust
            ),
            Self::Finance => matches!(
                right,
                OrdersRead
                    | OrdersNote
                    | OrdersPrice
                    | OrdersRelease
                    | OrdersRefund
                    | OrdersAskWechat
                    | Incidents
                    | GoodsRead
                    | Audit
            ),
            Self::ReadOnly => matches!(right, OrdersRead | GoodsRead),
        }
    }
}

/// Why a text is no log-in name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log-in has 3 to 32 lower-case letters, digits, dots, dashes")]
pub struct InvalidLogin;

/// A log-in name, in lower case.
pub fn login_name(given: &str) -> Result<String, InvalidLogin> {
    let login = given.trim().to_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_@".contains(c);
    let good = (3..=32).contains(&login.len()) && login.chars().all(allowed);
    if good { Ok(login) } else { Err(InvalidLogin) }
}

/// Where a grant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In every mini-program, also in those to come.
    All,
    One(WxappId),
}

/// The roles of one person, by where they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(pub BTreeMap<Scope, Role>);

impl Grants {
    /// Whether this is allowed in this mini-program.
    pub fn allow(&self, right: Right, wxapp: WxappId) -> bool {
        [Scope::All, Scope::One(wxapp)].iter().any(|scope| self.has_at(right, *scope))
    }

    /// Whether this is allowed in every mini-program.
    pub fn allow_everywhere(&self, right: Right) -> bool {
        self.has_at(right, Scope::All)
    }

    /// Whether anything is allowed in this mini-program.
    pub fn reach(&self, wxapp: WxappId) -> bool {
        self.0.contains_key(&Scope::All) || self.0.contains_key(&Scope::One(wxapp))
    }

    /// An owner of everything, of whom there must always be one.
    pub fn own_everything(&self) -> bool {
        self.0.get(&Scope::All) == Some(&Role::Owner)
    }

    /// Whether this person holds all that `role` gives at `scope`: nobody grants what they do not
    /// hold themselves.
    pub fn may_grant(&self, role: Role, scope: Scope) -> bool {
        let held = |right: Right| match scope {
            Scope::All => self.allow_everywhere(right),
            Scope::One(wxapp) => self.allow(right, wxapp),
        };
        Right::ALL.iter().filter(|right| role.has(**right)).all(|right| held(*right))
    }

    fn has_at(&self, right: Right, scope: Scope) -> bool {
        self.0.get(&scope).is_some_and(|role| role.has(right))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shop(id: i64) -> WxappId {
        WxappId::parse(id).unwrap()
    }

    fn grants(list: &[(Scope, Role)]) -> Grants {
        Grants(list.iter().copied().collect())
    }

    #[test]
    fn names_are_read_back() {
        for right in Right::ALL {
            assert_eq!(Right::parse(right.as_str()), Some(*right));
        }
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(*role));
        }
        assert_eq!((Right::parse("x"), Role::parse("x")), (None, None));
    }

    #[test]
    fn a_login_is_short_plain_and_lower_case() {
        assert_eq!(login_name(" Li.Lei ").unwrap(), "li.lei");
        for bad in ["", "ab", "li lei", "\u{674e}\u{96f7}abc", &"x".repeat(33)] {
            assert_eq!(login_name(bad), Err(InvalidLogin), "{bad}");
        }
    }

    #[test]
    fn the_warehouse_ships_and_touches_no_money() {
        let grants = grants(&[(Scope::One(shop(1)), Role::Warehouse)]);
        assert!(grants.allow(Right::OrdersShip, shop(1)));
        for right in [Right::OrdersPrice, Right::OrdersCancel, Right::OrdersAddress] {
            assert!(!grants.allow(right, shop(1)), "{right:?}");
        }
        assert!(!grants.allow(Right::OrdersShip, shop(2)));
    }

    #[test]
    fn a_role_everywhere_and_one_in_a_shop_add_up() {
        let grants = grants(&[(Scope::All, Role::ReadOnly), (Scope::One(shop(1)), Role::Finance)]);
        assert!(grants.allow(Right::OrdersRefund, shop(1)));
        assert!(!grants.allow(Right::OrdersRefund, shop(2)));
        assert!(grants.allow(Right::OrdersRead, shop(2)));
        assert!(!grants.allow_everywhere(Right::OrdersRefund));
    }

    #[test]
    fn nobody_grants_what_they_do_not_hold() {
        let owner_of_one = grants(&[(Scope::One(shop(1)), Role::Owner)]);
        assert!(owner_of_one.may_grant(Role::Owner, Scope::One(shop(1))));
        assert!(!owner_of_one.may_grant(Role::ReadOnly, Scope::One(shop(2))));
        assert!(!owner_of_one.may_grant(Role::ReadOnly, Scope::All));
        let operations = grants(&[(Scope::All, Role::Operations)]);
        assert!(operations.may_grant(Role::Warehouse, Scope::All));
        assert!(!operations.may_grant(Role::Finance, Scope::All));
    }

    #[test]
    fn only_a_grant_of_everything_owns_everything() {
        assert!(grants(&[(Scope::All, Role::Owner)]).own_everything());
        assert!(!grants(&[(Scope::One(shop(1)), Role::Owner)]).own_everything());
        assert!(!Grants::default().own_everything());
    }
}
