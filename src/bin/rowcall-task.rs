//! `rowcall-task`: what goes into a container beside a program.
#![forbid(unsafe_code)]

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use rowcall::task::exec;

#[derive(Parser)]
#[command(name = "rowcall-task", version, about = "Runs a program as a Rowcall task and reports its end")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program as the executor of the attempt that ROWCALL_TOKEN names
    ///
    /// Exit code 0 reports success, and the last line on standard output is the result if it is a JSON object.
    /// Any other exit code reports a failure with the last line printed; so does exit code 0 without a result after
    /// a signal to stop. The program's exit code is passed on;
    /// 64, 69 and 77 are rowcall-task's own: wrong call, database out of reach, attempt over.
    Exec(Exec),
}

#[derive(Args)]
struct Exec {
    /// Between two heartbeats
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = humantime::parse_duration)]
    heartbeat_interval: Duration,
    /// How long to try to reach the database before the program is started
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    start_limit: Duration,
    /// How long to try to report the program's end
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    report_limit: Duration,
    /// Bytes of output kept for the report of a failure
    #[arg(long, value_name = "BYTES", default_value = "65536")]
    output_limit: usize,
    /// Exit codes that mean that trying again is pointless, such as 2,65: the job ends at once
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    no_retry: Vec<i32>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    command: Vec<String>,
}

fn main() {
    let Cli { command: Command::Exec(args) } = Cli::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        std::process::exit(if error.use_stderr() { exec::EXIT_USAGE } else { 0 })
    });
    let options = exec::Options {
        heartbeat_interval: args.heartbeat_interval,
        start_limit: args.start_limit,
        report_limit: args.report_limit,
        output_limit: args.output_limit,
        no_retry: args.no_retry,
        command: args.command,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("rowcall-task: {error}");
            std::process::exit(exec::EXIT_UNAVAILABLE);
        }
    };
    let code = runtime.block_on(exec::run(options));
    // A reader of our own output that is stuck must not keep this process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    std::process::exit(code);
}
