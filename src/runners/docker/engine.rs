//! The way to the engine: where it listens, and one call at a time with a limit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use http::HeaderValue;

use super::fault::{Fault, Kind};

/// Where docker itself looks.
const THIS_MACHINE: &str = "unix:///var/run/docker.sock";

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// As the operator wrote it.
    pub url: String,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`, if the connection is to be encrypted.
    certificates: Option<PathBuf>,
}

impl Endpoint {
    /// From the setting `host` and the environment that docker knows.
    pub fn find(host: &str, environment: &BTreeMap<String, String>) -> Result<Self, String> {
        let variable =
            |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let (url, origin) = match (host, variable("DOCKER_HOST")) {
            ("", None) => (THIS_MACHINE, "the default"),
            ("", Some(host)) => (host, "DOCKER_HOST"),
            (host, _) => (host, "runners.docker.host"),
        };
        let endpoint = |certificates| Ok(Self { url: url.to_owned(), certificates });
        let wants_tls = url.starts_with("https://") || variable("DOCKER_TLS_VERIFY").is_some();
        match url.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => endpoint(None),
            Some(("tcp" | "http", address)) if !address.is_empty() && !wants_tls => endpoint(None),
            Some(("tcp" | "https", address)) if !address.is_empty() => {
                let directory = variable("DOCKER_CERT_PATH")
                    .map(PathBuf::from)
                    .or_else(|| config_directory(environment))
                    .ok_or("DOCKER_CERT_PATH is not set, and neither is HOME: where are ca.pem, cert.pem and key.pem?")?;
                for name in ["ca.pem", "cert.pem", "key.pem"] {
                    let file = directory.join(name);
                    std::fs::File::open(&file).map_err(|e| {
                        format!(
                            "{}: {e} (TLS to {url} needs it; DOCKER_CERT_PATH says where)",
                            file.display()
                        )
                    })?;
                }
                endpoint(Some(directory))
            }
            _ => Err(format!(
                "{origin}: {url:?} must be unix:///path or tcp://host:port (ssh:// is not known here)"
            )),
        }
    }

    /// On this machine, as far as one can tell.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.url.starts_with("unix://")
    }
}

/// Where docker keeps what a user has told it.
pub fn config_directory(environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")))
}

/// One engine.
#[derive(Debug)]
pub struct Engine {
    pub endpoint: Endpoint,
    call_timeout: Duration,
    /// Made when it is first needed: at the start of this daemon there may be no engine yet.
    client: Mutex<Option<Docker>>,
    /// It does not answer, and the log says so.
    away: AtomicBool,
}

impl Engine {
    pub fn new(endpoint: Endpoint, call_timeout: Duration) -> Self {
        Self { endpoint, call_timeout, client: Mutex::default(), away: AtomicBool::new(false) }
    }

    /// For calls that answer with a stream, or take their time.
    pub fn client(&self) -> Result<Docker, Fault> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let (url, seconds) = (self.endpoint.url.as_str(), self.call_timeout.as_secs().max(1));
        let made = match &self.endpoint.certificates {
            Some(directory) => {
                // There is one already, or this one is as good.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let file = |name: &str| directory.join(name);
                let (key, certificate, ca) = (file("key.pem"), file("cert.pem"), file("ca.pem"));
                Docker::connect_with_ssl(url, &key, &certificate, &ca, seconds, API_DEFAULT_VERSION)
            }
            None if self.endpoint.is_local() => Docker::connect_with_unix(url, seconds, API_DEFAULT_VERSION),
            None => Docker::connect_with_http(url, seconds, API_DEFAULT_VERSION),
        };
        let made = made.map_err(Fault::from)?.with_request_modifier(url_safe_credentials);
        *client = Some(made.clone());
        Ok(made)
    }

    /// What it calls the registry of images without a host in their name, and `docker login` with it.
    pub async fn usual_registry(&self) -> Result<String, Fault> {
        let info = self.call("asking the engine", |docker| async move { docker.info().await }).await?;
        Ok(info.index_server_address.unwrap_or_default())
    }

    /// One call, whose whole answer must be there in time.
    pub async fn call<T, F>(&self, what: &str, call: impl FnOnce(Docker) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let answer = match self.client() {
            Ok(client) => match tokio::time::timeout(self.call_timeout, call(client)).await {
                Ok(answer) => answer.map_err(Fault::from),
                Err(_) => Err(Fault::unclear("no answer in time")),
            },
            Err(fault) => Err(fault),
        };
        self.note(answer.as_ref().err());
        answer.map_err(|fault| Fault { message: format!("{what}: {}", fault.message), ..fault })
    }

    /// Says in the log, once, that the engine has gone or is back.
    pub fn note(&self, fault: Option<&Fault>) {
        let engine = self.endpoint.url.as_str();
        match fault {
            Some(fault) if !matches!(fault.kind, Kind::Answer(_) | Kind::Unreadable) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(engine, %fault, "the container engine does not answer; what runs on it is followed once it does");
                }
            }
            _ => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!(engine, "the container engine answers again");
                }
            }
        }
    }

    /// A container by its name or id, if there is one.
    pub async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, Fault> {
        let call = self.call("looking at a container", |docker| async move {
            docker.inspect_container(name, None).await
        });
        match call.await {
            Ok(container) => Ok(Some(container)),
            Err(fault) if fault.is_missing() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Removes a container with its anonymous volumes, whether it runs or not.
    pub async fn remove(&self, id: &str) -> Result<(), Fault> {
        let options = bollard::query_parameters::RemoveContainerOptions { force: true, v: true, link: false };
        let call = self.call("removing a container", |docker| async move {
            docker.remove_container(id, Some(options)).await
        });
        match call.await {
            // It is being removed already, or was.
            Err(fault) if fault.is_missing() || fault.kind == Kind::Answer(409) => Ok(()),
            other => other,
        }
    }
}

/// The engine reads credentials in base64's URL alphabet; the client library writes the other one, which differs for
/// some passwords.
fn url_safe_credentials(mut request: BollardRequest) -> BollardRequest {
    if let Some(value) = request.headers().get("X-Registry-Auth").and_then(|value| value.to_str().ok())
        && let Ok(mut value) = HeaderValue::from_str(&value.replace('+', "-").replace('/', "_"))
    {
        value.set_sensitive(true);
        request.headers_mut().insert("X-Registry-Auth", value);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_setting_beats_docker_host_which_beats_this_machine() {
        let host = environment(&[("DOCKER_HOST", "tcp://build:2375")]);
        let find = |host: &str, environment: &_| Endpoint::find(host, environment).unwrap();
        assert_eq!(find("", &environment(&[])).url, "unix:///var/run/docker.sock");
        assert!(find("", &environment(&[])).is_local());
        assert_eq!(find("", &host).url, "tcp://build:2375");
        assert_eq!(find("unix:///run/mine.sock", &host).url, "unix:///run/mine.sock");
    }

    #[test]
    fn what_cannot_be_spoken_is_said_at_once() {
        let none = environment(&[]);
        for host in ["ssh://me@build", "build:2375", "unix://relative", "tcp://", "npipe:////./pipe/x"] {
            let error = Endpoint::find(host, &none).unwrap_err();
            assert!(
                error.starts_with("runners.docker.host") && error.contains("tcp://host:port"),
                "{host}: {error}"
            );
        }
        let error = Endpoint::find("", &environment(&[("DOCKER_HOST", "ssh://me@build")])).unwrap_err();
        assert!(error.starts_with("DOCKER_HOST"), "{error}");
    }

    #[test]
    fn tls_needs_its_three_files() {
        let dir = tempfile::tempdir().unwrap();
        let tls =
            environment(&[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", dir.path().to_str().unwrap())]);
        let error = Endpoint::find("tcp://build:2376", &tls).unwrap_err();
        assert!(error.contains("ca.pem") && error.contains("DOCKER_CERT_PATH"), "{error}");
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(
            Endpoint::find("tcp://build:2376", &tls).unwrap().certificates.as_deref(),
            Some(dir.path())
        );
    }

    #[test]
    fn credentials_go_in_the_alphabet_that_the_engine_reads() {
        let request = http::Request::builder()
            .header("X-Registry-Auth", "ab+/cd==")
            .body(bollard::body_full("".into()))
            .unwrap();
        assert_eq!(url_safe_credentials(request).headers()["X-Registry-Auth"], "ab-_cd==");
    }
}
