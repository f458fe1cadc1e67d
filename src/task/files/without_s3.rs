//! In the place of S3 in the small `rowcall-task`: the SDK for it would make that twice as large.

use std::path::Path;

use crate::task::failure::Failure;

/// There is none.
#[derive(Debug)]
pub enum S3 {}

#[allow(clippy::unused_async)]
impl S3 {
    /// Says which program to take.
    pub async fn open(_path_style: Option<bool>) -> Result<Self, Failure> {
        Err(Failure::lasting("this rowcall-task was built without s3://: use rowcall-task-aws"))
    }

    /// See the other.
    pub async fn list(&self, _bucket: &str, _prefix: &str, _limit: usize) -> Result<Vec<String>, Failure> {
        match *self {}
    }

    /// See the other.
    pub async fn fetch(&self, _bucket: &str, _key: &str, _to: &Path) -> Result<(), Failure> {
        match *self {}
    }

    /// See the other.
    pub async fn store(&self, _from: &Path, _bytes: u64, _bucket: &str, _key: &str) -> Result<(), Failure> {
        match *self {}
    }

    /// See the other.
    pub async fn abort(&self) {
        match *self {}
    }
}
