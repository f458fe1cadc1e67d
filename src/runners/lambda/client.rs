//! Lambda's clients, one for each region, that can wait for as long as a function runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::StalledStreamProtectionConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::operation::invoke::builders::InvokeFluentBuilder;
use aws_sdk_lambda::types::{InvocationType, LogType};
use tokio::sync::Mutex;

use super::settings::Plan;
use super::wire;
use crate::runners::aws::Aws;

/// The regions in use.
#[derive(Debug)]
pub struct Clients {
    aws: Arc<Aws>,
    /// The longest that connecting may take.
    connecting: Duration,
    /// The longest that an answer is waited for.
    patience: Duration,
    made: Mutex<HashMap<Option<String>, Client>>,
}

impl Clients {
    /// Made when first needed.
    pub fn new(aws: Arc<Aws>, connecting: Duration, patience: Duration) -> Self {
        Self { aws, connecting, patience, made: Mutex::default() }
    }

    /// The one for a plan's region.
    pub async fn of(&self, plan: &Plan) -> Result<Client, String> {
        let mut made = self.made.lock().await;
        if let Some(client) = made.get(&plan.region) {
            return Ok(client.clone());
        }
        let shared = self.aws.config(plan.region.as_deref()).await?;
        // A function may be silent for as long as it runs, which is not what stalled streams are protected from.
        let config = aws_sdk_lambda::config::Builder::from(&shared)
            .http_client(wire::http_client(self.connecting, self.patience)?)
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let client = Client::from_conf(config);
        made.insert(plan.region.clone(), client.clone());
        Ok(client)
    }
}

/// A call of a plan's function, but for the event.
pub fn call(client: &Client, target: &str, plan: &Plan) -> InvokeFluentBuilder {
    client.invoke().function_name(target).set_qualifier(plan.settings.qualifier.clone())
}

/// The same, as it is invoked.
pub fn invocation(client: &Client, target: &str, plan: &Plan) -> InvokeFluentBuilder {
    let call = call(client, target, plan);
    if !plan.waits() {
        return call.invocation_type(InvocationType::Event);
    }
    let log = if plan.settings.log { LogType::Tail } else { LogType::None };
    call.invocation_type(InvocationType::RequestResponse).log_type(log)
}
