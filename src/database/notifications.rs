//! One connection that LISTENs.
//!
//! Its socket is read without pause by a task of its own: a listener that stops reading fills the server's
//! send buffer, and the stuck backend then holds back vacuum for the whole database. Notifications are
//! dropped at once: they carry nothing but "look".

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::task::AbortOnDropHandle;

use super::statements::Statements;
use super::{Database, DatabaseError};

/// The channels on which something was heard since the last look: a set, so that a flood of wake-ups takes
/// no more room than one of each.
#[derive(Debug, Clone, Default)]
pub struct Notifications {
    heard: Arc<Mutex<Heard>>,
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Heard {
    channels: BTreeSet<String>,
    closed: bool,
}

impl Notifications {
    /// Waits until something was heard; `None` when the connection is gone.
    pub async fn next(&self) -> Option<BTreeSet<String>> {
        loop {
            {
                let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                if !heard.channels.is_empty() {
                    return Some(std::mem::take(&mut heard.channels));
                }
                if heard.closed {
                    return None;
                }
            }
            self.news.notified().await;
        }
    }

    fn note(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        self.news.notify_one();
    }
}

/// How long a new connection may take to be made ready.
const PREPARING: Duration = Duration::from_secs(10);

/// The listening side. Dropping it closes the connection.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    channels: BTreeSet<String>,
    _reader: AbortOnDropHandle<()>,
}

impl Subscription {
    /// Connects.
    pub async fn open(database: &Database) -> Result<(Self, Notifications), DatabaseError> {
        let (client, mut connection) = database.connect_past_pooler().await?;
        let notifications = Notifications::default();
        let heard = notifications.clone();
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(notification) = message {
                    heard.note(|h| {
                        h.channels.insert(notification.channel().to_owned());
                    });
                }
            }
            heard.note(|h| h.closed = true);
        });
        let subscription =
            Self { client, channels: BTreeSet::new(), _reader: AbortOnDropHandle::new(reader) };
        let begin = include_str!("../../sql/queries/notifications/listening_session.sql");
        let preparing = async { Ok::<_, DatabaseError>(subscription.client.batch_execute(begin).await?) };
        database.within(PREPARING, preparing).await?;
        Ok((subscription, notifications))
    }

    /// Listens to exactly these channels from now on.
    pub async fn listen(&mut self, wanted: &BTreeSet<String>) -> Result<(), DatabaseError> {
        let mut statements = String::new();
        for channel in wanted.difference(&self.channels) {
            let _ = write!(statements, "listen {};", quoted(channel));
        }
        for channel in self.channels.difference(wanted) {
            let _ = write!(statements, "unlisten {};", quoted(channel));
        }
        if !statements.is_empty() {
            self.client.batch_execute(&statements).await?;
            self.channels.clone_from(wanted);
        }
        Ok(())
    }
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// Notifies a channel, with nothing in it.
pub async fn notify(client: &impl Statements, channel: &str) -> Result<(), DatabaseError> {
    client.run(include_str!("../../sql/queries/notifications/notify.sql"), &[&channel]).await?;
    Ok(())
}

/// Tells all dispatchers, once this transaction has committed, to look for jobs.
pub async fn announce_jobs(client: &impl Statements) -> Result<(), DatabaseError> {
    notify(client, "rowcall_control").await
}
