//! PgBouncer, the real one, in transaction mode.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{DAEMON, LOGIN_PASSWORD, TASKS};

/// Server connections for each login: fewer than there are connections to it, so that they must share.
pub const SHARED: usize = 3;

/// Which one.
#[derive(Debug, Clone, Copy)]
pub enum Bouncer {
    /// The program of this machine.
    Installed,
    /// One from an image.
    Newer,
}

/// A running one, which ends with this value.
pub struct PgBouncer {
    port: u16,
    server: String,
    child: Child,
    _place: tempfile::TempDir,
}

impl PgBouncer {
    /// In front of the server of a superuser's database URL.
    pub async fn start(which: Bouncer, url: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_on(port, which, url).await
    }

    /// The same on a port where another one has ended.
    pub async fn start_on(port: u16, which: Bouncer, url: &str) -> Self {
        let parsed: tokio_postgres::Config = url.parse().unwrap();
        let password = String::from_utf8(parsed.get_password().unwrap().to_vec()).unwrap();
        let server_port = parsed.get_ports()[0];
        let server = url.rsplit_once('@').unwrap().1.split_once('/').unwrap().0.to_owned();
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            std::fs::write(place.path().join(name), text).unwrap();
        };
        let users = [("postgres", password.as_str()), (DAEMON, LOGIN_PASSWORD), (TASKS, LOGIN_PASSWORD)];
        write("users", users.map(|(name, password)| format!("\"{name}\" \"{password}\"\n")).concat());
        let place_path = place.path().display();
        write(
            "ini",
            format!(
                "[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {place_path}/users\n\
                 pool_mode = transaction\ndefault_pool_size = {SHARED}\nmax_client_conn = 200\n"
            ),
        );
        succeed(Command::new("chmod").args(["-R", "a+rX"]).arg(place.path()));
        let mut command = command(which, place.path(), port);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let begun = tokio::task::spawn_blocking(move || {
            let begun = log.by_ref().map_while(Result::ok).any(|line| line.contains("process up"));
            // It must not wait for a reader of what it says later.
            std::thread::spawn(move || log.for_each(drop));
            begun
        });
        assert!(begun.await.unwrap(), "PgBouncer did not begin");
        Self { port, server, child, _place: place }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A database URL through it.
    pub fn url(&self, url: &str) -> String {
        url.replacen(&self.server, &format!("127.0.0.1:{}", self.port), 1)
    }
}

/// Runs it until the end of its standard input, which comes with the end of this program, however it went. It refuses to run as
/// root. From 1.23 on only a kill ends it while a client is connected.
fn command(which: Bouncer, place: &Path, port: u16) -> Command {
    const INSTALLED: &str = r#"
        if [ "$(id -u)" = 0 ]; then setpriv --reuid nobody --regid nogroup --clear-groups "$1" "$2/ini" & else "$1" "$2/ini" & fi
        read -r _; kill -KILL "$!""#;
    const NEWER: &str = r#"
        docker run --rm --name "pgbouncer-$3" --network host --volume "$2:$2:ro" "$1" "$2/ini" &
        read -r _; docker kill "pgbouncer-$3"; wait"#;
    let (script, variable) = match which {
        Bouncer::Installed => (INSTALLED, "ROWCALL_TEST_PGBOUNCER"),
        Bouncer::Newer => (NEWER, "ROWCALL_TEST_PGBOUNCER_IMAGE"),
    };
    let program = std::env::var(variable).expect(variable);
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", &program]).arg(place).arg(port.to_string()).process_group(0);
    command
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn succeed(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
