//! HTTP for calls that are silent for minutes. The SDK's own client cannot keep such a connection alive, and NAT
//! gateways forget it after 350 seconds; the answer would never come.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

/// The first probe of a silent connection, and those after it; far more often than anything forgets.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// Probes without an answer until the connection counts as dead: three minutes.
const PROBES: u32 = 4;

/// A connection is kept for the next call so long; sooner than the other side closes it, so that no call is sent
/// into a closing one and left in doubt.
const IDLE: Duration = Duration::from_secs(20);

/// A client for calls whose answers are waited for up to `patience`.
pub fn http_client(connecting: Duration, patience: Duration) -> Result<SharedHttpClient, String> {
    let mut tcp = Tcp::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(KEEP_ALIVE));
    tcp.set_keepalive_retries(Some(PROBES));
    let connector =
        InTime { inner: HttpsConnector::from((tcp, tls().map_err(|e| e.to_string())?)), limit: connecting };
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector);
    let wire = SharedHttpConnector::new(Wire { client, patience });
    Ok(http_client_fn(move |_, _| wire.clone()))
}

/// The system's certificates, as the SDK takes them.
fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = rustls::crypto::ring::default_provider();
    let versions =
        rustls::ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions()?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

#[derive(Debug, Clone)]
struct Wire {
    client: Client<InTime, SdkBody>,
    patience: Duration,
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let (answer, patience) = (self.client.request(request), self.patience);
        HttpConnectorFuture::new(async move {
            let answer = tokio::time::timeout(patience, answer)
                .await
                .map_err(|_| ConnectorError::timeout(format!("no answer within {patience:?}").into()))?
                .map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Connects, handshake included, within a limit: a call that never connected is not in doubt.
#[derive(Debug, Clone)]
struct InTime {
    inner: HttpsConnector<Tcp>,
    limit: Duration,
}

type Https = <HttpsConnector<Tcp> as Service<http::Uri>>::Response;

impl Service<http::Uri> for InTime {
    type Response = Https;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Https, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        let connected = tokio::time::timeout(self.limit, self.inner.call(uri));
        Box::pin(async move { connected.await? })
    }
}
