//! The real SDK's clients, without its retries: a test counts what arrives.

use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region};

use super::{REGION, ScriptedAws};

/// The four services' configurations are four types, built alike.
macro_rules! client {
    ($sdk:ident, $url:expr) => {{
        let config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "a test"))
            .region(Region::from_static(REGION))
            .retry_config($sdk::config::retry::RetryConfig::disabled())
            .endpoint_url($url)
            .build();
        $sdk::Client::from_conf(config)
    }};
}

impl ScriptedAws {
    pub fn ecs(&self) -> aws_sdk_ecs::Client {
        client!(aws_sdk_ecs, self.url())
    }

    pub fn lambda(&self) -> aws_sdk_lambda::Client {
        client!(aws_sdk_lambda, self.url())
    }

    pub fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        client!(aws_sdk_cloudwatchlogs, self.url())
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        client!(aws_sdk_sqs, self.url())
    }
}
