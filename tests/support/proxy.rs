//! A cable between a program and the database, which a test can cut, hold up and lay elsewhere.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinHandle};

/// Listens on a port of its own.
pub struct Proxy {
    port: u16,
    first_server: String,
    cable: Arc<Cable>,
    accepting: JoinHandle<()>,
}

struct Cable {
    state: Mutex<State>,
    /// Told when the connections must hang.
    hang: Notify,
    lanes: watch::Sender<Lanes>,
}

struct State {
    cut: bool,
    /// Where it leads.
    server: String,
    connections: Vec<AbortHandle>,
}

/// What becomes of the bytes in one direction. None is lost: as in a network that heals, they come late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lane {
    /// They flow.
    #[default]
    Flows,
    /// Each piece comes so much later.
    Slow(Duration),
    /// Nothing comes until that is over.
    Stalls,
}

/// Both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lanes {
    pub to_server: Lane,
    pub to_client: Lane,
}

impl Proxy {
    /// In front of the server of a database URL.
    pub async fn new(url: &str) -> Self {
        let first_server = address(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { cut: false, server: first_server.clone(), connections: Vec::new() };
        let lanes = watch::Sender::new(Lanes::default());
        let cable = Arc::new(Cable { state: Mutex::new(state), hang: Notify::new(), lanes });
        let theirs = Arc::clone(&cable);
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let mut state = theirs.state.lock().unwrap();
                if state.cut {
                    continue;
                }
                state.connections.retain(|connection| !connection.is_finished());
                let copying = tokio::spawn(carry(client, state.server.clone(), Arc::clone(&theirs)));
                state.connections.push(copying.abort_handle());
            }
        });
        Self { port, first_server, cable, accepting }
    }

    /// The database URL through it.
    pub fn url(&self, url: &str) -> String {
        url.replacen(&self.first_server, &format!("127.0.0.1:{}", self.port), 1)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Breaks every connection and refuses new ones.
    pub fn cut(&self) {
        let mut state = self.state();
        state.cut = true;
        state.break_all();
    }

    /// What is connected stays so, and carries nothing any more. New connections work.
    pub fn hang(&self) {
        self.cable.hang.notify_waiters();
    }

    /// How the bytes go from now on, those of connections that are there as well.
    pub fn lanes(&self, lanes: Lanes) {
        self.cable.lanes.send_replace(lanes);
    }

    /// Leads to the server of this URL from now on; what is connected breaks.
    pub fn lay_to(&self, url: &str) {
        let mut state = self.state();
        address(url).clone_into(&mut state.server);
        state.break_all();
    }

    /// Connects again, and lets all flow.
    pub fn mend(&self) {
        self.lanes(Lanes::default());
        self.state().cut = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.cable.state.lock().unwrap()
    }
}

impl State {
    fn break_all(&mut self) {
        self.connections.drain(..).for_each(|connection| connection.abort());
    }
}

/// Carries both directions until both have ended, or until it must hang for ever.
async fn carry(client: TcpStream, to: String, cable: Arc<Cable>) {
    // A connection that comes at this moment does not hear of it.
    let hang = cable.hang.notified();
    let Ok(server) = TcpStream::connect(to).await else { return };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    let ((client_says, client_hears), (server_says, server_hears)) =
        (client.into_split(), server.into_split());
    let up = one_way(client_says, server_hears, cable.lanes.subscribe(), |lanes| lanes.to_server);
    let down = one_way(server_says, client_hears, cable.lanes.subscribe(), |lanes| lanes.to_client);
    tokio::pin!(up, down);
    tokio::select! {
        _ = futures_util::future::join(&mut up, &mut down) => {}
        // Both ends stay open.
        () = hang => std::future::pending().await,
    }
}

async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut lanes: watch::Receiver<Lanes>,
    mine: fn(&Lanes) -> Lane,
) {
    let mut bytes = vec![0; 1 << 14];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        loop {
            let lane = mine(&lanes.borrow_and_update());
            match lane {
                Lane::Flows => break,
                Lane::Slow(by) => {
                    tokio::time::sleep(by).await;
                    break;
                }
                Lane::Stalls if lanes.changed().await.is_err() => return,
                Lane::Stalls => {}
            }
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// `host:port` of a URL.
fn address(url: &str) -> &str {
    let after = url.rsplit_once('@').unwrap().1;
    after.split_once('/').map_or(after, |(address, _)| address)
}
