//! What `src/wechat/mod.rs` has, less the network.

#[path = "../../src/wechat/sign.rs"]
pub mod sign;
#[path = "../../src/wechat/time.rs"]
pub mod time;
#[path = "../../src/wechat/xml.rs"]
pub mod xml;

pub mod transport {
    #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
    pub enum CallError {
        #[error("not sent")]
        NotSent,
    }
    impl CallError {
        pub const fn as_str(self) -> &'static str {
            "not_sent"
        }
    }
}

#[path = "pay.rs"]
pub mod pay;
