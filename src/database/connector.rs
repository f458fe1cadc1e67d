//! New connections, encrypted and signed in as the address says.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::DatabaseError;
use super::address::{Address, SslMode, Tls};
use super::connect::{explain, locked};
use super::pooler::Pooler;
use super::rds_iam::RdsIam;
use super::tls::{Encryption, SYSTEM, encryption};

/// After so much silence the server's machine is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What the driver has if the address names no time: two hours, as operating systems have it.
const DEFAULT_IDLE: Duration = Duration::from_hours(2);

/// How long what was sent may remain without its receipt.
const UNANSWERED: Duration = Duration::from_mins(1);

/// An encrypted stream, where it is encrypted.
pub type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Makes connections to one database. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    config: Config,
    tls: Tls,
    encryption: Encryption,
    rds_iam: Option<Arc<RdsIam>>,
    /// Of one address.
    connect_timeout: Duration,
}

impl Connector {
    /// Reads the certificates that the address names; the database is not called yet.
    pub fn new(address: Address, connect_timeout: Duration) -> Result<Self, DatabaseError> {
        let Address { mut config, tls, rds_iam } = address;
        config.connect_timeout(connect_timeout);
        // A server, proxy or network that is gone without a word is noticed within about this time, where the address does
        // not say otherwise.
        if config.get_keepalives_idle() == DEFAULT_IDLE {
            config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE / 3).keepalives_retries(3);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNANSWERED);
        }
        let encryption = encryption(&tls)?;
        let rds_iam = rds_iam.map(|region| Arc::new(RdsIam::new(region.named)));
        Ok(Self { config, tls, encryption, rds_iam, connect_timeout })
    }

    /// Where to, without what is only known when connecting.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What encrypts a connection that another driver makes.
    #[must_use]
    pub fn encryption(&self) -> MakeRustlsConnect {
        self.encryption.make.clone()
    }

    /// How it is encrypted.
    #[must_use]
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Whether the server is verified by the system's certificates.
    #[must_use]
    pub fn trusts_the_system(&self) -> bool {
        self.encryption.signers.as_deref() == Some(SYSTEM)
    }

    /// The same under another `application_name`.
    #[must_use]
    pub fn named(mut self, application_name: &str) -> Self {
        self.config.application_name(application_name);
        self
    }

    /// What the server is given as the password of a connection made now: on RDS with IAM a fresh token.
    pub async fn password(&self) -> Result<Option<Vec<u8>>, ConnectError> {
        match &self.rds_iam {
            None => Ok(self.config.get_password().map(<[u8]>::to_vec)),
            Some(iam) => {
                let token = Box::pin(iam.token(&self.config)).await.map_err(ConnectError::SignIn)?;
                Ok(Some(token.into_bytes()))
            }
        }
    }

    /// The longest that connecting may take, handshakes and all addresses included: each may use up its own time, and
    /// the last one must have some left.
    #[must_use]
    pub fn limit(&self) -> Duration {
        let addresses = self.config.get_hosts().len().max(self.config.get_hostaddrs().len()).max(1) as u32;
        // A name may have one address of each kind.
        self.connect_timeout * (2 * addresses + 1)
    }

    /// A connection, driven by the caller.
    pub async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>), ConnectError> {
        let limit = self.limit();
        tokio::time::timeout(limit, self.connect_without_limit())
            .await
            .unwrap_or_else(|_| Err(ConnectError::Silent(limit)))
    }

    async fn connect_without_limit(&self) -> Result<(Client, Connection<Socket, Stream>), ConnectError> {
        let mut config = self.config.clone();
        if self.rds_iam.is_some()
            && let Some(token) = self.password().await?
        {
            config.password(token);
        }
        // A handshake is large, and must not lie in every future that may once have to connect.
        let connect = async |config: &Config| Box::pin(config.connect(self.encryption.make.clone())).await;
        let mut connected = connect(&config).await;
        // As libpq does: an address that does not insist on one way tries the other.
        if let Err(error) = &connected
            && let Some(other) = self.other_way(error)
        {
            config.ssl_mode(other);
            connected = connect(&config).await;
        }
        connected.map_err(|error| ConnectError::Failed { what: self.explained(&error), error })
    }

    /// The hosts in the order in which they are tried: names, or directories of sockets.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let name = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        self.config.get_hosts().iter().map(name).collect()
    }

    /// Where it connects to, and as whom: for a person, without a password.
    #[must_use]
    pub fn place(&self) -> String {
        let config = &self.config;
        let mut hosts = self.hosts();
        if hosts.is_empty() {
            hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
        }
        let ports = config.get_ports();
        let port = |i: usize| ports.get(i).or(ports.first()).copied().unwrap_or(5432);
        let hosts: Vec<String> =
            hosts.iter().enumerate().map(|(i, host)| format!("{host}:{}", port(i))).collect();
        let user = config.get_user().unwrap_or("the login's name");
        format!("{}/{} as {user}", hosts.join(","), config.get_dbname().unwrap_or(user))
    }

    /// Whether pg_hba.conf has no line for this way, or the handshake came to nothing, and the other may be tried.
    fn other_way(&self, error: &tokio_postgres::Error) -> Option<tokio_postgres::config::SslMode> {
        let not_so = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
        let no_handshake = error.as_db_error().is_none() && error.to_string().contains("TLS handshake");
        match self.tls.mode {
            SslMode::Allow if not_so => Some(tokio_postgres::config::SslMode::Require),
            SslMode::Prefer if not_so || no_handshake => Some(tokio_postgres::config::SslMode::Disable),
            _ => None,
        }
    }

    /// In the words of what the address asked for; the server's own where it gave any.
    fn explained(&self, error: &tokio_postgres::Error) -> String {
        let text = explain(error);
        if error.as_db_error().is_some() {
            return text;
        }
        let mode = self.tls.mode.word();
        let signers = self.encryption.signers.as_deref().unwrap_or("none");
        let why = if text.contains("does not support TLS") {
            format!("sslmode={mode} asks for encryption, and the server offers none")
        } else if text.contains("not valid for name") {
            format!("sslmode={mode}: the server's certificate is for another host")
        } else if text.contains("UnknownIssuer") {
            format!(
                "sslmode={mode}: the server's certificate is not signed by a trusted authority ({signers})"
            )
        } else {
            return text;
        };
        format!("{why} ({text})")
    }
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// What the server wants to see could not be had.
    #[error("{0}")]
    SignIn(String),
    /// The host took the connection and said nothing.
    #[error("no answer from the database within {0:?}")]
    Silent(Duration),
    /// The server could not be reached, or did not let us in.
    #[error("{what}")]
    Failed {
        /// For a person.
        what: String,
        /// As the driver has it.
        error: tokio_postgres::Error,
    },
}

impl ConnectError {
    /// Whether the server is not there, or not ready yet: another try may fare better. One that says no will say so again.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        const PASSING: [SqlState; 4] = [
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
        ];
        match self {
            Self::SignIn(_) => false,
            Self::Silent(_) => true,
            Self::Failed { error, .. } => match error.code() {
                // 08 is what a pooler says whose server is away.
                Some(code) => PASSING.contains(code) || code.code().starts_with("08"),
                // Not reached, or cut off. What is wrong with certificates or passwords is none of these.
                None => {
                    ["error connecting to server", "error communicating with the server", "connection closed"]
                        .iter()
                        .any(|words| error.to_string().starts_with(words))
                }
            },
        }
    }

    /// As the error of the database at this place.
    #[must_use]
    pub fn at(self, place: &str) -> DatabaseError {
        let words = format!("{place}: {self}");
        if self.may_pass() { DatabaseError::Away(words) } else { DatabaseError::Connect(words) }
    }
}

impl From<ConnectError> for DatabaseError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error.to_string())
    }
}

/// Why the latest connection could not be had, in our words, and whether that may pass.
pub type Told = Arc<Mutex<Option<(String, bool)>>>;

/// The same for the pool, whose errors must be the driver's own: in our words they are kept beside.
#[derive(Clone)]
pub struct Pooled {
    connector: Connector,
    told: Told,
    pooler: Arc<Pooler>,
}

impl Pooled {
    /// With the place where the latest failure is told, and whether it may pass.
    pub fn new(connector: Connector, pooler: Arc<Pooler>) -> (Self, Told) {
        let told = Arc::default();
        (Self { connector, told: Arc::clone(&told), pooler }, told)
    }
}

impl deadpool_postgres::Connect for Pooled {
    /// The configuration is the connector's own.
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(async {
            let began = Instant::now();
            let failed = match self.connector.connect().await {
                Ok((client, connection)) => {
                    let driver = tokio::spawn(super::drive(connection));
                    let limit = self.connector.limit();
                    let beginning = async {
                        self.pooler.look(&client, || began.elapsed()).await?;
                        self.pooler.begin(&client).await
                    };
                    match tokio::time::timeout(limit, beginning).await {
                        Ok(Ok(())) => return Ok((client, driver)),
                        Ok(Err(error)) => ConnectError::Failed { what: explain(&error), error },
                        Err(_) => ConnectError::Silent(limit),
                    }
                }
                Err(failed) => failed,
            };
            *locked(&self.told) = Some((format!("{}: {failed}", self.connector.place()), failed.may_pass()));
            match failed {
                ConnectError::Failed { error, .. } => Err(error),
                // The driver makes an error only of its own failures, such as having nowhere to go.
                ConnectError::SignIn(_) | ConnectError::Silent(_) => {
                    let (client, connection) = Config::new().connect(NoTls).await?;
                    Ok((client, tokio::spawn(async { drop(connection.await) })))
                }
            }
        })
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("tls", &self.tls).finish_non_exhaustive()
    }
}
