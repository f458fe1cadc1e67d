//! ECS whose tasks are real containers, Lambda whose functions are real Python.

use std::process::Command;

use aws_sdk_s3::types::CreateBucketConfiguration;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::docker::Containers;
use super::program::Program;
use super::{unique, variable};
use crate::support::aws::{REGION, clients};

/// A server, with a cluster and a log group.
pub struct Ministack {
    program: Program,
    label: String,
}

/// What a restarted server knows of the tasks before. Their containers are gone either way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Remembers {
    /// They are STOPPED, it does not say why.
    Tasks,
    /// Not even clusters and definitions.
    Nothing,
}

impl Ministack {
    pub const CLUSTER: &str = "jobs";
    pub const LOG_GROUP: &str = "rowcall-test";

    /// The one for all tests, which use names of their own in it.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Ministack> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// One of its own, for a test that harms it.
    pub async fn start() -> Self {
        // It knows its containers by its own name and port. Ports are used again, so the name must be new.
        let port = Program::port();
        let name = format!("rowcall-test-{:x}", rand::random::<u64>());
        let label = format!("ministack.instance={name}:{port}");
        let mut server = Command::new(variable("ROWCALL_TEST_MINISTACK"));
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/standins");
        server.arg(format!("{directory}/ministack_as_documented.py"));
        server.envs([
            ("BIND_HOST", "127.0.0.1"),
            ("GATEWAY_PORT", &port.to_string()),
            ("MINISTACK_HOSTNAME", &name),
            ("MINISTACK_REGION", REGION),
            ("SERVICES", "ecs,ecs-metadata,lambda,logs,s3,secretsmanager,ssm,iam"),
            ("LAMBDA_EXECUTOR", "local"),
            ("PERSIST_STATE", "1"),
            // These would listen on ports of their own.
            ("IOT_MTLS_ENABLED", "0"),
            ("SFTP_ENABLED", "0"),
        ]);
        let program = Program::start(&server, port, &label, "/_ministack/health").await;
        let ministack = Self { program, label };
        ministack.furnish().await;
        ministack
    }

    async fn furnish(&self) {
        self.ecs().create_cluster().cluster_name(Self::CLUSTER).send().await.unwrap();
        self.logs().create_log_group().log_group_name(Self::LOG_GROUP).send().await.unwrap();
    }

    /// For `aws.endpoint`.
    pub fn url(&self) -> String {
        self.program.url()
    }

    pub fn ecs(&self) -> aws_sdk_ecs::Client {
        clients::ecs(&self.url())
    }

    pub fn lambda(&self) -> aws_sdk_lambda::Client {
        clients::lambda(&self.url())
    }

    pub fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        clients::logs(&self.url())
    }

    pub fn s3(&self) -> aws_sdk_s3::Client {
        clients::s3(&self.url())
    }

    /// A bucket of the test's own.
    pub async fn bucket(&self) -> String {
        let bucket = unique("bucket");
        let here = CreateBucketConfiguration::builder().location_constraint(REGION.into()).build();
        let call = self.s3().create_bucket().bucket(&bucket).create_bucket_configuration(here);
        call.send().await.unwrap();
        bucket
    }

    /// The containers behind its tasks.
    pub fn containers(&self) -> Containers<'_> {
        Containers::of(&self.label)
    }

    /// Ends it and starts it again.
    pub async fn restart(&self, remembers: Remembers) {
        match remembers {
            Remembers::Tasks => self.program.restart("keep").await,
            Remembers::Nothing => {
                self.program.restart("forget").await;
                self.furnish().await;
            }
        }
    }

    /// Keeps a secret; the ARN for a definition's `secrets`.
    pub async fn secret(&self, value: &str) -> String {
        let body = serde_json::json!({"Name": unique("secret"), "SecretString": value});
        let answer = self.call("secretsmanager", "secretsmanager.CreateSecret", &body).await;
        answer["ARN"].as_str().unwrap().to_owned()
    }

    /// A call of a service whose client we have no other use for.
    async fn call(&self, service: &str, target: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request = format!(
            "POST / HTTP/1.0\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: {target}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/{REGION}/{service}/aws4_request, \
             SignedHeaders=host, Signature=none\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.program.ask(&request).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{answer}");
        serde_json::from_str(body).unwrap()
    }
}
