//! The `dynamodb-backup` binary: parse, run, report.

use std::process::ExitCode;

use dynamodb_backup::cli::Cli;
use dynamodb_backup::commands;
use dynamodb_backup::exit::Exit;

fn main() -> ExitCode {
    let exit = match Cli::read(std::env::args_os()) {
        Ok(cli) => run(&cli),
        Err(exit) => exit,
    };
    exit.into()
}

fn run(cli: &Cli) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: start the runtime: {error}");
            return Exit::Failed;
        }
    };
    runtime.block_on(commands::run(cli)).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        error.kind().into()
    })
}
