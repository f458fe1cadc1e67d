//! How AWS is called: the SDK's own client, with rustls on ring. Its usual library for cryptography would make
//! `rowcall-task` a fifth larger, and takes minutes to build.

use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// For every `SdkConfig`, which would have none without it. Trusts whom the system trusts.
#[must_use]
pub fn client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}
