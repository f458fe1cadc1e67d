//! Signing in to RDS and Aurora with AWS credentials: instead of a password, a token that is good for one new
//! connection within 15 minutes. It is a presigned URL without its scheme.

use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use tokio::sync::OnceCell;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::aws::http;

/// AWS takes no token that lives longer.
const LIFETIME: Duration = Duration::from_mins(15);

/// Makes tokens. Credentials are found as every AWS tool finds them, and renewed when they run out.
#[derive(Debug)]
pub struct RdsIam {
    region: Option<String>,
    aws: OnceCell<SdkConfig>,
}

impl RdsIam {
    /// For databases in this region; else the region is in the host's name, or the one AWS' tools would take.
    pub fn new(region: Option<String>) -> Self {
        Self { region, aws: OnceCell::new() }
    }

    /// A fresh token for the first host of this configuration.
    pub async fn token(&self, config: &Config) -> Result<String, String> {
        let (host, port, user) = whom(config)?;
        let load = || aws_config::defaults(BehaviorVersion::latest()).http_client(http::client()).load();
        let aws = self.aws.get_or_init(load).await;
        let region = self
            .region
            .clone()
            .or_else(|| region_of(host).map(str::to_owned))
            .or_else(|| aws.region().map(ToString::to_string))
            .ok_or("auth=rds-iam: no AWS region is known; add aws_region to the URL or set AWS_REGION")?;
        let provider = aws.credentials_provider().ok_or("auth=rds-iam: no AWS credentials are known")?;
        let credentials = provider.provide_credentials().await.map_err(|error| {
            let source = std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
            format!("auth=rds-iam: no AWS credentials can be had: {error}{source}")
        })?;
        signed(host, port, user, &region, credentials, SystemTime::now())
    }
}

fn whom(config: &Config) -> Result<(&str, u16, &str), String> {
    let [Host::Tcp(host)] = config.get_hosts() else {
        return Err("auth=rds-iam needs exactly one host, by its name".to_owned());
    };
    let user = config.get_user().ok_or("auth=rds-iam needs a user in the database URL")?;
    Ok((host, config.get_ports().first().copied().unwrap_or(5432), user))
}

/// As in `name.id.eu-west-1.rds.amazonaws.com`, also in China and where RDS has further endings.
fn region_of(host: &str) -> Option<&str> {
    let (before, _) = host.split_once(".rds.amazonaws.com")?;
    before.rsplit_once('.').map(|(_, region)| region)
}

fn signed(
    host: &str,
    port: u16,
    user: &str,
    region: &str,
    credentials: Credentials,
    now: SystemTime,
) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("auth=rds-iam: cannot sign: {error}");
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(LIFETIME);
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("rds-db")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let user = encoded(user);
    let mut url = format!("https://{host}:{port}/?Action=connect&DBUser={user}");
    let request = SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::empty())
        .map_err(|error| failed(&error))?;
    let (instructions, _) = sign(request, &parameters).map_err(|error| failed(&error))?.into_parts();
    for (name, value) in instructions.params() {
        url.extend(["&", name, "=", &encoded(value)]);
    }
    Ok(url.split_off("https://".len()))
}

/// As RFC 3986 wants it, which the signature is made over.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_stands_in_the_name_of_a_host_of_rds() {
        assert_eq!(region_of("db.abc123.eu-west-1.rds.amazonaws.com"), Some("eu-west-1"));
        assert_eq!(region_of("db.cluster-ro-abc.cn-north-1.rds.amazonaws.com.cn"), Some("cn-north-1"));
        assert_eq!(region_of("db.example.org"), None);
    }

    #[test]
    fn one_host_and_a_user_are_needed() {
        let whom = |text: &str| whom(&text.parse().unwrap()).map(|(h, p, u)| (h.to_owned(), p, u.to_owned()));
        assert_eq!(whom("postgresql://u@h:6543/d"), Ok(("h".to_owned(), 6543, "u".to_owned())));
        assert_eq!(whom("postgresql://u@h/d").unwrap().1, 5432);
        assert!(whom("postgresql://u@a,b/d").unwrap_err().contains("one host"));
        assert!(whom("postgresql://h/d").unwrap_err().contains("user"));
    }

    /// What botocore's `generate_db_auth_token` makes of the same.
    #[test]
    fn tokens_are_signed_as_by_aws_own_tools() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        let signature = |session: Option<&str>| {
            let credentials = Credentials::new(
                "AKIDEXAMPLE",
                "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                session.map(str::to_owned),
                None,
                "test",
            );
            let host = "db.abc123.eu-west-1.rds.amazonaws.com";
            let token = signed(host, 5432, "rowcall daemon", "eu-west-1", credentials, now).unwrap();
            let (start, signature) = token.split_once("&X-Amz-Signature=").unwrap();
            (start.to_owned(), signature.split('&').next().unwrap().to_owned())
        };
        let (start, plain) = signature(None);
        assert_eq!(
            start,
            "db.abc123.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=rowcall%20daemon\
             &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Feu-west-1%2Frds-db%2F\
             aws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
        );
        assert_eq!(plain, "58ea9c27bef0709956a2d51660c13d312c5b2d56fc72694e5a5947ffff11e77e");
        let (_, with_session) = signature(Some("a+session/token=="));
        assert_eq!(with_session, "de3a3736a949b46934b9bd1f3b403856ac1febd6380500beeadb14e508d9bfc3");
    }
}
