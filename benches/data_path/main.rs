//! `cargo bench --bench data_path`: what an item costs on its way, against the least it could cost, against
//! the typed SDK and against other tools. `benches/README.md` has the method.

mod bench;
mod client;
mod codec;
mod floor;
mod goals;
mod items;
mod options;
mod ours;
mod peers;
mod plot;
mod process;
mod scaling;
mod sections;
mod series;
mod server;
mod signed_floor;
mod table;
mod tables;
mod typed;
mod usage;

use std::process::ExitCode;

use anyhow::{Context, Result};

use self::bench::Bench;
use self::options::{HELP, Options, Section};
use self::process::{AS_CLIENT, AS_SERVER, AS_WATCHER};

/// The account whose number is the access key of whoever writes copies.
const BACKUP_ACCOUNT: &str = "222222222222";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let role = arguments.first().map(String::as_str).unwrap_or_default();
    match role {
        AS_SERVER => server::serve(serde_json::from_str(first(&arguments)?)?)?,
        AS_WATCHER => process::watch(&arguments[1..])?,
        AS_CLIENT => client::run(&serde_json::from_str(first(&arguments)?)?)?,
        _ => return run(&Options::read(arguments.into_iter())?),
    }
    Ok(ExitCode::SUCCESS)
}

fn first(arguments: &[String]) -> Result<&str> {
    arguments.get(1).map(String::as_str).context("a role has an argument")
}

fn run(options: &Options) -> Result<ExitCode> {
    if options.help {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut bench = Bench::new()?;
    if options.wants(Section::Export) {
        sections::export(&mut bench, options)?;
    }
    if options.wants(Section::Write) {
        sections::write(&mut bench, options)?;
    }
    if options.wants(Section::Peers) {
        peers::run(&mut bench, options)?;
    }
    if options.wants(Section::Scaling) {
        scaling::run(&mut bench, options)?;
    }
    let goals = goals::of(&bench.results);
    if let Some(file) = &options.svg {
        std::fs::write(file, plot::svg(&bench.results))
            .with_context(|| format!("write {}", file.display()))?;
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&goals::json(&goals, &bench.results))?);
    } else {
        println!("{}", tables::text(&goals, &bench.results));
    }
    Ok(ExitCode::SUCCESS)
}
