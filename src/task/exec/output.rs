//! Output passes through; the part that the report may need is kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::result::LastLine;
use crate::output::Tail;

/// How long output may trickle in after the program has ended.
const TRICKLE: Duration = Duration::from_millis(500);

/// What is kept.
pub struct Kept {
    /// The end of both streams together.
    pub tail: Tail,
    /// Of standard output, where the result may be.
    pub last_line: LastLine,
}

/// Both streams of a program.
pub struct Output {
    kept: Arc<Mutex<Kept>>,
    copies: Vec<JoinHandle<()>>,
    /// The program has.
    ended: CancellationToken,
}

impl Output {
    /// Begins to copy.
    pub fn of(child: &mut Child, limit: usize) -> Self {
        let kept = Kept { tail: Tail::new(limit), last_line: LastLine::default() };
        let kept = Arc::new(Mutex::new(kept));
        let mut copies = Vec::new();
        let ended = CancellationToken::new();
        if let Some(stream) = child.stdout.take() {
            copies.push(pass_on(
                stream,
                tokio::io::stdout(),
                ended.clone(),
                Arc::clone(&kept),
                |kept, bytes| {
                    kept.tail.push(bytes);
                    kept.last_line.push(bytes);
                },
            ));
        }
        if let Some(stream) = child.stderr.take() {
            copies.push(pass_on(
                stream,
                tokio::io::stderr(),
                ended.clone(),
                Arc::clone(&kept),
                |kept, bytes| {
                    kept.tail.push(bytes);
                },
            ));
        }
        Self { kept, copies, ended }
    }

    /// All that came, after the program and what it left behind have ended. A process beyond our reach may hold a
    /// stream open, and where the output goes may be stuck; that is not waited for.
    pub async fn end(self) -> Kept {
        self.ended.cancel();
        let _ = tokio::time::timeout(TRICKLE, futures_util::future::join_all(self.copies)).await;
        let empty = Kept { tail: Tail::new(0), last_line: LastLine::default() };
        std::mem::replace(&mut *lock(&self.kept), empty)
    }
}

fn pass_on(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    ended: CancellationToken,
    kept: Arc<Mutex<Kept>>,
    keep: fn(&mut Kept, &[u8]),
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut buffer = vec![0; 8192];
        let mut stuck = false;
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            keep(&mut lock(&kept), &buffer[..n]);
            if stuck {
                continue;
            }
            let pass = async {
                // Where output goes may be closed; the program's work does not depend on it.
                let _ = to.write_all(&buffer[..n]).await;
                let _ = to.flush().await;
            };
            // While the program runs, it waits for a slow reader; after its end the result, which may still be in
            // the pipe, is worth more than a reader that is stuck.
            let too_slow = async {
                ended.cancelled().await;
                tokio::time::sleep(TRICKLE / 4).await;
            };
            tokio::select! {
                () = pass => {}
                () = too_slow => stuck = true,
            }
        }
    })
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
