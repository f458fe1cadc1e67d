//! An ECS that runs nothing, and refuses some requests that ministack takes.

use std::process::Command;

use aws_sdk_ecs::config::retry::RetryConfig;
use tokio::sync::OnceCell;

use super::program::Program;
use super::variable;
use crate::support::aws::clients;

/// A server.
pub struct Moto(Program);

impl Moto {
    /// The one for all tests.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Moto> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        let port = Program::port();
        let mut server = Command::new(variable("ROWCALL_TEST_MOTO"));
        server.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Self(Program::start(&server, port, "", "/moto-api/data.json").await)
    }

    /// For `aws.endpoint`.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// For what a test prepares. With the SDK's retries: now and then, many calls at once, moto answers one of them
    /// with an HTML page and status 500.
    pub fn ecs(&self) -> aws_sdk_ecs::Client {
        let plain = clients::ecs(&self.url());
        let retrying = plain.config().to_builder().retry_config(RetryConfig::standard()).build();
        aws_sdk_ecs::Client::from_conf(retrying)
    }
}
