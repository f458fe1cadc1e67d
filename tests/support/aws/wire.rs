//! HTTP/1.1 by hand: only below axum can a request be carried out and its connection then be reset.

use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Shared;

/// The family of protocols decides what an error looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `X-Amz-Target` and a JSON body: ECS, CloudWatch Logs, SQS.
    Json,
    /// Paths and headers: Lambda.
    Rest,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    /// Counted over all actions, from 1.
    pub number: usize,
    /// `RunTask`, `Invoke`, `GetLogEvents`, `ReceiveMessage`, ...
    pub action: String,
    /// Byte for byte.
    pub body: Bytes,
    pub(super) service: &'static str,
    pub(super) protocol: Protocol,
    pub(super) path: String,
    pub(super) headers: hyper::HeaderMap,
}

impl Call {
    /// The body, read; null if it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What goes back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn ok(body: &Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }
}

/// An error as AWS words it.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
    /// Further members of the body: `resourceIds`, `Reason`.
    pub more: Map<String, Value>,
    pub retry_after: Option<u32>,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        Self { status, code, message, more: Map::new(), retry_after: None }
    }

    pub fn client(message: &str) -> Self {
        Self::new(400, "ClientException", message)
    }

    pub fn invalid(message: &str) -> Self {
        Self::new(400, "InvalidParameterException", message)
    }

    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.more.insert(member.to_owned(), value);
        self
    }

    pub fn answer(self, protocol: Protocol) -> Answer {
        let mut body = self.more;
        body.insert("message".to_owned(), json!(self.message));
        let retry_after = self.retry_after.map(|seconds| ("Retry-After", seconds.to_string()));
        let code = match protocol {
            Protocol::Json => {
                body.insert("__type".to_owned(), json!(self.code));
                None
            }
            Protocol::Rest => {
                body.insert("Type".to_owned(), json!(if self.status < 500 { "User" } else { "Server" }));
                Some(("X-Amzn-ErrorType", self.code))
            }
        };
        let headers = retry_after.into_iter().chain(code).collect();
        Answer { status: self.status, headers, body: Value::Object(body).to_string().into_bytes() }
    }
}

/// Serves until dropped; a dropped connection is a reset one, as no answer is waited for.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        // Whatever ends a connection before the client does ends it with a reset.
        let _ = stream.set_zero_linger();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// An error here closes the connection without a word.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Reset> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
    let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (service, action) = match target.split_once('.') {
        Some(("AmazonEC2ContainerServiceV20141113", action)) => ("ecs", action),
        Some(("Logs_20140328", action)) => ("logs", action),
        Some(("AmazonSQS", action)) => ("sqs", action),
        None if head.uri.path().ends_with("/invocations") => ("lambda", "Invoke"),
        _ => panic!("nobody here understands {} {} {target:?}", head.method, head.uri),
    };
    let call = Call {
        number: 0,
        action: action.to_owned(),
        service,
        protocol: if service == "lambda" { Protocol::Rest } else { Protocol::Json },
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: head.headers,
        body,
    };
    let answer = shared.handle(call).await?;
    let content = if service == "sqs" { "application/x-amz-json-1.0" } else { "application/x-amz-json-1.1" };
    let mut response = Response::builder()
        .status(answer.status)
        .header("content-type", if service == "lambda" { "application/json" } else { content });
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(answer.body.into())).unwrap())
}

/// The connection ends here.
#[derive(Debug)]
pub struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("reset")
    }
}

impl std::error::Error for Reset {}
