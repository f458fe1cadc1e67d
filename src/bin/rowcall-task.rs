//! `rowcall-task`: what goes into a container beside a program.
#![forbid(unsafe_code)]

use std::time::Duration;

use clap::{Parser, Subcommand};
use rowcall::task::{calls, exec, exit};

/// The task's side of Rowcall: runs a program as a task, or reports from a script
///
/// Reads ROWCALL_TOKEN and ROWCALL_DATABASE_URL, which the dispatcher sets.
///
/// Exit codes of rowcall-task itself: 64 the command line is wrong, 65 the result was refused, or files could not be
/// fetched or stored, 69 the database cannot be reached, 77 the attempt is over, or another executor has it.
#[derive(Parser)]
#[command(name = "rowcall-task", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program as the executor of the attempt that ROWCALL_TOKEN names
    ///
    /// Exit code 0 reports success, with the result that the program wrote to the file ROWCALL_RESULT_FILE, or else
    /// the last line on standard output if it is a JSON object. Any other exit code reports a failure with the last
    /// line printed; so does exit code 0 without a result after a signal to stop. The program may write lines such
    /// as `0.42 reading page 3` to the file ROWCALL_PROGRESS_FILE.
    ///
    /// The program's exit code is passed on; 64, 65, 69 and 77 are rowcall-task's own: the command line is wrong, the
    /// result was refused or files could not be fetched or stored, the database cannot be reached, the attempt is over.
    ///
    /// With --input-dir and --output-dir the program reads and writes only local files: rowcall-task fetches its inputs
    /// before it starts, and lists its outputs in the result; --output-to stores them.
    Exec(Box<exec::Options>),
    #[command(flatten)]
    Call(calls::Call),
}

fn main() {
    let Cli { command } = Cli::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { exit::USAGE } else { 0 })
    });
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => std::process::exit(exit::complain(exit::UNAVAILABLE, error)),
    };
    let code = runtime.block_on(async {
        match command {
            Command::Exec(options) => exec::run(*options).await,
            Command::Call(call) => calls::run(call).await,
        }
    });
    // A reader of our own output that is stuck must not keep this process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    std::process::exit(code);
}
