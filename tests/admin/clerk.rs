//! A member of staff with a browser that knows cookies and forms, and nothing else.

use std::cell::RefCell;
use std::collections::BTreeMap;

use awc::http::Method;
use buynow::domain::staff::{Grants, Role, Scope};
use buynow::store::staff::accounts::{Accounts, NewAccount};
use buynow::store::staff::password;
use secrecy::SecretString;

use crate::support::{Reply, TestApp};

pub const PASSWORD: &str = "a long password";

/// A browser at the admin site.
pub struct Clerk<'a> {
    pub app: &'a TestApp,
    cookies: RefCell<BTreeMap<String, String>>,
    /// From the page that was seen last.
    form_token: RefCell<String>,
}

/// Makes an account as `buynow admin create` does.
pub async fn account(app: &TestApp, login: &str, grants: &[(Scope, Role)]) {
    // Hashing is slow on purpose; all accounts of the tests share one password.
    static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let hash = HASH.get_or_init(|| password::hash(&SecretString::from(PASSWORD)).unwrap());
    let accounts = Accounts::open(app.database_url()).await.unwrap();
    let new = NewAccount {
        login: login.to_owned(),
        name: login.to_uppercase(),
        password_hash: hash.clone(),
        grants: Grants(grants.iter().copied().collect()),
    };
    accounts.create(new, app.clock.now()).await.unwrap();
    accounts.close().await.unwrap();
}

/// The token of a page's forms.
pub fn form_token(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("name=\"form_token\" value=\"")?;
    rest.split('"').next()
}

impl<'a> Clerk<'a> {
    /// A browser that has never been here.
    pub fn new(app: &'a TestApp) -> Self {
        Self { app, cookies: RefCell::default(), form_token: RefCell::default() }
    }

    /// A member of staff who has just logged in.
    pub async fn of(app: &'a TestApp, login: &str, grants: &[(Scope, Role)]) -> Self {
        account(app, login, grants).await;
        Self::logged_in(app, login).await
    }

    /// The same with an account that is there already.
    pub async fn logged_in(app: &'a TestApp, login: &str) -> Self {
        let clerk = Self::new(app);
        clerk.logs_in(login, PASSWORD).await.expect(303);
        clerk.get("/admin/me").await.expect(200);
        clerk
    }

    pub async fn logs_in(&self, login: &str, password: &str) -> Reply {
        self.post("/admin/login", &[("login", login), ("password", password)]).await
    }

    /// What the browser holds under this name.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, &[], None).await
    }

    /// Sends a form with the token of this session.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let token = self.form_token.borrow().clone();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        if !token.is_empty() {
            form.append_pair("form_token", &token);
        }
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.call(Method::POST, path, &headers, Some(form.finish().into_bytes())).await
    }

    /// Any call at all, with this browser's cookies.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Reply {
        let cookies = self.cookies.borrow().clone().into_iter();
        let cookies: Vec<_> = cookies.map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let reply = self.app.call(method, path, None, &headers, body).await;
        self.keep(&reply);
        reply
    }

    fn keep(&self, reply: &Reply) {
        for (name, value) in &reply.headers {
            if name == "set-cookie" {
                let cookie = actix_web::cookie::Cookie::parse(value.clone()).unwrap();
                let gone = cookie.value().is_empty();
                let mut cookies = self.cookies.borrow_mut();
                match gone {
                    true => cookies.remove(cookie.name()),
                    false => cookies.insert(cookie.name().to_owned(), cookie.value().to_owned()),
                };
            }
        }
        if let Some(token) = form_token(&reply.text) {
            *self.form_token.borrow_mut() = token.to_owned();
        }
    }
}
