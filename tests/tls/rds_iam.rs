//! Signing in with AWS credentials, at a front that asks for a password as RDS does.

use super::whole_way::{command, database, insert, row, succeed};
use super::{Encrypted, connect};
use crate::support::{SignIn, TlsFront};

/// What the front was shown: all for this user, presigned, and none twice the same connection's.
fn check(shown: &[SignIn], port: u16) {
    assert!(shown.len() > 3, "{shown:?}");
    for SignIn { user, password } in shown {
        assert_eq!(user, "trusted");
        let begin =
            format!("localhost:{port}/?Action=connect&DBUser=trusted&X-Amz-Algorithm=AWS4-HMAC-SHA256");
        assert!(password.starts_with(&begin), "{password}");
        for part in ["AKIDEXAMPLE%2F", "%2Feu-west-1%2Frds-db%2Faws4_request", "X-Amz-Expires=900"] {
            assert!(password.contains(part), "{password}");
        }
        let (_, signature) = password.split_once("X-Amz-Signature=").unwrap();
        assert!(
            signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{password}"
        );
    }
}

#[tokio::test]
async fn daemon_and_task_show_a_fresh_token_for_each_connection() {
    let server = Encrypted::get();
    let owner = database(server, "localhost", "").await;
    let front = TlsFront::start(&server.authority, &owner).await;
    let name = owner.rsplit('/').next().unwrap().trim_end_matches('?');
    let url = format!(
        "postgresql://trusted@localhost:{}/{name}?auth=rds-iam&aws_region=eu-west-1&{}",
        front.port,
        server.roots()
    );
    let state = tempfile::tempdir().unwrap();
    let with_credentials = || {
        let mut command = command(&url, state.path());
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "not-a-real-one");
        let pass = "PATH, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY";
        command.env("ROWCALL_RUNNERS__PROCESS__PASS_ENVIRONMENT", pass);
        command
    };
    succeed(with_credentials().arg("migrate")).await;
    insert(&owner).await;
    let before = front.shown().len();
    let said = succeed(with_credentials().args(["--log-level", "debug", "serve", "--drain"])).await;
    // The program, too: through libpq, with a token of its own as its password.
    let row = row(&owner).await;
    assert!(row.starts_with("PROCESSED") && row.contains("trusted"), "{row}");
    let shown = front.shown();
    assert!(shown.len() >= before + 3, "{shown:?}");
    check(&shown, front.port);
    assert!(!said.contains("X-Amz-Signature"), "{said}");
}

#[tokio::test]
async fn without_credentials_nobody_is_called() {
    let server = Encrypted::get();
    let owner = database(server, "localhost", "").await;
    let front = TlsFront::start(&server.authority, &owner).await;
    let url = format!(
        "postgresql://trusted@localhost:{}/postgres?auth=rds-iam&aws_region=eu-west-1&{}",
        front.port,
        server.roots()
    );
    let state = tempfile::tempdir().unwrap();
    for subcommand in ["migrate", "serve"] {
        let mut command = command(&url, state.path());
        // No machine's role either: whoever answers there is no part of this test.
        let done = command.env("AWS_EC2_METADATA_DISABLED", "true").arg(subcommand).output().await.unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && said.contains("auth=rds-iam: no AWS credentials"), "{said}");
    }
    assert!(front.shown().is_empty());
}

#[tokio::test]
async fn a_token_is_not_shown_to_an_impostor() {
    let server = Encrypted::get();
    let owner = database(server, "localhost", "").await;
    let front = TlsFront::start(&server.authority, &owner).await;
    // Verified by default: the certificate is for localhost.
    let url = format!("postgresql://trusted@127.0.0.1:{}/x?auth=rds-iam&{}", front.port, server.roots());
    let state = tempfile::tempdir().unwrap();
    let mut command = command(&url, state.path());
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "not-a-real-one");
    let done = command.env("AWS_REGION", "eu-west-1").arg("migrate").output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && said.contains("for another host"), "{said}");
    assert!(front.shown().is_empty());
    let error = connect(&format!("{url}&sslmode=prefer")).await.unwrap_err();
    assert!(error.contains("needs encryption"), "{error}");
}
