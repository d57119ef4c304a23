//! The binary: picks the allocator and the TLS provider, and hands over to [`buynow::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Fails only if a provider is there already, which is as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    buynow::cli::run()
}
