//! Where the demo's tasks run: as processes of this machine, or as containers of its engine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio_postgres::Client;

/// Where the image has what the tasks need.
const IN_IMAGE: &str = "/work";

/// One of the two.
pub enum Place {
    Processes {
        /// Directory of the programs just built.
        programs: PathBuf,
    },
    Containers {
        /// The image that has them.
        image: String,
    },
}

impl Place {
    /// The word in `parameters.runner`.
    pub fn runner(&self) -> &'static str {
        match self {
            Self::Processes { .. } => "process",
            Self::Containers { .. } => "docker",
        }
    }

    /// Target and command of the task that loads files.
    pub fn loader(&self) -> (String, Vec<String>) {
        match self {
            Self::Processes { programs } => (text(&programs.join("examples/file_loader")), Vec::new()),
            Self::Containers { image } => (image.clone(), vec!["/bin/file_loader".to_owned()]),
        }
    }

    /// Target and command of `rowcall-task exec` with the script that downloads.
    pub fn download(&self, arguments: &[&str]) -> anyhow::Result<(String, Vec<String>)> {
        let (target, before, root) = match self {
            Self::Processes { programs } => {
                (text(&programs.join("rowcall-task")), Vec::new(), std::env::current_dir()?)
            }
            Self::Containers { image } => (image.clone(), vec!["/bin/rowcall-task"], IN_IMAGE.into()),
        };
        let script = text(&root.join("examples/file_download.sh"));
        let command = before.into_iter().chain(["exec", "--", &script]).chain(arguments.iter().copied());
        Ok((target, command.map(str::to_owned).collect()))
    }

    /// What `runner_defaults` says about all its tasks. The host's network is where the private server listens.
    pub fn defaults(&self, directory: &Path) -> Value {
        match self {
            Self::Processes { .. } => json!({}),
            Self::Containers { .. } => json!({
                "network": "host",
                "pull": "never",
                "user": format!("{}:{}", nix::unistd::getuid(), nix::unistd::getgid()),
                "mounts": [{"source": directory, "target": directory}],
            }),
        }
    }

    /// The dispatcher's settings: they allow what the demo needs and nothing else.
    pub fn settings(&self, directory: &Path) -> anyhow::Result<String> {
        let root = std::env::current_dir()?;
        Ok(match self {
            Self::Processes { programs } => format!(
                "[runners.process]\nenabled = true\nprograms = [{:?}, {:?}, {:?}]\nstate_dir = {:?}\nworking_directory = {:?}\n",
                text(&programs.join("examples/file_loader")),
                text(&programs.join("rowcall-task")),
                text(&root.join("examples/file_download.sh")),
                text(&directory.join("state")),
                text(&root),
            ),
            Self::Containers { image } => format!(
                "[runners.docker]\nenabled = true\nimages = [{image:?}]\nmounts = [{:?}]\nnetworks = [\"host\"]\n",
                text(directory),
            ),
        })
    }

    /// Containers of this demo that are left.
    pub async fn left(&self, client: &Client) -> anyhow::Result<Vec<String>> {
        if matches!(self, Self::Processes { .. }) {
            return Ok(Vec::new());
        }
        let keys = client.query("select launch_key from rowcall.attempts", &[]).await?;
        let mut left = Vec::new();
        for key in keys {
            let filter = format!("label=rowcall.key={}", key.get::<_, &str>(0));
            left.extend(docker(&["ps", "--all", "--quiet", "--filter", &filter])?.lines().map(str::to_owned));
        }
        Ok(left)
    }

    /// Removes them, for a demo that did not come to its end.
    pub async fn tidy(&self, client: &Client) -> anyhow::Result<()> {
        for container in self.left(client).await? {
            docker(&["rm", "--force", "--volumes", &container])?;
        }
        Ok(())
    }
}

fn docker(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("docker").args(arguments).output().context("docker")?;
    ensure!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
