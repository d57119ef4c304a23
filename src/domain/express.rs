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

/// The company that people mean: by its code, its name, or the beginning of its name; where several
/// begin alike, the first of the list, which carries the most.
pub fn named(text: &str) -> Option<&'static Express> {
    let text = text.trim();
    let exact = |company: &&Express| {
        company.code.eq_ignore_ascii_case(text) || company.name.eq_ignore_ascii_case(text)
    };
    let begins = |company: &&Express| text.chars().count() >= 2 && company.name.starts_with(text);
    COMPANIES.iter().find(exact).or_else(|| COMPANIES.iter().find(begins))
}

/// The company whose numbers look like this one; none: several may be meant.
///
/// Source: the forms that numbers of these companies have on parcels; no company publishes a rule.
/// So this proposes, and staff see what was taken.
pub fn of_number(number: &str) -> Option<&'static Express> {
    let letters = number.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (letters, rest) = number.split_at(letters);
    let digits = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    let code = match (letters, rest.len()) {
        ("SF", 12..=15) if digits => "SF",
        ("JT", 13) if digits => "JTSD",
        ("YT", 13) if digits => "YTO",
        ("DPK", 9..=15) if digits => "DBL",
        ("JD" | "JDV" | "JDVA" | "JDVB" | "JDX" | "JDK", 8..) => "JD",
        (_, 11) if letters.len() == 2 && is_postal(rest) => "EMS",
        ("", 14) if digits && ["73", "75", "76", "78"].contains(&&rest[..2]) => "ZTO",
        ("", 15) if digits && rest.starts_with("77") => "STO",
        ("", 15) if digits && ["31", "43", "46"].contains(&&rest[..2]) => "YD",
        ("", 13) if digits && ["98", "99"].contains(&&rest[..2]) => "YZPY",
        _ => return None,
    };
    find(code)
}

/// Nine digits and `CN`, the end of an international postal number (UPU S10).
fn is_postal(rest: &str) -> bool {
    let (digits, land) = rest.split_at_checked(9).unwrap_or_default();
    digits.bytes().all(|byte| byte.is_ascii_digit()) && land == "CN"
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

    fn code(company: Option<&Express>) -> &str {
        company.map_or("-", |company| company.code)
    }

    #[test]
    fn a_number_proposes_its_company_or_none() {
        for (number, expected) in [
            ("SF1234567890123", "SF"),
            ("JT1234567890123", "JTSD"),
            ("YT1234567890123", "YTO"),
            ("DPK123456789012", "DBL"),
            ("JDVA12345678901", "JD"),
            ("EA123456789CN", "EMS"),
            ("75312345678901", "ZTO"),
            ("773123456789012", "STO"),
            ("431234567890123", "YD"),
            ("9812345678901", "YZPY"),
            ("123456789012", "-"),
            ("SF", "-"),
            ("", "-"),
            ("XX123456789US", "-"),
            ("SFX234567890123", "-"),
        ] {
            assert_eq!(code(of_number(number)), expected, "{number}");
        }
    }

    #[test]
    fn companies_are_known_by_code_name_and_beginning() {
        for (text, expected) in [
            ("zto", "ZTO"),
            (" 中通 ", "ZTO"),
            ("中通快运", "ZTOKY"),
            ("顺丰速运", "SF"),
            ("ems", "EMS"),
            ("中", "-"),
            ("", "-"),
            ("飞鸽", "-"),
        ] {
            assert_eq!(code(named(text)), expected, "{text}");
        }
    }
}
