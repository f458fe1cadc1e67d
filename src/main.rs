//! The `rowcall` command.
#![forbid(unsafe_code)]

mod commands;

use clap::Parser as _;
#[cfg(feature = "process")]
use rowcall::runners::process::supervise;

/// As other commands do whose reader has seen enough (`rowcall migrate --dry-run | head`). Printing panics then.
fn end_quietly_when_nobody_reads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>();
        if said.is_some_and(|said| said.starts_with("failed printing to stdout: Broken pipe")) {
            std::process::exit(0);
        }
        usual(panic);
    }));
}

/// A supervisor is started for every process attempt: it must begin at once, without a runtime.
#[cfg(feature = "process")]
fn supervises() -> bool {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|first| first != supervise::SUBCOMMAND) {
        return false;
    }
    if let Err(error) = supervise::run(args) {
        eprintln!("rowcall supervise: {error:#}");
        std::process::exit(1);
    }
    true
}

fn main() {
    end_quietly_when_nobody_reads();
    #[cfg(feature = "process")]
    if supervises() {
        return;
    }
    let cli = commands::Cli::parse();
    if let Err(error) = commands::run(cli) {
        eprintln!("rowcall: {error:#}");
        std::process::exit(1);
    }
}
