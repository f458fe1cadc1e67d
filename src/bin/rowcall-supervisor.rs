//! `rowcall-supervisor`: `rowcall supervise` as a program of its own, a twentieth of its size. One is started for every attempt of
//! the process runner, and to load and relocate all of `rowcall` takes longer than what it does.
#![forbid(unsafe_code)]

use rowcall::runners::process::supervise;

fn main() {
    let mut args = std::env::args_os().skip(1);
    let done = match args.next() {
        Some(first) if first == supervise::SUBCOMMAND => supervise::run(args),
        Some(first) if first == "--version" => {
            println!("{}", supervise::VERSION);
            Ok(())
        }
        _ => Err(anyhow::anyhow!("it is started by the process runner of rowcall, not by hand")),
    };
    if let Err(error) = done {
        eprintln!("rowcall-supervisor: {error:#}");
        std::process::exit(1);
    }
}
