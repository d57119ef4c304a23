//! Who may do what at `/admin`: the table of its routes, each with the right that it needs.
//!
//! A route is registered here or nowhere: whatever is not in the table is not found, so none can be
//! written without saying who may call it. An action is registered with both its faces at once, the
//! form and its JSON twin.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Resource, Responder};

use crate::domain::staff::Right;

/// Where the pages are.
pub const PAGES: &str = "/admin";
/// Where the same actions are for programs.
pub const API: &str = "/api/admin/v1";

/// What a caller must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody: the way in.
    Public,
    /// Any member of staff, for what is his own.
    LoggedIn,
    /// Who has this right in the mini-program that the path names.
    Shop(Right),
    /// Who has this right in every mini-program, and has given the password a moment ago.
    Everywhere(Right),
}

/// Which face of the site a route belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Face {
    /// Pages and forms; known by the session cookie.
    Html,
    /// JSON; known by a token.
    Json,
}

/// A route and who may call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub face: Face,
    pub method: Method,
    /// The whole pattern, such as `/admin/shops/{shop}/orders`.
    pub pattern: String,
    pub access: Access,
    /// Whether its form carries files.
    pub takes_files: bool,
}

/// All routes of the site while they are put together.
#[derive(Default)]
pub struct Routes {
    entries: Vec<Entry>,
    resources: BTreeMap<(Face, String), Resource>,
}

impl Routes {
    /// A page.
    pub fn page<F, Args>(&mut self, path: &str, access: Access, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Face::Html, Method::GET, path, access, handler);
    }

    /// A form that has no twin: the way in and out, and what a person does with his own account.
    pub fn form<F, Args>(&mut self, path: &str, access: Access, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Face::Html, Method::POST, path, access, handler);
    }

    /// What can be read by programs.
    pub fn read<F, Args>(&mut self, path: &str, access: Access, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add(Face::Json, Method::GET, path, access, handler);
    }

    /// An action: its form, and the same as JSON.
    pub fn action<F, FormArgs, J, JsonArgs>(&mut self, path: &str, access: Access, form: F, json: J)
    where
        F: Handler<FormArgs>,
        FormArgs: FromRequest + 'static,
        F::Output: Responder + 'static,
        J: Handler<JsonArgs>,
        JsonArgs: FromRequest + 'static,
        J::Output: Responder + 'static,
    {
        self.add(Face::Html, Method::POST, path, access, form);
        self.add(Face::Json, Method::POST, path, access, json);
    }

    /// An action whose form carries files. On any other route such a form is refused.
    pub fn upload<F, FormArgs, J, JsonArgs>(&mut self, path: &str, access: Access, form: F, json: J)
    where
        F: Handler<FormArgs>,
        FormArgs: FromRequest + 'static,
        F::Output: Responder + 'static,
        J: Handler<JsonArgs>,
        JsonArgs: FromRequest + 'static,
        J::Output: Responder + 'static,
    {
        self.add(Face::Html, Method::POST, path, access, form);
        if let Some(entry) = self.entries.last_mut() {
            entry.takes_files = true;
        }
        self.add(Face::Json, Method::POST, path, access, json);
    }

    fn add<F, Args>(&mut self, face: Face, method: Method, path: &str, access: Access, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let base = match face {
            Face::Html => PAGES,
            Face::Json => API,
        };
        let key = (face, path.to_owned());
        let resource = self
            .resources
            .remove(&key)
            .unwrap_or_else(|| web::resource(path))
            .route(web::method(method.clone()).to(handler));
        self.resources.insert(key, resource);
        let pattern = format!("{base}{path}");
        self.entries.push(Entry { face, method, pattern, access, takes_files: false });
    }

    /// The table: every route and who may call it.
    pub fn table(&self) -> Table {
        Table(self.entries.clone())
    }

    /// Hands the routes of one face to its scope.
    pub fn register(self, face: Face, config: &mut ServiceConfig) {
        let of_face = self.resources.into_iter().filter(|((of, _), _)| *of == face);
        of_face.for_each(|(_, resource)| {
            config.service(resource);
        });
    }
}

/// Every route of the site.
#[derive(Debug, Clone, Default)]
pub struct Table(pub Vec<Entry>);

impl Table {
    /// Who may call this; `None`: there is no such route.
    pub fn access(&self, method: &Method, pattern: &str) -> Option<&Entry> {
        // HEAD asks what GET would answer.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.0.iter().find(|entry| entry.pattern == pattern && entry.method == *method)
    }

    /// Whether the path is there, by another method.
    pub fn knows(&self, pattern: &str) -> bool {
        self.0.iter().any(|entry| entry.pattern == pattern)
    }
}
