//! S3, or whatever speaks its language at `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_S3`.

mod fault;
mod fetch;
mod upload;

use std::sync::Mutex;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::types::ChecksumAlgorithm;

use self::upload::Unfinished;
use crate::aws::http;
use crate::task::contract::variable;
use crate::task::failure::Failure;

/// The way there, with the credentials that the environment provides (of the ECS task, the EC2 machine, the variables).
#[derive(Debug)]
pub struct S3 {
    client: Client,
    /// The checksum that guards every part of an upload. Few stores but AWS know it.
    checksum: Option<ChecksumAlgorithm>,
    unfinished: Mutex<Vec<Unfinished>>,
}

impl S3 {
    /// Finds region and endpoint; credentials are found at the first call.
    pub async fn open(path_style: Option<bool>) -> Result<Self, Failure> {
        let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].into_iter().find_map(variable);
        let encrypted = endpoint.as_ref().is_none_or(|endpoint| endpoint.starts_with("https://"));
        if encrypted && rustls_native_certs::load_native_certs().certs.is_empty() {
            return Err(Failure::lasting(
                "no CA certificates in this image, S3 cannot be known for certain: copy \
                 /etc/ssl/certs/ca-certificates.crt into it, or set SSL_CERT_FILE to such a file",
            ));
        }
        let shared = aws_config::defaults(BehaviorVersion::latest()).http_client(http::client()).load().await;
        let elsewhere = endpoint.is_some() || shared.endpoint_url().is_some();
        let mut config = aws_sdk_s3::config::Builder::from(&shared);
        if shared.region().is_none() {
            if !elsewhere {
                return Err(Failure::lasting("no AWS region is known: set AWS_REGION to that of the bucket"));
            }
            // Signed, and of no meaning to most other servers; this is what they take for granted.
            config = config.region(Region::from_static("us-east-1"));
        }
        config = config.force_path_style(path_style.unwrap_or(elsewhere));
        let mut checksum = Some(ChecksumAlgorithm::Crc32);
        if elsewhere && variable("AWS_REQUEST_CHECKSUM_CALCULATION").is_none() {
            checksum = None;
            config = config
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        }
        Ok(Self { client: Client::from_conf(config.build()), checksum, unfinished: Mutex::default() })
    }

    /// The names of all objects below a prefix, without it.
    pub async fn list(&self, bucket: &str, prefix: &str, limit: usize) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let call = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
            let answer = fault::within(fault::PATIENCE, call.set_continuation_token(token).send())
                .await
                .map_err(|error| error.failure(&format!("s3://{bucket}/{prefix} cannot be listed")))?;
            let keys = answer.contents().iter().filter_map(|object| object.key()?.strip_prefix(prefix));
            // Some tools make a folder as an object whose name ends in a slash.
            names.extend(keys.filter(|name| !name.is_empty() && !name.ends_with('/')).map(str::to_owned));
            if names.len() > limit {
                return Err(Failure::lasting(format!(
                    "there are more objects below s3://{bucket}/{prefix} than the {limit} that are taken"
                )));
            }
            token = answer.next_continuation_token().map(str::to_owned);
            if token.is_none() {
                return Ok(names);
            }
        }
    }
}
