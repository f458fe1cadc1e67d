//! A Postgres server in a container: the database tests against another version than this machine has.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use testcontainers::core::{ContainerPort, IntoContainerPort as _};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

const PORT: ContainerPort = ContainerPort::Tcp(5432);

/// A server that is removed with this program.
pub struct Container {
    pub url: String,
    _running: ContainerAsync<GenericImage>,
    _watchdog: Child,
}

impl Container {
    /// From an image that is called like Docker's official one, such as `postgres:17`, with these settings.
    pub async fn start(image: &str, settings: &[(&str, &str)]) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("cannot start a container of {image}: {error}");
        let (name, tag) =
            image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).unwrap_or((image, "latest"));
        let password: String = (0..32).map(|_| rand::random_range('a'..='z')).collect();
        let command = settings.iter().flat_map(|(key, value)| ["-c".to_owned(), format!("{key}={value}")]);
        let container = GenericImage::new(name, tag)
            .with_exposed_port(PORT)
            .with_env_var("POSTGRES_PASSWORD", &password)
            .with_cmd(command)
            .start()
            .await
            .map_err(|error| failed(&error))?;
        let watchdog = watchdog(container.id()).map_err(|error| failed(&error))?;
        let host = container.get_host().await.map_err(|error| failed(&error))?;
        let port = container.get_host_port_ipv4(5432.tcp()).await.map_err(|error| failed(&error))?;
        let url = format!("postgresql://postgres:{password}@{host}:{port}");
        answers(&url).await.map_err(|error| failed(&error))?;
        Ok(Self { url, _running: container, _watchdog: watchdog })
    }
}

/// Nothing drops a value that lives as long as the program; the end of this pipe tells of the program's own, however
/// it went.
fn watchdog(id: &str) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", r#"read -r _; docker rm --force --volumes "$1" >/dev/null"#, "sh", id])
        // A Ctrl-C for the program must not end it first.
        .process_group(0)
        .stdin(Stdio::piped())
        .spawn()
}

/// A server that has just been made announces itself in the log twice or once, depending on the image, and answers
/// over the network only when it is done.
async fn answers(url: &str) -> Result<(), String> {
    let url = format!("{url}/postgres");
    let mut last = String::new();
    for _ in 0..600 {
        match tokio_postgres::connect(&url, tokio_postgres::NoTls).await {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(format!("no answer in a minute: {last}"))
}
