//! A file goes, in one call or in parts.

use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{S3, fault};
use crate::task::failure::Failure;
use crate::task::files::{AT_ONCE, copy};

/// Larger files go in parts. They are read from the file while they are sent, and hold no memory.
const LARGE: u64 = 64 << 20;
const PART: u64 = 32 << 20;
/// S3 takes no more of them.
const MOST_PARTS: u64 = 10_000;
/// S3 puts parts together in minutes.
const JOINING: Duration = Duration::from_mins(10);
/// Bytes in a second; what is slower would take a large file days.
const SLOWEST: u64 = 64 << 10;
/// For taking back what was begun, when a container's end is near.
const LEAVING: Duration = Duration::from_secs(5);

/// An upload in parts that was begun. Its parts are kept, and charged for, until it is completed or aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    bucket: String,
    key: String,
    id: String,
}

impl S3 {
    /// Takes a file of that size there, in the place of what has that key.
    pub async fn store(&self, from: &Path, bytes: u64, bucket: &str, key: &str) -> Result<(), Failure> {
        if bytes > LARGE {
            return self.store_in_parts(from, bytes, bucket, key).await;
        }
        let body = body(from, 0, bytes).await?;
        let call = self.client.put_object().bucket(bucket).key(key).body(body);
        let stored = fault::within(patience(bytes), call.send()).await;
        stored.map(drop).map_err(|error| error.failure(&what(bucket, key)))
    }

    async fn store_in_parts(&self, from: &Path, bytes: u64, bucket: &str, key: &str) -> Result<(), Failure> {
        let what = what(bucket, key);
        let call = self.client.create_multipart_upload().bucket(bucket).key(key);
        let begun =
            fault::within(fault::PATIENCE, call.set_checksum_algorithm(self.checksum.clone()).send()).await;
        let id = begun.map_err(|error| error.failure(&what))?.upload_id.unwrap_or_default();
        let upload = Unfinished { bucket: bucket.to_owned(), key: key.to_owned(), id };
        self.unfinished().push(upload.clone());
        let parts = parts(bytes).map(|part| self.store_part(&upload, from, part, &what));
        let mut parts: Vec<CompletedPart> =
            stream::iter(parts).buffer_unordered(AT_ONCE).try_collect().await?;
        parts.sort_unstable_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let call = self.client.complete_multipart_upload().bucket(bucket).key(key);
        let call = call.upload_id(&upload.id).multipart_upload(parts);
        fault::within(JOINING, call.send()).await.map_err(|error| error.failure(&what))?;
        self.unfinished().retain(|other| *other != upload);
        Ok(())
    }

    async fn store_part(
        &self,
        upload: &Unfinished,
        from: &Path,
        (number, offset, length): (i32, u64, u64),
        what: &str,
    ) -> Result<CompletedPart, Failure> {
        let body = body(from, offset, length).await?;
        let call = self.client.upload_part().bucket(&upload.bucket).key(&upload.key).upload_id(&upload.id);
        let call = call.part_number(number).set_checksum_algorithm(self.checksum.clone()).body(body);
        let answer = fault::within(patience(length), call.send()).await;
        let answer = answer.map_err(|error| error.failure(what))?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
        Ok(part.set_checksum_crc32(answer.checksum_crc32).build())
    }

    /// Takes back uploads that were not completed, whatever stopped them.
    pub async fn abort(&self) {
        let unfinished = std::mem::take(&mut *self.unfinished());
        let aborting = unfinished.iter().map(|Unfinished { bucket, key, id }| async move {
            let call = self.client.abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
            if let Err(fault) = fault::within(LEAVING, call.send()).await {
                eprintln!(
                    "rowcall-task: parts of s3://{bucket}/{key} stay behind (a lifecycle rule for incomplete \
                     uploads removes them): {}",
                    fault.message
                );
            }
        });
        join_all(aborting).await;
    }

    fn unfinished(&self) -> std::sync::MutexGuard<'_, Vec<Unfinished>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn what(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key} cannot be stored")
}

/// For a call that sends so much.
fn patience(bytes: u64) -> Duration {
    fault::PATIENCE + Duration::from_secs(bytes / SLOWEST)
}

/// Number, offset and length of each part.
fn parts(bytes: u64) -> impl Iterator<Item = (i32, u64, u64)> {
    let size = PART.max(bytes.div_ceil(MOST_PARTS));
    (0..bytes.div_ceil(size)).map(move |i| (i as i32 + 1, i * size, size.min(bytes - i * size)))
}

async fn body(from: &Path, offset: u64, length: u64) -> Result<ByteStream, Failure> {
    let body = ByteStream::read_from().path(from).offset(offset).length(Length::Exact(length));
    body.build().await.map_err(|error| copy::reading(from, &std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_file_and_are_not_too_many() {
        for bytes in [LARGE + 1, 3 * PART, 5 << 40] {
            let parts: Vec<_> = parts(bytes).collect();
            assert!(parts.len() as u64 <= MOST_PARTS);
            let mut next = 0;
            for (i, (number, offset, length)) in parts.iter().enumerate() {
                assert_eq!((*number, *offset), (i as i32 + 1, next));
                assert!(*length > 0);
                next += length;
            }
            assert_eq!(next, bytes);
        }
    }
}
