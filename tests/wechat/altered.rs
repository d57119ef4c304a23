//! What strangers may send where WeChat speaks: altered messages, and documents made to cost much.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use buynow::wechat::pay::parse_payment_notification;
use buynow::wechat::sign::{self, SIGN, SIGN_TYPE, SignType};
use buynow::wechat::xml::{self, Fields, LIMIT_BYTES};
use proptest::prelude::*;
use secrecy::SecretString;

fn key() -> SecretString {
    SecretString::from("8934e7d15453e97507ef794cf7b0519d")
}

fn signed(mut fields: Fields) -> String {
    let signature = sign::sign(&fields, &key(), SignType::HmacSha256);
    fields.insert(SIGN, signature);
    xml::write(&fields)
}

fn a_notification() -> String {
    signed(Fields::from_iter([
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", "wx8f3c2e1a9b7d4c60"),
        ("mch_id", "1900012345"),
        ("openid", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
        ("out_trade_no", "T86353213763162966717"),
        ("transaction_id", "4200067594314894319252063607"),
        ("total_fee", "1000"),
        ("attach", "17.a1b2"),
        ("bank_type", ""),
        ("time_end", "20261124183015"),
    ]))
}

/// What a signature covers.
fn meant(fields: &Fields) -> BTreeMap<String, String> {
    let covered = fields.iter().filter(|(name, value)| *name != SIGN && !value.is_empty());
    covered.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Read and believed.
fn believed(bytes: &[u8]) -> Option<Fields> {
    let fields = xml::parse(bytes).ok()?;
    sign::verify(&fields, &key(), SignType::HmacSha256).ok()?;
    Some(fields)
}

#[test]
fn no_byte_of_a_signed_message_can_be_altered() {
    let original = a_notification().into_bytes();
    let told = meant(&believed(&original).unwrap());
    let (mut tried, mut harmless) = (0, 0);
    for at in 0..original.len() {
        let mut altered = original.clone();
        // Each bit alone, and what XML reacts to.
        let bits = (0..8).map(|bit| original[at] ^ (1 << bit));
        for byte in bits.chain(*b"<>&;![]-/ \n\r\t\"'?0aA\0") {
            altered[at] = byte;
            tried += 1;
            if let Some(fields) = believed(&altered) {
                assert_eq!(meant(&fields), told, "byte {at} became {byte}");
                harmless += usize::from(altered != original);
            }
        }
        let mut shorter = original.clone();
        shorter.remove(at);
        assert!(believed(&shorter).is_none_or(|fields| meant(&fields) == told), "without {at}");
    }
    assert!(tried > 15_000, "{tried} alterations");
    // The value of an empty element's CDATA can become nothing else; blanks between are few.
    assert!(harmless < 100, "{harmless} alterations changed nothing");
}

/// Documents of the greatest length that make a reader work.
fn costly() -> Vec<(&'static str, String)> {
    let fill = |start: &str, part: &str, end: &str| {
        let times = (LIMIT_BYTES - start.len() - end.len()) / part.len();
        format!("{start}{}{end}", part.repeat(times))
    };
    let names: String = (0..4_000).map(|n| format!("<a{n}>x</a{n}>")).collect();
    vec![
        ("nested elements", fill("<xml>", "<a>", "")),
        ("references", fill("<xml><a>", "&#65;", "</a></xml>")),
        ("references of no meaning", fill("<xml><a>", "&aaaa;", "</a></xml>")),
        ("open CDATA sections", fill("<xml><a>", "<![CDATA[", "")),
        ("CDATA sections", fill("<xml><a>", "<![CDATA[x]]>", "</a></xml>")),
        ("almost ends of CDATA", fill("<xml><a><![CDATA[", "]]", "]]></a></xml>")),
        ("comments", fill("<xml>", "<!-- -->", "</xml>")),
        ("an open comment", fill("<xml><!--", "--!", "")),
        ("processing instructions", fill("<xml>", "<?p?>", "</xml>")),
        ("attributes", fill("<xml><a ", "b='c' ", "/></xml>")),
        ("an endless name", fill("<xml><", "a", "")),
        ("many fields", format!("<xml>{names}</xml>")),
        ("open tags", fill("", "<", "")),
        ("a DOCTYPE", fill("<!DOCTYPE xml [", "<!ENTITY a \"&b;&b;\">", "]><xml>&a;</xml>")),
        ("carriage returns", fill("<xml><a>", "\r", "</a></xml>")),
    ]
}

#[test]
fn the_costliest_documents_are_read_in_no_time() {
    for (what, document) in costly() {
        let begun = Instant::now();
        let read = xml::parse(document.as_bytes());
        if let Ok(fields) = &read {
            let held: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(held <= document.len(), "{what} grows to {held}");
            let _ = sign::sign(fields, &key(), SignType::Md5);
        }
        // A debug build on a busy machine needs milliseconds; what is quadratic needs minutes.
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}: {:?}", begun.elapsed());
    }
}

/// Names and values as WeChat has them, now and then with one that it would not send.
fn fields() -> impl Strategy<Value = Fields> {
    let name = prop::sample::select(vec![
        "return_code",
        "result_code",
        "appid",
        "mch_id",
        "out_trade_no",
        "transaction_id",
        "total_fee",
        "cash_fee",
        "fee_type",
        "time_end",
        "attach",
        "req_info",
        "openid",
        "x",
    ]);
    let value = prop_oneof![
        6 => prop::sample::select(vec![
            "SUCCESS", "FAIL", "CNY", "wx1", "1900012345", "T86353213763162966717", "1000",
            "20261124183015", "20261324183015", "-1", "99999999999999999999", "",
        ]).prop_map(str::to_owned),
        1 => "[0-9]{1,20}",
        1 => "[ -~中&=]{0,40}",
    ];
    prop::collection::btree_map(name, value, 0..14)
        .prop_map(|fields| fields.into_iter().collect::<Fields>())
}

proptest! {
    #[test]
    fn whatever_is_signed_is_read_as_it_stands_or_refused(mut fields in fields()) {
        fields.remove(SIGN_TYPE);
        let read = believed(signed(fields).as_bytes()).unwrap();
        if let Ok(notice) = parse_payment_notification(&read) {
            prop_assert_eq!(Some(notice.mch_id.as_str()), read.get("mch_id"));
            prop_assert_eq!(Some(notice.appid.as_str()), read.get("appid"));
            prop_assert_eq!(Some(notice.out_trade_no.as_str()), read.get("out_trade_no"));
            let fen = notice.paid.total_fee.as_fen().to_string();
            prop_assert_eq!(Some(fen.as_str()), read.get("total_fee").map(|fee| {
                let digits = fee.trim_start_matches('0');
                if digits.is_empty() { "0" } else { digits }
            }));
        }
    }

    #[test]
    fn altered_in_several_places_it_is_not_believed(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let original = a_notification().into_bytes();
        let told = meant(&believed(&original).unwrap());
        let mut altered = original;
        for (at, byte) in changes {
            let at = at.index(altered.len());
            altered[at] = byte;
        }
        prop_assert!(believed(&altered).is_none_or(|fields| meant(&fields) == told));
    }
}
