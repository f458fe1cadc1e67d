//! A private Postgres server, for tests, the demo and the benchmarks.
//!
//! (The crate `pgtemp` does much of this, but needs sudo where the user is root, trusts every local user, and
//! always turns fsync and autovacuum off, which a benchmark must not.)
//!
//! A watchdog on a pipe ends the server when this program is gone, however it went: a killed test run must
//! leave no server behind.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server.
pub struct Server {
    port: u16,
    password: String,
    directory: PathBuf,
    watchdog: Child,
}

impl Server {
    /// Starts one with these settings, or says what is missing.
    pub fn start(settings: &[(&str, &str)]) -> Result<Self, String> {
        let bin = directory_of("initdb").ok_or(
            "no PostgreSQL server programs (initdb, pg_ctl) in PATH or /usr/lib/postgresql/*/bin; \
             install the package postgresql, or run ./dev, which does",
        )?;
        let directory = tempfile::Builder::new().prefix("rowcall-pg-").tempdir().map_err(text)?.keep();
        let data = directory.join("data");
        let password: String = (0..32).map(|_| rand::random_range('a'..='z')).collect();
        let password_file = directory.join("password");
        std::fs::write(&password_file, &password).map_err(text)?;
        if nix::unistd::geteuid().is_root() {
            succeed(Command::new("chown").arg("-R").arg("postgres").arg(&directory), "chown")?;
        }
        let run = |program: &str| unprivileged(&bin.join(program), &directory);
        succeed(
            run("initdb")
                .args([
                    "--no-sync",
                    "--auth=scram-sha-256",
                    "--username=postgres",
                    "--encoding=UTF8",
                    "--locale=C",
                ])
                .arg("--pwfile")
                .arg(&password_file)
                .arg("--pgdata")
                .arg(&data),
            "initdb",
        )?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(text)?.port();
        let mut options = format!("-c listen_addresses=127.0.0.1 -c port={port} -k {}", directory.display());
        for (name, value) in settings {
            let _ = write!(options, " -c {name}={value}");
        }
        let log = directory.join("log");
        succeed(
            run("pg_ctl")
                .arg("start")
                .arg("-w")
                .arg("-D")
                .arg(&data)
                .arg("-l")
                .arg(&log)
                .arg("-o")
                .arg(options),
            "pg_ctl start",
        )
        .map_err(|e| format!("{e}\n{}", std::fs::read_to_string(&log).unwrap_or_default()))?;
        let watchdog = watchdog(&data, &directory).map_err(text)?;
        Ok(Self { port, password, directory, watchdog })
    }

    /// Connection string of a database on it.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Leaves the server running after this program; returns the command that ends it.
    #[allow(dead_code)]
    pub fn keep(mut self) -> String {
        if let Some(mut pipe) = self.watchdog.stdin.take() {
            let _ = pipe.write_all(b"keep\n");
        }
        let _ = self.watchdog.wait();
        let data = self.directory.join("data");
        let pid = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let stop = format!(
            "kill -INT {} && sleep 1 && rm -r {}",
            pid.lines().next().unwrap_or("?"),
            self.directory.display()
        );
        std::mem::forget(self);
        stop
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Waits for the end of its standard input, then ends the server at once and removes its files. Only the process
/// whose number stands in the server's own data directory is ended.
fn watchdog(data: &Path, directory: &Path) -> std::io::Result<Child> {
    const SCRIPT: &str = r#"
        read -r word && [ "$word" = keep ] && exit 0
        pid=$(head -n 1 "$1/postmaster.pid") && kill -QUIT "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
        rm -rf "$2"
    "#;
    Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .args([data, directory])
        // A Ctrl-C for the program must not end the watchdog first.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn text(error: std::io::Error) -> String {
    format!("cannot start a private PostgreSQL server: {error}")
}

/// Postgres refuses to run as root; there it runs as the user that its Debian package made.
pub fn unprivileged(program: &Path, directory: &Path) -> Command {
    let root = nix::unistd::geteuid().is_root();
    let mut command = if root { Command::new("runuser") } else { Command::new(program) };
    if root {
        command.args(["-u", "postgres", "--"]).arg(program);
    }
    command.current_dir(directory);
    command
}

/// Runs a program to its end; what it said if it failed.
pub fn succeed(command: &mut Command, what: &str) -> Result<(), String> {
    // The server inherits what pg_ctl has open: a pipe would never come to its end.
    let log = tempfile::tempfile().map_err(text)?;
    let copy = log.try_clone().map_err(text)?;
    let status = command
        .stdin(Stdio::null())
        .stdout(copy)
        .stderr(log.try_clone().map_err(text)?)
        .status()
        .map_err(|e| format!("{what}: {e}"))?;
    if status.success() {
        return Ok(());
    }
    let mut log = log;
    let mut said = String::new();
    let _ = std::io::Seek::rewind(&mut log);
    let _ = std::io::Read::read_to_string(&mut log, &mut said);
    Err(format!("{what} failed ({status}): {said}"))
}

/// One of PostgreSQL's programs.
#[allow(dead_code)]
pub fn server_program(name: &str) -> Option<PathBuf> {
    Some(directory_of(name)?.join(name))
}

/// Where a program of the server is: in PATH, or where Debian keeps them, the newest first.
fn directory_of(program: &str) -> Option<PathBuf> {
    // Debian has wrappers for clients in PATH, but pg_ctl only beside the rest of the server.
    let has = |dir: &Path| dir.join(program).is_file() && dir.join("pg_ctl").is_file();
    let in_path = std::env::var_os("PATH").and_then(|path| std::env::split_paths(&path).find(|dir| has(dir)));
    in_path.or_else(|| {
        let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .filter(|(_, bin)| has(bin))
            .collect();
        found.sort();
        found.pop().map(|(_, bin)| bin)
    })
}
