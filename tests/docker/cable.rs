//! A cable between a runner and the engine, which a test can cut.

use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, UnixStream};
use tokio::task::{AbortHandle, JoinHandle};

/// Listens on a port of its own, in front of this machine's engine.
pub struct Cable {
    port: u16,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    cut: bool,
    /// Calls are passed on until one whose first line holds this; that gets there, and its answer does not come back.
    swallow: Option<&'static str>,
    connections: Vec<AbortHandle>,
}

impl Cable {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let theirs = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let mut state = theirs.lock().unwrap();
                if state.cut {
                    continue;
                }
                let copying = tokio::spawn(pass_on(client, Arc::clone(&theirs)));
                state.connections.push(copying.abort_handle());
            }
        });
        Self { port, state, accepting }
    }

    pub fn host(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// Breaks every connection, and each new one at once.
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.cut = true;
        state.connections.drain(..).for_each(|connection| connection.abort());
    }

    /// Connects again.
    pub fn mend(&self) {
        self.state.lock().unwrap().cut = false;
    }

    /// The answer to the next call like this gets lost.
    pub fn swallow(&self, call: &'static str) {
        self.state.lock().unwrap().swallow = Some(call);
    }
}

async fn pass_on(mut client: tokio::net::TcpStream, state: Arc<Mutex<State>>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut engine = UnixStream::connect("/var/run/docker.sock").await.unwrap();
    let mut first = vec![0; 65536];
    let Ok(n) = client.read(&mut first).await else { return };
    let head = String::from_utf8_lossy(&first[..n]).into_owned();
    if engine.write_all(&first[..n]).await.is_err() {
        return;
    }
    let swallowed = {
        let mut state = state.lock().unwrap();
        let line = head.lines().next().unwrap_or_default();
        state.swallow.take_if(|call| line.contains(*call)).is_some()
    };
    if swallowed {
        let (mut from, _) = client.split();
        let (mut answers, mut calls) = engine.split();
        let mut answer = [0; 1];
        // The rest of the call, until the engine answers: then it was done.
        tokio::select! {
            () = async { tokio::io::copy(&mut from, &mut calls).await.ok(); std::future::pending::<()>().await } => {}
            _ = answers.read(&mut answer) => {}
        }
        return;
    }
    let _ = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
