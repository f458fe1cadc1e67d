//! A cable between a program and the database, which a test can cut.

use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};

/// Listens on a port of its own.
pub struct Proxy {
    port: u16,
    server: String,
    cable: Arc<Mutex<Cable>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Cable {
    cut: bool,
    /// Told when the connections must hang.
    hang: Arc<Notify>,
    connections: Vec<AbortHandle>,
}

impl Proxy {
    /// In front of the server of a database URL.
    pub async fn new(url: &str) -> Self {
        let server = address(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cable = Arc::new(Mutex::new(Cable::default()));
        let (theirs, to) = (Arc::clone(&cable), server.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut cable = theirs.lock().unwrap();
                if cable.cut {
                    continue;
                }
                let (to, hang) = (to.clone(), Arc::clone(&cable.hang));
                let copying = tokio::spawn(async move {
                    let mut server = TcpStream::connect(to).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        // Both ends stay open.
                        () = hang.notified() => std::future::pending().await,
                    }
                });
                cable.connections.push(copying.abort_handle());
            }
        });
        Self { port, server, cable, accepting }
    }

    /// The database URL through it.
    pub fn url(&self, url: &str) -> String {
        url.replacen(&self.server, &format!("127.0.0.1:{}", self.port), 1)
    }

    /// Breaks every connection and refuses new ones.
    pub fn cut(&self) {
        let mut cable = self.cable.lock().unwrap();
        cable.cut = true;
        cable.connections.drain(..).for_each(|connection| connection.abort());
    }

    /// What is connected stays so, and carries nothing any more. New connections work.
    pub fn hang(&self) {
        self.cable.lock().unwrap().hang.notify_waiters();
    }

    /// Connects again.
    pub fn mend(&self) {
        self.cable.lock().unwrap().cut = false;
    }
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
