//! The real SDK's clients, without its retries: a test counts what arrives.

use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region};

use super::{REGION, ScriptedAws};

/// The services' configurations are as many types, built alike.
macro_rules! client {
    ($sdk:ident, $url:expr) => {{
        let config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(rowcall::aws::http::client())
            .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "a test"))
            .region(Region::from_static(REGION))
            .retry_config($sdk::config::retry::RetryConfig::disabled())
            .endpoint_url($url)
            .build();
        $sdk::Client::from_conf(config)
    }};
}

pub fn ecs(url: &str) -> aws_sdk_ecs::Client {
    client!(aws_sdk_ecs, url)
}

pub fn lambda(url: &str) -> aws_sdk_lambda::Client {
    client!(aws_sdk_lambda, url)
}

pub fn logs(url: &str) -> aws_sdk_cloudwatchlogs::Client {
    client!(aws_sdk_cloudwatchlogs, url)
}

/// With the bucket in the path: one endpoint has them all.
pub fn s3(url: &str) -> aws_sdk_s3::Client {
    let client = client!(aws_sdk_s3, url);
    aws_sdk_s3::Client::from_conf(client.config().to_builder().force_path_style(true).build())
}

pub fn sqs(url: &str) -> aws_sdk_sqs::Client {
    client!(aws_sdk_sqs, url)
}

impl ScriptedAws {
    pub fn ecs(&self) -> aws_sdk_ecs::Client {
        ecs(self.url())
    }

    pub fn lambda(&self) -> aws_sdk_lambda::Client {
        lambda(self.url())
    }

    pub fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        logs(self.url())
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        sqs(self.url())
    }
}
