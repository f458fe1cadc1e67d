//! What the server says beside its answers.

use std::future::poll_fn;

use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Connection, Socket};

use super::connector::Stream;

/// Keeps a connection going until it ends, which its client sees. Warnings of the server go to the log.
pub async fn drive(connection: Connection<Socket, Stream>) {
    drive_and_tell(connection, |notice| {
        let hint = notice.hint().unwrap_or_default();
        if is_warning(notice) {
            tracing::warn!(hint, "the database warns: {}", notice.message());
        } else {
            tracing::debug!(hint, "the database says: {}", notice.message());
        }
    })
    .await;
}

/// The same with another place for what it says.
pub async fn drive_and_tell(mut connection: Connection<Socket, Stream>, tell: impl Fn(&DbError)) {
    while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
        if let AsyncMessage::Notice(notice) = message {
            tell(&notice);
        }
    }
}

/// Whether a person must know it.
#[must_use]
pub fn is_warning(notice: &DbError) -> bool {
    notice.parsed_severity() == Some(tokio_postgres::error::Severity::Warning)
        // Of a server in another language only the word itself is translated.
        || notice.severity() == "WARNING"
}
