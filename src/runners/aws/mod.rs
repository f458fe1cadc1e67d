//! What the runners on AWS share: how to reach it, what its errors mean, how fast it may be asked.

mod pace;
mod password;

use std::collections::HashMap;
use std::sync::OnceLock;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use tokio::sync::Mutex;

pub use crate::aws::fault::{Fault, Kind, fault};
pub use pace::Pace;
pub use password::has_password;

use crate::aws::http;
use crate::settings::AwsSettings;

/// The way to AWS. Credentials are found as every AWS tool finds them, when they are first needed.
#[derive(Debug)]
pub struct Aws {
    settings: AwsSettings,
    /// By region; the empty name is the one found by itself.
    configs: Mutex<HashMap<String, SdkConfig>>,
    /// Tests bring their own.
    credentials: Option<Credentials>,
    /// The daemon's own region, once it is known.
    own: OnceLock<String>,
}

impl Aws {
    /// With the credentials that the environment provides.
    #[must_use]
    pub fn new(settings: &AwsSettings) -> Self {
        Self {
            settings: settings.clone(),
            configs: Mutex::default(),
            credentials: None,
            own: OnceLock::new(),
        }
    }

    /// With these credentials, for stand-ins that take any.
    #[must_use]
    pub fn with_credentials(settings: &AwsSettings, key_id: &str, secret: &str) -> Self {
        let credentials = Credentials::new(key_id, secret, None, None, "given");
        Self { credentials: Some(credentials), ..Self::new(settings) }
    }

    /// Finds out the daemon's own region.
    pub async fn find_own(&self) -> Result<(), String> {
        let config = self.config(None).await?;
        let name = config.region().map(ToString::to_string).unwrap_or_default();
        let _ = self.own.set(name);
        Ok(())
    }

    /// The daemon's own region; empty before [`Aws::find_own`].
    pub fn own(&self) -> &str {
        self.own.get().map_or("", String::as_str)
    }

    /// What clients are made from: for a region, or for the daemon's own. The SDK's own retries are off, because
    /// ours keep the pace, the launch key and the log in view.
    pub async fn config(&self, region: Option<&str>) -> Result<SdkConfig, String> {
        let region = region.unwrap_or(&self.settings.region);
        let mut configs = self.configs.lock().await;
        if let Some(config) = configs.get(region) {
            return Ok(config.clone());
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.settings.connect_timeout)
            .operation_timeout(self.settings.call_timeout)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http::client())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if !region.is_empty() {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if !self.settings.endpoint.is_empty() {
            loader = loader.endpoint_url(&self.settings.endpoint);
        }
        if let Some(credentials) = &self.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        let config = loader.load().await;
        if config.region().is_none() {
            return Err("no AWS region is known: set aws.region, or AWS_REGION".to_owned());
        }
        configs.insert(region.to_owned(), config.clone());
        Ok(config)
    }
}
