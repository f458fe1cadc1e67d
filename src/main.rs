//! The `rowcall` command.
#![forbid(unsafe_code)]

mod commands;

use clap::Parser as _;
use rowcall::runners::process::supervise;

fn main() {
    // A supervisor is started for every process attempt: it must begin at once, without a runtime.
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == supervise::SUBCOMMAND) {
        if let Err(error) = supervise::run(args) {
            eprintln!("rowcall supervise: {error:#}");
            std::process::exit(1);
        }
        return;
    }
    let cli = commands::Cli::parse();
    if let Err(error) = commands::run(cli) {
        eprintln!("rowcall: {error:#}");
        std::process::exit(1);
    }
}
