//! Starts and stops the simulation on a thread of its own.
//!
//! A thread of its own, because a test or the demo may block its thread while WeChat goes on.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, PayloadConfig};
use actix_web::{App, HttpServer, rt};
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use super::control::Control;
use super::courier::{self, Errand};
use super::desk::Desk;
use super::stream::Streams;
use super::world::World;
use super::{SandboxApp, SandboxConfig, control_routes, serve};
use crate::wechat::xml;

/// How many errands wait for the courier.
const ERRANDS_MAX: usize = 256;

/// The simulated WeChat.
pub struct Sandbox;

impl Sandbox {
    /// Binds, starts and returns when calls are answered.
    ///
    /// # Errors
    /// The address cannot be bound, or two mini-programs contradict each other.
    pub fn start(config: SandboxConfig) -> io::Result<SandboxHandle> {
        check(&config.apps)?;
        let (courier, errands) = mpsc::channel(ERRANDS_MAX);
        let world = World::new(&config, rand::random());
        let desk = Desk::new(config.clock.clone(), world, courier);
        let (ready, started) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("sandbox".to_owned());
        let thread = {
            let desk = desk.clone();
            thread.spawn(move || run(config.bind, desk, errands, ready))?
        };
        let started =
            started.recv().map_err(|_| io::Error::other("the sandbox's thread has died"))?;
        let (address, server) = started?;
        Ok(SandboxHandle {
            control: Control(desk),
            url: format!("http://{address}"),
            running: Arc::new(Running { server, thread: Mutex::new(Some(thread)) }),
        })
    }
}

/// One appid is one mini-program, and one merchant has one key.
fn check(apps: &[SandboxApp]) -> io::Result<()> {
    for (n, app) in apps.iter().enumerate() {
        for other in &apps[..n] {
            let same_merchant = other.mch_id == app.mch_id;
            let same_key = other.api_key.expose_secret() == app.api_key.expose_secret();
            if other.appid == app.appid || (same_merchant && !same_key) {
                let why = "sandbox: an appid twice, or a merchant with two keys";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        }
    }
    Ok(())
}

type Started = io::Result<(SocketAddr, ServerHandle)>;

fn run(
    bind: SocketAddr,
    desk: Desk,
    errands: mpsc::Receiver<Errand>,
    ready: std::sync::mpsc::Sender<Started>,
) {
    rt::System::new().block_on(async move {
        let server = match listen(bind, &desk) {
            Ok((address, server)) => {
                courier::start(desk, errands);
                // The one who started it waits for exactly this.
                let _ = ready.send(Ok((address, server.handle())));
                server
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        if let Err(error) = server.await {
            tracing::error!(%error, "the simulated WeChat has ended");
        }
    });
}

fn listen(bind: SocketAddr, desk: &Desk) -> io::Result<(SocketAddr, actix_web::dev::Server)> {
    let control = Data::new(Control(desk.clone()));
    let desk = Data::new(desk.clone());
    let streams = Data::new(Streams::default());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(control.clone())
            .app_data(desk.clone())
            .app_data(streams.clone())
            .app_data(PayloadConfig::new(xml::LIMIT_BYTES))
            .configure(serve::routes)
            .configure(control_routes::routes)
    })
    .workers(1)
    .disable_signals()
    .bind(bind)?;
    let address = server.addrs().first().copied();
    let address = address.ok_or_else(|| io::Error::other("the sandbox is bound to nothing"))?;
    Ok((address, server.run()))
}

/// A running simulation, with all of [`Control`]. It stops with the last of its clones.
#[derive(Clone)]
pub struct SandboxHandle {
    control: Control,
    url: String,
    running: Arc<Running>,
}

struct Running {
    server: ServerHandle,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SandboxHandle {
    /// The base of both hosts and of the control API, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops at once, open connections included, and returns when the port is free.
    pub fn stop(&self) {
        self.running.stop();
    }
}

impl Deref for SandboxHandle {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

impl Running {
    fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The command is given by the call; the future would only wait for its end.
            drop(self.server.stop(false));
            if thread.join().is_err() {
                tracing::error!("the sandbox's thread has panicked");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
