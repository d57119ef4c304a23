#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(field: &str, good: &[&str], bad: &[(&str, RuleError)]) {
    let rule = FieldRule::of(field).unwrap();
    for value in good {
        assert_eq!(rule.check(value), Ok(()), "{field} {value:?}");
        assert_eq!(rule.fit(value).as_deref(), Ok(*value), "{field} {value:?} stays as it is");
    }
    for (value, error) in bad {
        assert_eq!(rule.check(value), Err(*error), "{field} {value:?}");
    }
}

#[test]
fn each_type_keeps_to_its_table() {
    use RuleError::{Empty, Form, TooLong};
    check(
        "thing1",
        &["杯子", &"字".repeat(20), "a 1!"],
        &[("", Empty), ("  ", Empty), (&"字".repeat(21), TooLong), ("a\nb", Form)],
    );
    check(
        "number2",
        &["1", "12.50", &"9".repeat(32)],
        &[(&"9".repeat(33), TooLong), ("-1", Form), ("1.2.3", Form), (".5", Form), ("一", Form)],
    );
    check("letter3", &["abcXYZ"], &[(&"a".repeat(33), TooLong), ("a1", Form), ("字", Form)]);
    check("symbol4", &["!@#$%"], &[("!!!!!!", TooLong), ("a", Form)]);
    check(
        "character_string5",
        &["20261124-0001_A#"],
        &[(&"1".repeat(33), TooLong), ("订单1", Form)],
    );
    check(
        "phone_number6",
        &["+86-0766-66888866"],
        &[("+86-0766-668888660", TooLong), ("电话", Form)],
    );
    check("car_number7", &["粤A8Z888挂"], &[("粤A8Z888挂挂", TooLong)]);
    check(
        "name8",
        &["张三", "Zhang San", &"张".repeat(10)],
        &[(&"张".repeat(11), TooLong), (&"a".repeat(21), TooLong), ("R2D2", Form)],
    );
    check(
        "phrase9",
        &["已付款", "已经付款了"],
        &[("已 付款", Form), ("paid", Form), ("已经付款完毕", TooLong)],
    );
    check("enum1", &["待发货"], &[("", Empty)]);
    check("const1", &["待发货"], &[(&"字".repeat(21), TooLong)]);
}

#[test]
fn times_and_dates_have_their_forms() {
    use RuleError::Form;
    check(
        "time1",
        &["15:01", "2019年10月1日 15:01", "15:01~16:00", "2019-10-01 15:01:59"],
        &[
            ("24:00", Form),
            ("15:60", Form),
            ("2019年10月1日", Form),
            ("2020-01-18 16:18:49.0", Form),
            ("下午3点", Form),
        ],
    );
    check(
        "date2",
        &["2019年10月1日", "2019-10-01", "2019-10-01 15:01", "2019年10月1日~2019年10月3日"],
        &[
            ("2019-02-30", Form),
            ("2019年13月1日", Form),
            ("10月1日", Form),
            ("2020-01-18 16:18:49.0", Form),
            ("15:01", Form),
        ],
    );
}

#[test]
fn amounts_have_one_sign_and_ten_digits() {
    use RuleError::{Form, TooLong};
    check(
        "amount1",
        &["42.15", "¥42.15", "￥100", "42.15元", "$1", "12345678.90"],
        &[
            ("¥¥1", Form),
            ("-1", Form),
            ("1元2", Form),
            ("1,000", Form),
            ("42.", Form),
            ("123456789.01", TooLong),
        ],
    );
}

#[test]
fn names_of_things_are_shortened_at_characters() {
    let thing = FieldRule::Thing;
    let long = "手工烧制青花瓷茶杯礼盒装送人佳品六只装";
    assert_eq!(long.chars().count(), 19);
    assert_eq!(thing.fit(long).as_deref(), Ok(long));
    let longer = format!("{long}带杯垫");
    let shortened = thing.fit(&longer).unwrap();
    assert_eq!(shortened, format!("{}...", longer.chars().take(17).collect::<String>()));
    assert_eq!(shortened.chars().count(), 20);
    assert_eq!(thing.fit("a\r\nb").as_deref(), Ok("a  b"));
    assert_eq!(thing.fit("\n"), Err(RuleError::Empty));
    assert_eq!(FieldRule::Name.fit(&"张".repeat(12)).as_deref(), Ok("张".repeat(10).as_str()));
    assert_eq!(FieldRule::Phrase.fit("已 付 款").as_deref(), Ok("已付款"));
    assert_eq!(FieldRule::Amount.fit("123456789.01"), Err(RuleError::TooLong), "never cut");
}

#[test]
fn fields_without_a_rule_pass_and_the_first_wrong_one_is_named() {
    assert_eq!(FieldRule::of("keyword1"), None);
    let data = [("keyword1".to_owned(), String::new()), ("thing1".to_owned(), "x".repeat(30))];
    assert_eq!(fit_fields(&data).unwrap()[1].1, format!("{}...", "x".repeat(17)));
    assert_eq!(
        check_fields([("thing1", "x"), ("amount2", "many")]),
        Err(("amount2".to_owned(), RuleError::Form))
    );
    assert_eq!(check_fields([("thing1", "x"), ("keyword1", "")]), Ok(()));
}

proptest! {
    #[test]
    fn what_is_fitted_passes_the_check(value in any::<String>(), field in prop::sample::select(vec![
        "thing1", "number1", "letter1", "symbol1", "character_string1", "time1", "date1", "amount1",
        "phone_number1", "car_number1", "name1", "phrase1", "enum1",
    ])) {
        let rule = FieldRule::of(field).unwrap();
        if let Ok(fitted) = rule.fit(&value) {
            prop_assert_eq!(rule.check(&fitted), Ok(()));
        }
    }

    #[test]
    fn any_goods_name_fits_a_thing(value in "\\PC{1,60}") {
        prop_assume!(!value.trim().is_empty());
        prop_assert!(FieldRule::Thing.fit(&value).is_ok());
    }
}
