//! `cargo run -p loopback-aws -- [--port 4566]`: both accounts, deployed, with a shop to back up, until Ctrl-C.

use std::net::{Ipv4Addr, SocketAddr};

use loopback_aws::{Loopback, SOURCE_ACCOUNT, sample};

const DEFAULT_PORT: u16 = 4566;
const USAGE: &str = "usage: loopback-aws [--port <port>]";

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let Some(port) = port(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        std::process::exit(64);
    };
    let loopback = Loopback::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    loopback.deploy();
    for table in sample::shop() {
        table.load(&loopback, SOURCE_ACCOUNT).map_err(std::io::Error::other)?;
    }
    print_environment(&loopback);
    tokio::signal::ctrl_c().await
}

/// The port asked for, or `None` if the arguments make no sense.
fn port(mut arguments: impl Iterator<Item = String>) -> Option<u16> {
    match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (None, _, _) => Some(DEFAULT_PORT),
        (Some("--port"), Some(port), None) => port.parse().ok(),
        _ => None,
    }
}

/// Lines to paste into a shell, or to `eval`.
fn print_environment(loopback: &Loopback) {
    for (name, value) in loopback.environment() {
        println!("export {name}={value}");
    }
}
