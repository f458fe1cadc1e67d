//! Connection strings, as libpq's users write them: options that the driver does not know are read here and taken out.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::DatabaseError;
use super::conninfo::{self, Pairs};
use crate::settings::either;

const FORM: &str = "set DATABASE_URL or database.url to the form postgresql://user:password@host:port/dbname";

/// What a build without AWS, such as the small `rowcall-task`, says to `auth=rds-iam`.
pub const WITHOUT_AWS: &str = "this program was built without auth=rds-iam: \
     use rowcall-task-aws in a task, and a build of rowcall with cargo's feature aws";

/// How much the connection must be protected: libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted only if the server insists.
    Allow,
    /// Encrypted if the server can; any server is believed.
    Prefer,
    /// Encrypted; any server is believed.
    Require,
    /// Encrypted, and a trusted signer has signed the server's certificate.
    VerifyCa,
    /// The same, and it is for the host we called.
    VerifyFull,
}

impl SslMode {
    const WORDS: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    fn read(text: &str) -> Result<Self, String> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            let words = Self::WORDS.map(|(word, _)| word);
            format!("sslmode must be {}, and is {text:?}", either(&words))
        })
    }

    /// libpq's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, mode)| *mode == self).map_or("", |(word, _)| word)
    }
}

/// Who may sign the server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// No signers were named: `~/.postgresql/root.crt` if it is there, else the system's.
    Usual,
    /// `sslrootcert=system`
    System,
    /// The certificates in this file.
    File(PathBuf),
}

/// How the connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `sslmode`
    pub mode: SslMode,
    /// `sslrootcert`
    pub roots: Roots,
    /// `sslcert` and `sslkey`: who we are.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Where the database is, and how to get in.
#[derive(Debug, Clone)]
pub struct Address {
    /// What the driver knows of it. Its `Debug` leaves the password out.
    pub config: Config,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// `auth=rds-iam`: sign in with AWS credentials.
    pub rds_iam: Option<RdsRegion>,
}

/// Where the database is, for AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdsRegion {
    /// `aws_region`; RDS' own host names tell it, too.
    pub named: Option<String>,
}

impl Address {
    /// Reads a connection string, saying what is wrong with it without repeating it. `PGSSLMODE`, `PGSSLROOTCERT`,
    /// `PGSSLCERT` and `PGSSLKEY` say what it does not.
    pub fn parse(text: &str) -> Result<Self, DatabaseError> {
        Self::parse_with(text, |name| std::env::var(name).ok())
    }

    fn parse_with(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self, DatabaseError> {
        if text.is_empty() {
            return Err(DatabaseError::Url(format!("no database is named: {FORM}")));
        }
        let wrong = |what: String| DatabaseError::Url(format!("the database URL is not valid: {what}"));
        let (rest, mut ours) =
            conninfo::take_out(text, &["sslmode", "sslrootcert", "sslcert", "sslkey", "auth", "aws_region"])
                .map_err(|what| wrong(format!("{what}; {FORM}")))?;
        let mut config: Config = rest.parse().map_err(|e: tokio_postgres::Error| {
            let source = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
            wrong(format!("{source}; {FORM}"))
        })?;
        if config.get_hosts().is_empty() {
            return Err(DatabaseError::Url(format!("the database URL names no host; {FORM}")));
        }
        for (key, variable) in [
            ("sslmode", "PGSSLMODE"),
            ("sslrootcert", "PGSSLROOTCERT"),
            ("sslcert", "PGSSLCERT"),
            ("sslkey", "PGSSLKEY"),
        ] {
            if !ours.contains_key(key)
                && let Some(value) = environment(variable).filter(|value| !value.is_empty())
            {
                ours.insert(key.to_owned(), value);
            }
        }
        let rds_iam = rds_iam(&ours).map_err(wrong)?;
        let tls = tls(&ours, &config, rds_iam.is_some()).map_err(wrong)?;
        config.ssl_mode(match tls.mode {
            // First without; the connector tries again if the server insists.
            SslMode::Disable | SslMode::Allow => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            _ => tokio_postgres::config::SslMode::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name("rowcall");
        }
        // A peer that vanished without a word is noticed in about a minute, not in two hours.
        config
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_mins(1));
        Ok(Self { config, tls, rds_iam })
    }
}

fn rds_iam(ours: &Pairs) -> Result<Option<RdsRegion>, String> {
    let named = ours.get("aws_region").cloned();
    match ours.get("auth").map(String::as_str) {
        None if named.is_some() => Err("aws_region has no meaning without auth=rds-iam".to_owned()),
        None => Ok(None),
        Some("rds-iam") if cfg!(not(feature = "aws")) => Err(WITHOUT_AWS.to_owned()),
        Some("rds-iam") => Ok(Some(RdsRegion { named })),
        Some(other) => Err(format!("auth is {other:?}; it may be rds-iam")),
    }
}

fn tls(ours: &Pairs, config: &Config, rds_iam: bool) -> Result<Tls, String> {
    let roots = match ours.get("sslrootcert").map(String::as_str) {
        None => Roots::Usual,
        Some("system") => Roots::System,
        Some(path) => Roots::File(PathBuf::from(path)),
    };
    let said = ours.get("sslmode").map(|text| SslMode::read(text)).transpose()?;
    let mode = match (said, &roots) {
        (None, Roots::System) => SslMode::VerifyFull,
        // A certificate from one of hundreds of signers proves nothing without the name in it; so says libpq.
        (Some(mode), Roots::System) if mode < SslMode::VerifyFull => {
            return Err(format!("sslrootcert=system needs sslmode=verify-full, not {}", mode.word()));
        }
        // A user who names signers wants them checked; libpq does the same.
        (Some(SslMode::Require), Roots::File(_)) => SslMode::VerifyCa,
        (Some(SslMode::Require), Roots::Usual) if libpqs_roots().is_some() => SslMode::VerifyCa,
        (Some(mode), _) => mode,
        // A token that signs in must not be given to any host that answers.
        (None, _) if rds_iam => SslMode::VerifyFull,
        (None, _) => SslMode::Prefer,
    };
    if rds_iam && mode < SslMode::Require {
        return Err(format!("auth=rds-iam needs encryption: sslmode=verify-full, not {}", mode.word()));
    }
    let identity = match (ours.get("sslcert"), ours.get("sslkey")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        _ => return Err("sslcert and sslkey go together".to_owned()),
    };
    // A socket in the file system cannot be tapped; libpq takes no notice of sslmode there either.
    let local = config.get_hostaddrs().is_empty()
        && config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    Ok(Tls { mode: if local { SslMode::Disable } else { mode }, roots, identity })
}

/// Where libpq looks for trusted signers by default.
pub fn libpqs_roots() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("HOME")?).join(".postgresql/root.crt");
    path.is_file().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Address, String> {
        Address::parse_with(text, |_| None).map_err(|error| error.to_string())
    }

    fn mode(text: &str) -> SslMode {
        read(text).unwrap().tls.mode
    }

    #[test]
    fn a_bad_url_is_explained_without_its_password() {
        let text = read("postgresql://u:hunter2@h:port/db").unwrap_err();
        assert!(text.contains("not valid") && !text.contains("hunter2"), "{text}");
        assert!(read("").unwrap_err().contains("DATABASE_URL"));
        let text = read("host=h password='hunter2").unwrap_err();
        assert!(text.contains("quote") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn sslmode_means_what_it_means_to_libpq() {
        for (word, expected) in SslMode::WORDS {
            assert_eq!(mode(&format!("postgresql://u@h/d?sslmode={word}")), expected);
            assert_eq!(mode(&format!("host=h sslmode = '{word}' user=u")), expected);
        }
        assert_eq!(mode("postgresql://u@h/d"), SslMode::Prefer);
        assert_eq!(mode("postgresql://u@h/d?sslmode=require&sslrootcert=/ca.pem"), SslMode::VerifyCa);
        assert_eq!(mode("postgresql://u@h/d?sslrootcert=system"), SslMode::VerifyFull);
        assert_eq!(mode("host=/var/run/postgresql user=u sslmode=verify-full"), SslMode::Disable);
        let elsewhere = "host=/var/run/postgresql hostaddr=10.0.0.5 user=u sslmode=verify-full";
        assert_eq!(mode(elsewhere), SslMode::VerifyFull);
        let wrong = read("postgresql://u@h/d?sslmode=full").unwrap_err();
        assert!(wrong.contains("\"full\"") && wrong.contains("verify-full"), "{wrong}");
        let weak = read("postgresql://u@h/d?sslmode=require&sslrootcert=system").unwrap_err();
        assert!(weak.contains("verify-full"), "{weak}");
    }

    #[test]
    fn the_environment_says_what_the_url_does_not() {
        let environment = |name: &str| match name {
            "PGSSLMODE" => Some("verify-full".to_owned()),
            "PGSSLROOTCERT" => Some("/rds.pem".to_owned()),
            _ => None,
        };
        let tls = Address::parse_with("postgresql://u@h/d", environment).unwrap().tls;
        assert_eq!((tls.mode, tls.roots), (SslMode::VerifyFull, Roots::File("/rds.pem".into())));
        let tls = Address::parse_with("postgresql://u@h/d?sslmode=disable", environment).unwrap().tls;
        assert_eq!(tls.mode, SslMode::Disable);
    }

    #[test]
    fn signing_in_with_iam_is_never_in_the_clear() {
        let address = read("postgresql://u@h/d?auth=rds-iam&aws_region=eu-west-1").unwrap();
        assert_eq!(address.tls.mode, SslMode::VerifyFull);
        assert_eq!(address.rds_iam.unwrap().named.unwrap(), "eu-west-1");
        for weak in ["disable", "allow", "prefer"] {
            let error = read(&format!("postgresql://u@h/d?auth=rds-iam&sslmode={weak}")).unwrap_err();
            assert!(error.contains("needs encryption"), "{error}");
        }
        assert!(read("postgresql://u@h/d?auth=kerberos").unwrap_err().contains("rds-iam"));
        assert!(read("postgresql://u@h/d?aws_region=x").unwrap_err().contains("auth=rds-iam"));
    }

    #[test]
    fn an_identity_is_a_certificate_and_its_key() {
        let address = read("postgresql://u@h/d?sslcert=/c.pem&sslkey=/k%20.pem").unwrap();
        assert_eq!(address.tls.identity, Some(("/c.pem".into(), "/k .pem".into())));
        assert!(read("postgresql://u@h/d?sslcert=/c.pem").unwrap_err().contains("sslkey"));
    }

    proptest! {
        /// Whatever is taken out of it for us, the driver reads the rest as it would have read it without.
        #[test]
        fn an_address_is_read_as_the_driver_reads_it(
            form in prop_oneof!["postgres(ql)?://[a-z:@%0-9]{0,12}[a-z.]{1,8}(:[0-9]{1,4})?/[a-z]{0,4}", "(host=[a-z.]{1,8} ?)?(port=[0-9]{1,5} ?)?(user='[a-z ]{0,4}' ?)?"],
            noise in prop_oneof!["", ".{0,12}"], mode in prop_oneof!["disable", "prefer", "require"]
        ) {
            let plain = format!("{form}{noise}");
            let ours = if form.starts_with("postgres") { format!("{plain}?sslmode={mode}") } else { format!("{plain} sslmode={mode}") };
            let (by_us, by_driver) = (read(&ours), plain.parse::<Config>());
            if let (Ok(address), Ok(config)) = (&by_us, by_driver) && !noise.contains(['?', '&', '@', '\'', '\\', '=', ' ']) {
                prop_assert_eq!(address.config.get_hosts(), config.get_hosts());
                prop_assert_eq!(address.config.get_ports(), config.get_ports());
                prop_assert_eq!(address.config.get_user(), config.get_user());
                prop_assert_eq!(address.config.get_dbname(), config.get_dbname());
            }
            if let Err(error) = by_us {
                prop_assert!(!error.is_empty());
            }
        }
    }
}
