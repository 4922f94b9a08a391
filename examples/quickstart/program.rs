//! The program itself, in the executable of an example: so that nothing else has to be built or found.

use std::process::ExitCode;

use dynamodb_backup::{cli::Cli, commands, exit::Exit};

/// Says that this process is the program, started by the example with its environment.
pub(crate) const AS_PROGRAM: &str = "as-program";

/// Does what `src/main.rs` does, with the rest of the command line, if this process is to be the program.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_none_or(|first| first != AS_PROGRAM) {
        return None;
    }
    arguments.remove(1);
    let run = |cli: Cli| {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(commands::run(&cli)).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Exit::from(error.kind())
        })
    };
    Some(Cli::read(arguments).map_or_else(ExitCode::from, |cli| run(cli).into()))
}
