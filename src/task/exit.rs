//! Exit codes of `rowcall-task` itself, after `sysexits.h`, which few programs use for anything else.

/// The command line or the environment is wrong (`EX_USAGE`).
pub const USAGE: i32 = 64;
/// The database did not take what it was told, such as a result that is too large or no JSON; or files around the
/// program could not be fetched or stored (`EX_DATAERR`).
pub const REFUSED: i32 = 65;
/// The database could not be reached: the program was not started, or its end not reported (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: i32 = 69;
/// The attempt is over or another's; the program was not started, or stopped (`EX_NOPERM`).
pub const OVER: i32 = 77;
/// As a shell reports a program that it may not run.
pub const NOT_EXECUTABLE: i32 = 126;
/// As a shell reports a program that it cannot find.
pub const NOT_FOUND: i32 = 127;

/// Says on standard error why this process leaves with that code.
pub fn complain(exit_code: i32, what: impl std::fmt::Display) -> i32 {
    eprintln!("rowcall-task: {what}");
    exit_code
}
