//! `database.urls`: how several servers are named, and which lists are refused.
#![allow(clippy::unwrap_used)]

use super::tests::{load, refused};

#[test]
fn servers_of_a_cluster_are_listed_in_the_file_or_with_commas() {
    let expected = ["postgres://u:p@a/shop", "postgres://u:p@b/shop"];
    let file = format!("[database]\nurls = {expected:?}");
    assert_eq!(load(&file, &[]).unwrap().database.servers(), expected);
    let variable = [("BUYNOW__DATABASE__URLS", "postgres://u:p@a/shop, postgres://u:p@b/shop")];
    assert_eq!(load("", &variable).unwrap().database.servers(), expected);
    assert_eq!(load("", &[]).unwrap().database.servers(), ["sqlite://buynow.db"]);
}

#[test]
fn servers_that_are_no_cluster_are_refused_without_their_passwords() {
    for (settings, expected) in [
        (
            "url = \"postgres://u:pw@c/shop\"\nurls = [\"postgres://u:pw@a/shop\"]",
            "cannot be set together with database.url: remove one of the two",
        ),
        (
            "urls = [\"postgres://u:pw@a/shop\", \"mysql://u:pw@b/shop\"]",
            "must all be servers of one kind, since they are one cluster",
        ),
        ("urls = [\"mysql://u:pw@a/shop\", \"mysql://u:pw@a/shop\"]", "names a server twice"),
        (
            "urls = [\"mysql://u:pw@a\"]",
            "each must name a database: postgres://user:password@host/DATABASE, or mysql:// or \
             mariadb://",
        ),
    ] {
        let expected = format!("database.urls (config.toml): {expected}");
        refused(&format!("[database]\n{settings}"), &[], &expected);
    }
    let error = load("[database]\nurls = \"mysql://u:pw@a/shop\"", &[]).unwrap_err();
    assert!(!error.contains("pw"), "{error}");
}
