//! The last lines a task has logged to CloudWatch.

use std::time::Duration;

use super::region::Region;
use crate::aws::fault::fault;
use crate::runners::LogPlace;

/// Lines asked for; the limit in bytes cuts what is too much.
const LINES: i32 = 500;

/// A log that is empty so often stays empty.
const EMPTY_LOOKS: u32 = 4;

/// A log that does not answer must not hold up the end of a task.
const PATIENCE: Duration = Duration::from_secs(10);

/// The end of a log, up to `limit` bytes. None if there is no log, or if it cannot be read; the reason is then in
/// our own log. A log arrives a little after its task has ended, and not at once, so it is read until two looks see
/// the same; one in which there is nothing yet is looked at more often.
pub async fn tail(region: &Region, place: &LogPlace, limit: usize, delay: Duration) -> Option<String> {
    let stream = place.stream.as_deref()?;
    let mut latest = None;
    let reading = async {
        let mut empty_looks = 0;
        loop {
            let read = read(region, &place.group, stream, limit).await.filter(|text| !text.is_empty());
            empty_looks += u32::from(read.is_none());
            if empty_looks >= EMPTY_LOOKS || read.is_some() && read == latest {
                return;
            }
            latest = read;
            tokio::time::sleep(delay).await;
        }
    };
    // What there is by then is better than nothing.
    let _ = tokio::time::timeout(PATIENCE, reading).await;
    latest
}

async fn read(region: &Region, group: &str, stream: &str, limit: usize) -> Option<String> {
    let call = region
        .logs
        .get_log_events()
        .log_group_name(group)
        .log_stream_name(stream)
        .start_from_head(false)
        .limit(LINES);
    match call.send().await {
        Ok(answer) => {
            let mut text = String::new();
            for event in answer.events() {
                text.push_str(event.message().unwrap_or_default());
                text.push('\n');
            }
            Some(last_bytes(text, limit))
        }
        Err(error) => {
            let fault = fault(&error);
            // A container that never wrote has no stream.
            if fault.code != "ResourceNotFoundException" {
                tracing::info!(group, stream, %fault, "the log of a failed task cannot be read");
            }
            None
        }
    }
}

/// The end of a text, with a note if something is missing.
fn last_bytes(text: String, limit: usize) -> String {
    if text.len() <= limit {
        return text;
    }
    let mut from = text.len() - limit;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    format!("[{from} bytes dropped]\n{}", &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_cut_at_its_beginning_and_between_characters() {
        assert_eq!(last_bytes("short\n".to_owned(), 10), "short\n");
        assert_eq!(last_bytes("ääää".to_owned(), 3), "[6 bytes dropped]\nä");
    }
}
