//! A Postgres with a standby, which can crash, fill its disk and fail over.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use crate::support::{Lane, Lanes, Proxy, server_program, succeed, unprivileged};

/// What both have in common. A commit that a client has seen survives a crash of the server, but not of this machine: no fault
/// here ends that.
/// Deadlocks are looked for before anything of ours has waited too long: its short limits would hide them.
const CONFIGURATION: &str = "
listen_addresses = '127.0.0.1'
fsync = off
full_page_writes = off
synchronous_commit = on
wal_level = replica
max_connections = 80
max_wal_size = 128MB
wal_keep_size = 128MB
hot_standby = on
wal_receiver_timeout = 5s
wal_sender_timeout = 5s
wal_retrieve_retry_interval = 200ms
deadlock_timeout = 10ms
autovacuum_naptime = 5s
log_line_prefix = '%m %p %a '
logging_collector = off
";

/// A disk of its own: nothing else of this machine suffers when it is full.
const DISK: &str = "700m";

/// Two servers, of which one leads.
pub struct Pair {
    nodes: [Node; 2],
    leads: usize,
    password: String,
    /// From the one that follows to the one that leads.
    replication: Proxy,
    place: PathBuf,
    /// Removes all of it when this program is gone, however it went.
    watchdog: Child,
    has_disk: bool,
}

struct Node {
    data: PathBuf,
    port: u16,
}

impl Pair {
    pub async fn start() -> Self {
        let place = tempfile::Builder::new().prefix("rowcall-chaos-").tempdir().unwrap().keep();
        let disk = place.join("disk");
        std::fs::create_dir(&disk).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={DISK}"), "tmpfs"]).arg(&disk);
        let has_disk = succeed(&mut mount, "mount").is_ok();
        let watchdog = watchdog(&place);
        if nix::unistd::geteuid().is_root() {
            run(Command::new("chown").arg("-R").arg("postgres").arg(&place));
        }
        let password: String = (0..32).map(|_| rand::random_range('a'..='z')).collect();
        std::fs::write(place.join("password"), &password).unwrap();
        let nodes = ["one", "two"].map(|name| Node { data: disk.join(name), port: free_port() });
        let url = url(nodes[0].port, &password, "postgres");
        let replication = Proxy::new(&url).await;
        let pair = Self { nodes, leads: 0, password, replication, place, watchdog, has_disk };
        let mut initdb = pair.program("initdb");
        initdb.args(["--no-sync", "--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8"]);
        run(initdb
            .args(["--locale=C", "--pwfile"])
            .arg(pair.place.join("password"))
            .arg("--pgdata")
            .arg(&pair.nodes[0].data));
        let file = pair.nodes[0].data.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&file).unwrap();
        text.push_str(CONFIGURATION);
        std::fs::write(&file, text).unwrap();
        pair.begin(0);
        pair.follow(1);
        pair
    }

    /// Whether its disk can be filled; that takes the right to mount one.
    pub fn has_disk(&self) -> bool {
        self.has_disk
    }

    /// Of the one that leads, for a superuser.
    pub fn url(&self, database: &str) -> String {
        url(self.nodes[self.leads].port, &self.password, database)
    }

    pub async fn admin(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// As a power cut ends it; then it starts again.
    pub fn crash(&self) {
        self.end(self.leads, "immediate");
        self.begin(self.leads);
    }

    /// Ends it in good order; [`Self::revive`] starts it again.
    pub fn leave(&self) {
        self.end(self.leads, "fast");
    }

    /// Ends it in good order and starts it again.
    pub fn restart(&self) {
        self.end(self.leads, "fast");
        self.begin(self.leads);
    }

    /// Makes both start that are not there.
    pub fn revive(&self) {
        for node in [self.leads, 1 - self.leads] {
            if self.control("status", node).status_code() != Some(0) {
                self.begin(node);
            }
        }
    }

    /// Whether commits wait for the standby.
    pub async fn waits_for_standby(&self, yes: bool) {
        let Ok(client) = self.admin("postgres").await else { return };
        let names = if yes { "*" } else { "" };
        let _ =
            client.batch_execute(&format!("alter system set synchronous_standby_names = '{names}'")).await;
        let _ = client.batch_execute("select pg_reload_conf()").await;
        // The server tells its processes one by one. Commits wait when the checkpointer knows; before, one that is acknowledged may be lost
        // although the standby counts as one for which they wait. A new session that has the setting was made when all had been told, and the
        // checkpointer reads it at the latest when it has done one checkpoint and begins the next.
        let told = async {
            loop {
                let client = self.admin("postgres").await.ok()?;
                let shown = client.query_one("show synchronous_standby_names", &[]).await.ok()?;
                if shown.get::<_, &str>(0) == names {
                    return client.batch_execute("checkpoint; checkpoint").await.ok();
                }
            }
        };
        let _ = tokio::time::timeout(CATCH_UP, told).await;
    }

    /// From now on the standby hears nothing, until it leads.
    pub fn silence_standby(&self) {
        self.replication.lanes(Lanes { to_server: Lane::Stalls, to_client: Lane::Stalls });
    }

    /// The standby takes over from a primary that dies at once; the old one follows it, with what only it knew forgotten.
    pub fn fail_over(&mut self) {
        let old = self.leads;
        self.end(old, "immediate");
        self.replication.cut();
        run(&mut self.control_with("promote", 1 - old, &["-w"]));
        self.leads = 1 - old;
        let _ = std::fs::remove_dir_all(&self.nodes[old].data);
        self.replication.lay_to(&self.url("postgres"));
        self.replication.mend();
        self.follow(old);
    }

    /// Takes all that is free on its disk; gone with the value.
    pub fn fill_disk(&self) -> Ballast {
        let ballast = Ballast(self.place.join("disk/ballast"));
        let free = Command::new("df")
            .args(["--output=avail", "--block-size=1"])
            .arg(self.place.join("disk"))
            .output();
        let free = String::from_utf8(free.unwrap().stdout).unwrap();
        let free = free.lines().last().unwrap().trim();
        // What is freed meanwhile, Postgres may have.
        let _ = succeed(Command::new("fallocate").args(["-l", free]).arg(&ballast.0), "fallocate");
        ballast
    }

    /// Makes a copy of the one that leads, and lets it follow.
    fn follow(&self, node: usize) {
        let mut copy = self.program("pg_basebackup");
        let leader = &self.nodes[1 - node];
        copy.env("PGPASSWORD", &self.password);
        copy.args([
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-X",
            "stream",
            "--checkpoint=fast",
            "--no-sync",
            "-p",
        ])
        .arg(leader.port.to_string())
        .arg("-D")
        .arg(&self.nodes[node].data);
        run(&mut copy);
        let source = format!(
            "\nprimary_conninfo = 'host=127.0.0.1 port={} user=postgres password={} application_name=standby'\n",
            self.replication.port(),
            self.password
        );
        let file = self.nodes[node].data.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&file).unwrap();
        text.push_str(&source);
        std::fs::write(&file, text).unwrap();
        run(Command::new("touch").arg(self.nodes[node].data.join("standby.signal")));
        self.begin(node);
    }

    fn begin(&self, node: usize) {
        let port = self.nodes[node].port;
        let options = format!("-c port={port} -k {}", self.place.display());
        let log = self.place.join(format!("log-{node}"));
        let mut start = self.control_with("start", node, &["-w", "-t", "60", "-l"]);
        start.arg(&log).arg("-o").arg(options);
        if let Err(error) = succeed(&mut start, "pg_ctl start") {
            panic!("{error}\n{}", std::fs::read_to_string(&log).unwrap_or_default());
        }
    }

    fn end(&self, node: usize, mode: &str) {
        // It may have died by itself.
        let _ = succeed(&mut self.control_with("stop", node, &["-w", "-m", mode]), "pg_ctl stop");
    }

    fn control(&self, what: &str, node: usize) -> Command {
        self.control_with(what, node, &[])
    }

    fn control_with(&self, what: &str, node: usize, more: &[&str]) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg(what).arg("-D").arg(&self.nodes[node].data).args(more);
        command
    }

    fn program(&self, name: &str) -> Command {
        let program = server_program(name).expect("PostgreSQL's server programs: ./dev chaos installs them");
        unprivileged(&program, &self.place)
    }

    /// Deadlocks, as the servers have noted them, each with what was waited for. There must be none: nothing here writes rows of others in
    /// any order but ours.
    pub fn deadlocks(&self) -> Vec<String> {
        let logs = self.logs().map(|log| std::fs::read_to_string(log).unwrap_or_default());
        let lines: Vec<&str> = logs.iter().flat_map(|log| log.lines()).collect();
        let is_one = |line: &str| line.contains("deadlock detected");
        let places = (0..lines.len()).filter(|place| is_one(lines[*place]));
        places.map(|place| lines[place..].iter().take(12).copied().collect::<Vec<_>>().join("\n")).collect()
    }

    /// What the servers have said.
    pub fn logs(&self) -> [PathBuf; 2] {
        [0, 1].map(|node| self.place.join(format!("log-{node}")))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// A file that holds what was free.
pub struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Of an exit that tells something.
trait StatusCode {
    fn status_code(self) -> Option<i32>;
}

impl StatusCode for Command {
    fn status_code(mut self) -> Option<i32> {
        self.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?.code()
    }
}

fn url(port: u16, password: &str, database: &str) -> String {
    format!("postgresql://postgres:{password}@127.0.0.1:{port}/{database}")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn run(command: &mut Command) {
    let what = format!("{command:?}");
    succeed(command, &what).unwrap();
}

/// Ends both servers when its input ends, then frees their disk. Only what their own data directories name is ended.
fn watchdog(place: &Path) -> Child {
    const SCRIPT: &str = r#"
        read -r _
        for file in "$1"/disk/*/postmaster.pid; do
            pid=$(head -n 1 "$file" 2>/dev/null) || continue
            kill -QUIT "$pid" 2>/dev/null
            n=0
            while kill -0 "$pid" 2>/dev/null && [ $n -lt 200 ]; do sleep 0.05; n=$((n + 1)); done
        done
        umount "$1/disk" 2>/dev/null || umount -l "$1/disk" 2>/dev/null
        rm -rf "$1"
    "#;
    Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(place)
        // A Ctrl-C for the program must not end the watchdog first.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How long a standby may take until it has all that was committed.
pub const CATCH_UP: Duration = Duration::from_secs(10);
