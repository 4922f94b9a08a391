//! `cargo run -p loopback-aws -- [--port 4566]`: both accounts, deployed, with a shop to back up, until Ctrl-C.

use std::net::{Ipv4Addr, SocketAddr};

use loopback_aws::{
    BACKUP_ACCOUNT, BUCKET, EXTERNAL_ID, Loopback, REGION, SOURCE_ACCOUNT, SOURCE_ROLE_ARN, sample,
};

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
    print_environment(&loopback.endpoint());
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
fn print_environment(endpoint: &str) {
    for (name, value) in [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", BACKUP_ACCOUNT),
        ("AWS_SECRET_ACCESS_KEY", "loopback"),
        ("AWS_REGION", REGION),
        ("BACKUP_BUCKET", BUCKET),
        ("BACKUP_ROLE_ARN", SOURCE_ROLE_ARN),
        ("BACKUP_EXTERNAL_ID", EXTERNAL_ID),
        ("BACKUP_SOURCE_REGION", REGION),
    ] {
        println!("export {name}={value}");
    }
}
