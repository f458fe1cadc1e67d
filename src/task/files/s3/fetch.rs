//! An object comes, piece by piece.

use std::io::SeekFrom;
use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};

use super::{S3, fault};
use crate::task::failure::Failure;
use crate::task::files::copy;

/// The SDK repeats calls, but not what breaks off after the answer has begun; so often we do.
const RESUMPTIONS: u32 = 5;
const BUFFER: usize = 1 << 20;

/// What there is of an object.
struct Arriving {
    file: BufWriter<File>,
    bytes: u64,
    /// Of the object as it was at the first piece, so that no two are mixed.
    etag: Option<String>,
}

impl S3 {
    /// Brings an object here; it appears when it is whole.
    pub async fn fetch(&self, bucket: &str, key: &str, to: &Path) -> Result<(), Failure> {
        let what = format!("s3://{bucket}/{key} cannot be fetched");
        let part = copy::part(to);
        let file = File::create(&part).await.map_err(|error| copy::writing(to, &error))?;
        let file = BufWriter::with_capacity(BUFFER, file);
        let mut arriving = Arriving { file, bytes: 0, etag: None };
        let mut resumed = 0;
        loop {
            let mut call = self.client.get_object().bucket(bucket).key(key);
            if arriving.bytes > 0 {
                call = call.range(format!("bytes={}-", arriving.bytes)).set_if_match(arriving.etag.clone());
            }
            let answer =
                fault::within(fault::PATIENCE, call.send()).await.map_err(|error| error.failure(&what))?;
            let broken = arriving.take(answer).await.map_err(|error| copy::writing(to, &error))?;
            let Some(why) = broken else { break };
            resumed += 1;
            if resumed > RESUMPTIONS {
                return Err(Failure::passing(format!(
                    "{what}: it broke off {resumed} times, at last: {why}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(100) * 2_u32.pow(resumed)).await;
        }
        arriving.file.flush().await.map_err(|error| copy::writing(to, &error))?;
        tokio::fs::rename(&part, to).await.map_err(|error| copy::writing(to, &error))
    }
}

impl Arriving {
    /// Writes what comes; returns why it ended too early, if it did.
    async fn take(&mut self, answer: GetObjectOutput) -> std::io::Result<Option<String>> {
        let range = format!("bytes {}-", self.bytes);
        if self.bytes > 0 && !answer.content_range().is_some_and(|sent| sent.starts_with(&range)) {
            // It does not know ranges, and begins again.
            self.begin_again().await?;
        }
        self.etag = answer.e_tag;
        let whole = answer.content_length.map(|rest| self.bytes + rest.unsigned_abs());
        let mut body = answer.body;
        loop {
            match body.try_next().await {
                Ok(Some(piece)) => {
                    self.file.write_all(&piece).await?;
                    self.bytes += piece.len() as u64;
                }
                Ok(None) => return Ok(None),
                Err(error) => {
                    // All is there and yet it is wrong: it was damaged on its way.
                    if whole == Some(self.bytes) {
                        self.begin_again().await?;
                    }
                    return Ok(Some(aws_sdk_s3::error::DisplayErrorContext(error).to_string()));
                }
            }
        }
    }

    async fn begin_again(&mut self) -> std::io::Result<()> {
        // The seek first writes the contents of the buffer, which are then cut off.
        self.file.seek(SeekFrom::Start(0)).await?;
        self.file.get_ref().set_len(0).await?;
        self.bytes = 0;
        Ok(())
    }
}
