//! Express companies (快递公司): the codes by which parcels are told to WeChat.
//!
//! Source: WeChat's own list, `/cgi-bin/express/delivery/open_msg/get_delivery_list`, whose codes
//! `upload_shipping_info` takes as `express_company`; the common ones, by how much they carry. SF,
//! YTO, ZTO and EMS stand in the documentation's examples; the others are as shops use them, not
//! fetched from WeChat. [`OTHER`] is ours: a carrier that is not listed, under a name that staff
//! type.

/// A company and its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Express {
    pub code: &'static str,
    pub name: &'static str,
}

const fn express(code: &'static str, name: &'static str) -> Express {
    Express { code, name }
}

/// A carrier of no code.
pub const OTHER: &str = "OTHER";

pub const COMPANIES: &[Express] = &[
    express("SF", "顺丰速运"),
    express("ZTO", "中通快递"),
    express("YTO", "圆通速递"),
    express("YD", "韵达速递"),
    express("STO", "申通快递"),
    express("JTSD", "极兔速递"),
    express("JD", "京东快递"),
    express("YZPY", "邮政快递包裹"),
    express("EMS", "EMS"),
    express("DBL", "德邦快递"),
    express("DNWL", "丹鸟物流"),
    express("UC", "优速快递"),
    express("ZJS", "宅急送"),
    express("HTKY", "百世快递"),
    express("BTWL", "百世快运"),
    express("HHTT", "天天快递"),
    express("ZTOKY", "中通快运"),
    express("YDKY", "韵达快运"),
    express("SXJD", "顺心捷达"),
    express("ANE", "安能物流"),
    express("KYSY", "跨越速运"),
    express("FWX", "丰网速运"),
    express("PJ", "品骏快递"),
    express(OTHER, "其他"),
];

/// The company with this code.
pub fn find(code: &str) -> Option<&'static Express> {
    COMPANIES.iter().find(|company| company.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_fit_their_column() {
        for (nth, company) in COMPANIES.iter().enumerate() {
            assert_eq!(find(company.code), Some(company));
            assert!(COMPANIES[..nth].iter().all(|other| other.code != company.code));
            assert!(company.code.len() <= 16 && company.code.is_ascii());
        }
        assert_eq!(find("sf"), None);
    }
}
