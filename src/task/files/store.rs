//! The way to and from where files are kept.

use std::path::Path;

use tokio::sync::OnceCell;

use super::address::Address;
use super::s3::S3;
use super::{copy, inputs};
use crate::task::failure::Failure;

/// Directories, and S3 as soon as it is needed.
#[derive(Debug, Default)]
pub struct Store {
    path_style: Option<bool>,
    s3: OnceCell<S3>,
}

impl Store {
    /// With that way of naming buckets, if one was chosen.
    pub fn new(path_style: Option<bool>) -> Self {
        Self { path_style, s3: OnceCell::new() }
    }

    /// Finds region, credentials and endpoint at the first call.
    pub async fn s3(&self) -> Result<&S3, Failure> {
        self.s3.get_or_try_init(|| S3::open(self.path_style)).await
    }

    /// Brings a file here; it appears when it is whole.
    pub async fn fetch(&self, from: &Address, to: &Path) -> Result<(), Failure> {
        match from {
            Address::S3 { bucket, key } => self.s3().await?.fetch(bucket, key, to).await,
            Address::File(path) => {
                if !copy::look(path)?.is_file() {
                    let path = path.display();
                    return Err(Failure::lasting(format!(
                        "{path} is not a file; a folder is named as file://{path}/"
                    )));
                }
                copy::copy(path, to).await
            }
        }
    }

    /// Takes a file there, in the place of what has that name.
    pub async fn store(&self, from: &Path, bytes: u64, to: &Address) -> Result<(), Failure> {
        match to {
            Address::S3 { bucket, key } => self.s3().await?.store(from, bytes, bucket, key).await,
            Address::File(path) => {
                if let Some(parent) = path.parent() {
                    inputs::make_directory(parent, &mut Vec::new())?;
                }
                let stored = copy::copy(from, path).await;
                if stored.is_err() {
                    let _ = std::fs::remove_file(copy::part(path));
                }
                stored
            }
        }
    }

    /// Takes back what was begun and cannot be ended.
    pub async fn clean_up(self) {
        if let Some(s3) = self.s3.into_inner() {
            s3.abort().await;
        }
    }
}
