//! A server that ends with this program, however it went.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// Runs the server. Ends it when its input ends; ends it well and starts it again for each line of input. Containers
/// with the label are the server's, and go with it. Its log stays in `target/standins` until the next one's.
const WATCHDOG: &str = r#"
    directory=$1 label=$2
    shift 2
    export STATE_DIR="$directory/state"
    start() { "$@" >>"$directory/log" 2>&1 & pid=$!; }
    start "$@"
    while read -r word; do
        kill -TERM $pid; wait $pid
        if [ "$word" = forget ]; then rm -rf "$directory/state"; fi
        echo ended
        start "$@"
    done
    kill -KILL $pid; wait $pid
    if [ -n "$label" ]; then
        containers=$(docker ps --all --quiet --filter "label=$label")
        if [ -n "$containers" ]; then docker rm --force --volumes $containers; fi
    fi
    mv "$directory/log" "target/standins/$(basename "$1").log"
    rm -rf "$directory"
"#;

/// A server and whoever watches it.
pub struct Program {
    pub port: u16,
    directory: PathBuf,
    health: &'static str,
    watchdog: Child,
    pipes: Option<Mutex<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Program {
    /// Starts a server that will listen on this port, and waits until `health` answers. It may keep its state in
    /// `$STATE_DIR`.
    pub async fn start(server: &Command, port: u16, label: &str, health: &'static str) -> Self {
        let directory = tempfile::Builder::new().prefix("rowcall-standin-").tempdir().unwrap().keep();
        let mut watchdog = Command::new("sh");
        watchdog.current_dir(env!("CARGO_MANIFEST_DIR"));
        watchdog.args(["-c", WATCHDOG, "sh"]).arg(&directory).arg(label);
        watchdog.arg(server.get_program()).args(server.get_args());
        watchdog.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // A Ctrl-C for the tests must not end the watchdog first.
        watchdog.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut watchdog = watchdog.spawn().unwrap();
        let pipes = (watchdog.stdin.take().unwrap(), BufReader::new(watchdog.stdout.take().unwrap()));
        let program = Self { port, directory, health, watchdog, pipes: Some(Mutex::new(pipes)) };
        program.answers().await;
        program
    }

    /// A port that nobody listens on.
    pub fn port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it in good order and starts it again at the same place; without its state if the word is `forget`.
    pub async fn restart(&self, word: &str) {
        let ended = {
            let mut pipes = self.pipes.as_ref().unwrap().lock().unwrap();
            writeln!(pipes.0, "{word}").unwrap();
            let mut line = String::new();
            pipes.1.read_line(&mut line).unwrap();
            line
        };
        assert_eq!(ended, "ended\n");
        self.answers().await;
    }

    /// A server says nothing when it is ready, so there is only asking.
    async fn answers(&self) {
        let begun = Instant::now();
        while !self
            .ask(&format!("GET {} HTTP/1.0\r\n\r\n", self.health))
            .await
            .is_ok_and(|a| a.contains(" 200 "))
        {
            let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < LIMIT, "the stand-in does not answer:\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a request as it is; the whole answer.
    pub async fn ask(&self, request: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.pipes.take());
        let _ = self.watchdog.wait();
    }
}
