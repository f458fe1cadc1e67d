//! Servers that are not who they should be.

use super::{Encrypted, ONLY_SSL, connect, root};
use crate::support::{Authority, TestDatabase};

/// Whoever is refused has seen no password; what they are told.
async fn refused(url: &str) -> String {
    let error = connect(url).await.expect_err(url);
    assert!(!error.contains("of-the-tests"), "{error}");
    error
}

#[tokio::test]
async fn verify_full_refuses_a_wrong_host_name() {
    let server = Encrypted::get();
    let parameters = format!("sslmode=verify-full&{}", server.roots());
    let error = refused(&server.url(ONLY_SSL, "127.0.0.1", &parameters)).await;
    assert!(error.contains("sslmode=verify-full") && error.contains("for another host"), "{error}");
    assert!(error.contains("127.0.0.1") && error.contains("localhost"), "{error}");
}

#[tokio::test]
async fn verify_full_and_verify_ca_refuse_an_unknown_authority() {
    let server = Encrypted::get();
    let stranger = Authority::new("a stranger");
    for mode in ["verify-full", "verify-ca", "require"] {
        let parameters = format!("sslmode={mode}&{}", root(&stranger.certificate()));
        let error = refused(&server.url(ONLY_SSL, "localhost", &parameters)).await;
        assert!(error.contains("not signed by a trusted authority") && error.contains("ca.pem"), "{error}");
    }
    // The system does not know the tests' authority either.
    let error = refused(&server.url(ONLY_SSL, "localhost", "sslrootcert=system")).await;
    assert!(error.contains("sslmode=verify-full: ") || error.contains("trusted certificates"), "{error}");
}

#[tokio::test]
async fn verify_full_refuses_a_server_without_tls() {
    let server = Encrypted::get();
    let plain = TestDatabase::new().await;
    for mode in ["verify-full", "verify-ca", "require"] {
        let error = refused(&format!("{}?sslmode={mode}&{}", plain.url, server.roots())).await;
        assert!(error.contains("the server offers none"), "{error}");
    }
    // Only prefer and weaker take it as it is.
    for mode in ["prefer", "allow", "disable"] {
        connect(&format!("{}?sslmode={mode}", plain.url)).await.unwrap();
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let server = Encrypted::get();
    let empty = server.authority.file("empty.pem", "no certificate\n");
    for (file, why) in [("/no/such.pem", "No such file"), (empty.to_str().unwrap(), "no certificate in it")] {
        let parameters = format!("sslmode=verify-full&sslrootcert={file}");
        let error = refused(&server.url(ONLY_SSL, "localhost", &parameters)).await;
        assert!(error.contains("sslrootcert") && error.contains(file) && error.contains(why), "{error}");
    }
}
