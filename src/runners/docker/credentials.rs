//! What the engine is to show a registry: as `docker login` has left it for the user that this daemon runs as.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;

use super::engine::config_directory;

/// A helper may ask a cloud; one that asks a person never ends.
const HELPER_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigFile {
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    #[serde(rename = "auth")]
    encoded: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

#[derive(Deserialize)]
struct Helped {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

/// Where a user's logins are.
#[derive(Debug, Clone, Default)]
pub struct Logins {
    /// The directory of docker's own settings.
    directory: Option<PathBuf>,
    /// Where helpers are looked for.
    path: Option<String>,
}

impl Logins {
    /// Of the user that has this environment.
    pub fn of(environment: &BTreeMap<String, String>) -> Self {
        Self { directory: config_directory(environment), path: environment.get("PATH").cloned() }
    }

    /// Credentials for a registry, if there are any; `usual` is what the engine calls the one of images without a host
    /// in their name. Errors never repeat what was read.
    pub async fn find(&self, host: Option<&str>, usual: &str) -> Result<Option<DockerCredentials>, String> {
        find(self, host, usual).await
    }
}

async fn find(logins: &Logins, host: Option<&str>, usual: &str) -> Result<Option<DockerCredentials>, String> {
    let Some(path) = logins.directory.as_ref().map(|directory| directory.join("config.json")) else {
        return Ok(None);
    };
    let text = match tokio::fs::read(&path).await {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("{}: {e}", path.display())),
    };
    let file: ConfigFile = serde_json::from_slice(&text)
        .map_err(|e| format!("{}: not understood, line {}", path.display(), e.line()))?;
    // `docker login` keeps that one under its address, and in names of images it is shorter by a word.
    let short = bare_host(usual).trim_start_matches("index.");
    let key = host.filter(|host| *host != short).unwrap_or(usual);
    let helper = file.helpers.get(key).or_else(|| Some(&file.store).filter(|name| !name.is_empty()));
    if let Some(helper) = helper {
        return ask_helper(helper, key, logins.path.as_deref()).await;
    }
    let found = file.auths.get(key).or_else(|| {
        let wanted = bare_host(key);
        file.auths.iter().find(|(known, _)| bare_host(known) == wanted).map(|(_, auth)| auth)
    });
    found
        .map(|auth| of_file(auth, key))
        .transpose()
        .map_err(|e| format!("{}: auths of {key}: {e}", path.display()))
}

/// Entries are written with and without scheme and path.
fn bare_host(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn of_file(auth: &Auth, key: &str) -> Result<DockerCredentials, String> {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (mut username, mut password) = (given(&auth.username), given(&auth.password));
    if !auth.encoded.is_empty() {
        let decoded = STANDARD.decode(&auth.encoded).map_err(|_| "auth is not base64")?;
        let decoded = String::from_utf8(decoded).map_err(|_| "auth is not UTF-8")?;
        let (name, secret) = decoded.split_once(':').ok_or("auth is not user:password")?;
        (username, password) = (given(name), given(secret.trim_end_matches('\0')));
    }
    Ok(DockerCredentials {
        username,
        password,
        serveraddress: given(key),
        identitytoken: given(&auth.identitytoken),
        registrytoken: given(&auth.registrytoken),
        ..DockerCredentials::default()
    })
}

/// Runs `docker-credential-NAME get`, as docker does.
async fn ask_helper(name: &str, key: &str, path: Option<&str>) -> Result<Option<DockerCredentials>, String> {
    let program = format!("docker-credential-{name}");
    if name.contains('/') {
        return Err(format!("{program}: the name of a credential helper has no /"));
    }
    let asking = async {
        let mut child = tokio::process::Command::new(&program)
            .arg("get")
            .envs(path.map(|path| ("PATH", path)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // One that does not read has decided already.
            let _ = input.write_all(key.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let answer = tokio::time::timeout(HELPER_LIMIT, asking)
        .await
        .map_err(|_| format!("{program} does not answer"))?
        .map_err(|e| format!("{program}: {e}"))?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        // The registry may do without.
        return if said.contains("credentials not found") {
            Ok(None)
        } else {
            Err(format!("{program}: {said}"))
        };
    }
    let helped: Helped = serde_json::from_slice(&answer.stdout)
        .map_err(|_| format!("{program}: its answer is not understood"))?;
    let mut credentials =
        DockerCredentials { serveraddress: Some(key.to_owned()), ..DockerCredentials::default() };
    if helped.username == "<token>" {
        credentials.identitytoken = Some(helped.secret);
    } else {
        credentials.username = Some(helped.username);
        credentials.password = Some(helped.secret);
    }
    Ok(Some(credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = "https://index.usual.example/v1/";

    async fn found(config: &str, host: Option<&str>) -> Result<Option<DockerCredentials>, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        Logins { directory: Some(dir.path().to_owned()), path: None }.find(host, USUAL).await
    }

    fn name_and_password(credentials: Option<DockerCredentials>) -> (String, String) {
        let credentials = credentials.unwrap();
        (credentials.username.unwrap(), credentials.password.unwrap())
    }

    #[tokio::test]
    async fn logins_are_found_under_the_registrys_name() {
        // me:p:w
        let config = r#"{"auths": {"r.example:5000": {"auth": "bWU6cDp3"}, "https://index.usual.example/v1/": {"auth": "aHViOng="},
            "https://old.example/v1/": {"username": "a", "password": "b"}, "tokens.example": {"auth": "", "identitytoken": "t"}}}"#;
        let pair = |name: &str, password: &str| (name.to_owned(), password.to_owned());
        assert_eq!(
            name_and_password(found(config, Some("r.example:5000")).await.unwrap()),
            pair("me", "p:w")
        );
        assert_eq!(name_and_password(found(config, None).await.unwrap()), pair("hub", "x"));
        assert_eq!(name_and_password(found(config, Some("usual.example")).await.unwrap()), pair("hub", "x"));
        assert_eq!(name_and_password(found(config, Some("old.example")).await.unwrap()), pair("a", "b"));
        assert_eq!(
            found(config, Some("tokens.example")).await.unwrap().unwrap().identitytoken.as_deref(),
            Some("t")
        );
        assert_eq!(found(config, Some("r.example")).await, Ok(None));
        assert_eq!(Logins::default().find(None, USUAL).await, Ok(None));
    }

    #[tokio::test]
    async fn a_broken_file_is_named_and_never_repeated() {
        let error = found("{\"auths\": {\"r.example\": {\"auth\": \"s3cr3t!\"}}}", Some("r.example"))
            .await
            .unwrap_err();
        assert!(
            error.contains("config.json") && error.contains("base64") && !error.contains("s3cr3t"),
            "{error}"
        );
        let error = found("{\"auths\": s3cr3t", None).await.unwrap_err();
        assert!(error.contains("not understood") && !error.contains("s3cr3t"), "{error}");
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_is_named() {
        let error =
            found(r#"{"credHelpers": {"r.example": "no-such"}}"#, Some("r.example")).await.unwrap_err();
        assert!(error.starts_with("docker-credential-no-such: "), "{error}");
        let error = found(r#"{"credsStore": "../evil"}"#, None).await.unwrap_err();
        assert!(error.contains("has no /"), "{error}");
    }
}
