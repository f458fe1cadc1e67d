//! Encryption as libpq's users expect it, against a real server.

mod rds_iam;
mod refused;
mod whole_way;

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use rowcall::database::{Address, Connector};
use tokio_postgres::Client;

use crate::support::{Authority, Server};

/// A server whose certificate is for `localhost`, and who may come in how.
struct Encrypted {
    server: Server,
    authority: Authority,
}

const USERS: &str = "
    create role only_ssl login password 'of-the-tests';
    create role only_cert login;
    create role trusted login superuser;
";
const RULES: &str = "
    hostssl   all only_ssl  127.0.0.1/32 scram-sha-256
    hostssl   all only_cert 127.0.0.1/32 cert
    hostnossl all trusted   127.0.0.1/32 trust
    host      all postgres  127.0.0.1/32 scram-sha-256
";

static ENCRYPTED: LazyLock<Encrypted> = LazyLock::new(|| {
    let authority = Authority::new("the tests' own");
    let (certificate, key) = authority.sign_for_server("localhost");
    let settings = [
        ("fsync", "off".into()),
        ("ssl", "on".into()),
        ("ssl_cert_file", certificate),
        ("ssl_key_file", key),
        ("ssl_ca_file", authority.certificate()),
        ("hba_file", authority.file("hba.conf", RULES)),
    ];
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.to_str().unwrap())).collect();
    let server = Server::start(&settings).unwrap();
    let url = server.url("postgres");
    // A client of another kind: this may be called inside a runtime.
    std::thread::spawn(move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        client.batch_execute(USERS).unwrap();
    })
    .join()
    .unwrap();
    Encrypted { server, authority }
});

impl Encrypted {
    fn get() -> &'static Self {
        &ENCRYPTED
    }

    /// Connection string for a user at a host name.
    fn url(&self, user: &str, host: &str, parameters: &str) -> String {
        let url = self.server.url("postgres");
        let port = url.rsplit(':').next().unwrap();
        format!("postgresql://{user}@{host}:{port}?{parameters}")
    }

    fn roots(&self) -> String {
        root(&self.authority.certificate())
    }
}

fn root(path: &Path) -> String {
    format!("sslrootcert={}", path.display())
}

const ONLY_SSL: &str = "only_ssl:of-the-tests";

async fn connect(url: &str) -> Result<Client, String> {
    let address = Address::parse(url).map_err(|error| error.to_string())?;
    let connector = Connector::new(address, Duration::from_secs(10)).map_err(|error| error.to_string())?;
    let (client, connection) = connector.connect().await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(client)
}

/// Whether the server sees this connection encrypted.
async fn encrypted(client: &Client) -> bool {
    let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn each_sslmode_gets_in_where_it_should() {
    let server = Encrypted::get();
    let full = format!("sslmode=verify-full&{}", server.roots());
    let ca = format!("sslmode=verify-ca&{}", server.roots());
    let postgres = server.server.url("postgres");
    let postgres = postgres.split_once("://").unwrap().1.split_once('@').unwrap().0;
    for (user, host, parameters, ssl) in [
        (ONLY_SSL, "localhost", full.as_str(), true),
        (ONLY_SSL, "localhost", ca.as_str(), true),
        // Not the host in the certificate; verify-ca takes it, as in libpq.
        (ONLY_SSL, "127.0.0.1", ca.as_str(), true),
        (ONLY_SSL, "127.0.0.1", "sslmode=require", true),
        (ONLY_SSL, "127.0.0.1", "sslmode=prefer", true),
        (ONLY_SSL, "127.0.0.1", "", true),
        (ONLY_SSL, "127.0.0.1", "sslmode=allow", true),
        (postgres, "127.0.0.1", "sslmode=allow", false),
        (postgres, "127.0.0.1", "sslmode=disable", false),
        (postgres, "127.0.0.1", "", true),
        // Let in without encryption only.
        ("trusted", "127.0.0.1", "", false),
        ("trusted", "127.0.0.1", "sslmode=prefer", false),
    ] {
        let client = connect(&server.url(user, host, parameters)).await;
        let client = client.unwrap_or_else(|error| panic!("{parameters}: {error}"));
        assert_eq!(encrypted(&client).await, ssl, "{host} {parameters}");
    }
    connect(&server.url("trusted", "127.0.0.1", "sslmode=require")).await.unwrap_err();
}

#[tokio::test]
async fn channel_binding_works_with_scram() {
    let server = Encrypted::get();
    let parameters = format!("sslmode=verify-full&{}&channel_binding=require", server.roots());
    assert!(encrypted(&connect(&server.url(ONLY_SSL, "localhost", &parameters)).await.unwrap()).await);
}

#[tokio::test]
async fn a_client_certificate_is_who_we_are() {
    let server = Encrypted::get();
    let (certificate, key) = server.authority.sign("only_cert");
    let full = format!("sslmode=verify-full&{}", server.roots());
    let with = |certificate: &Path, key: &Path| {
        let (certificate, key) = (certificate.display(), key.display());
        server.url("only_cert", "localhost", &format!("{full}&sslcert={certificate}&sslkey={key}"))
    };
    let client = connect(&with(&certificate, &key)).await.unwrap();
    let user: String = client.query_one("select session_user::text", &[]).await.unwrap().get(0);
    assert_eq!(user, "only_cert");
    let refused = connect(&server.url("only_cert", "localhost", &full)).await.unwrap_err();
    assert!(refused.contains("client certificate"), "{refused}");
    let (_, foreign_key) = server.authority.sign("somebody-else");
    let refused = connect(&with(&certificate, &foreign_key)).await.unwrap_err();
    assert!(refused.contains("sslkey") && refused.contains("somebody-else"), "{refused}");
}

#[tokio::test]
async fn a_certificate_that_signs_itself_is_trusted_where_named() {
    let authority = Authority::new("another");
    let (certificate, key) = authority.self_signed_for_server("localhost");
    let settings = [
        ("fsync", "off"),
        ("ssl", "on"),
        ("ssl_cert_file", certificate.to_str().unwrap()),
        ("ssl_key_file", key.to_str().unwrap()),
    ];
    let server = Server::start(&settings).unwrap();
    let url = server.url("postgres");
    let connect = async |host: &str, mode: &str, roots: &Path| {
        let url = format!("{}?sslmode={mode}&{}", url.replace("127.0.0.1", host), root(roots));
        let connector = Connector::new(Address::parse(&url).unwrap(), Duration::from_secs(10)).unwrap();
        connector.connect().await.map(drop).map_err(|error| error.to_string())
    };
    for mode in ["require", "verify-ca", "verify-full"] {
        assert_eq!(connect("localhost", mode, &certificate).await, Ok(()), "{mode}");
    }
    let refused = connect("127.0.0.1", "verify-full", &certificate).await.unwrap_err();
    assert!(refused.contains("the server's certificate is for another host"), "{refused}");
    assert!(connect("localhost", "verify-ca", &authority.certificate()).await.is_err());
}
