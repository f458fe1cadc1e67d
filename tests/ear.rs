//! A connection that keeps every notice and every notification, in order and with repetitions.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::support::TestDatabase;

#[derive(Default)]
pub struct Ear {
    heard: Mutex<(Vec<String>, Vec<String>, Vec<String>)>,
    news: Notify,
}

impl Ear {
    pub async fn open(db: &TestDatabase) -> (Client, Arc<Self>) {
        let (client, mut connection) = tokio_postgres::connect(&db.url, NoTls).await.unwrap();
        let ear = Arc::new(Self::default());
        let heard = Arc::clone(&ear);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    AsyncMessage::Notice(notice) => {
                        heard.heard.lock().unwrap().0.push(notice.message().to_owned());
                    }
                    AsyncMessage::Notification(n) => {
                        let mut heard = heard.heard.lock().unwrap();
                        heard.1.push(n.channel().to_owned());
                        heard.2.push(n.payload().to_owned());
                    }
                    _ => {}
                }
                heard.news.notify_one();
            }
        });
        (client, ear)
    }

    /// What the server remarked upon so far.
    pub fn notices(&self) -> Vec<String> {
        self.heard.lock().unwrap().0.clone()
    }

    /// What the notifications so far said, each beside its channel in [`Self::until`].
    pub fn payloads(&self) -> Vec<String> {
        self.heard.lock().unwrap().2.clone()
    }

    /// The channels heard, up to the first word on this one.
    pub async fn until(&self, channel: &str) -> Vec<String> {
        let waiting = async {
            while !self.heard.lock().unwrap().1.iter().any(|c| c == channel) {
                self.news.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("heard in time");
        self.heard.lock().unwrap().1.clone()
    }
}
