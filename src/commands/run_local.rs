//! `rowcall run-local`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use rowcall::runners::docker::run_local as local;
use rowcall::task::list_files;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What `rowcall run-local` is told.
#[derive(Args)]
pub struct RunLocal {
    /// The task's image
    #[arg(value_name = "IMAGE")]
    task: String,
    /// The directory that the program reads; it cannot write there
    #[arg(long, value_name = "DIR")]
    input: PathBuf,
    /// The directory that the program writes to; made if it is not there
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// The path of the input directory in the container
    #[arg(long, value_name = "PATH", default_value = "/input")]
    container_input: String,
    /// The path of the output directory in the container
    #[arg(long, value_name = "PATH", default_value = "/output")]
    container_output: String,
    /// An environment variable for the program; without a value, that of this process
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = variable)]
    environment: Vec<(String, String)>,
    /// User in the container, such as 1000:1000, or `image` for the image's own. By default the caller's, so that what the program
    /// writes belongs to the caller
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Network of the container, such as host or none, if not the engine's default
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// When the image is pulled
    #[arg(long, value_name = "WHEN", default_value = "missing", value_parser = ["missing", "always", "never"])]
    pull: String,
    /// The program's arguments, as parameters.command has them; without any, the image's own
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) => Err("write a name before the =".to_owned()),
        None => match std::env::var(text) {
            Ok(value) => Ok((text.to_owned(), value)),
            Err(_) => Err(format!("{text} is not set; write {text}=VALUE")),
        },
    }
}

impl RunLocal {
    /// Does it; the exit code of the program is that of this process.
    pub async fn run(self) -> anyhow::Result<()> {
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        // A terminal that is closed says the last.
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let mut signals = kinds.into_iter().map(signal).collect::<Result<Vec<_>, _>>()?;
        let told = [stop.clone(), kill.clone()];
        tokio::spawn(async move {
            for told in told {
                super::any(&mut signals).await;
                told.cancel();
            }
        });
        let run = local::Run {
            image: self.task,
            input: self.input,
            output: self.output,
            input_in_container: self.container_input,
            output_in_container: self.container_output,
            command: self.command,
            environment: self.environment,
            user: self.user,
            network: self.network,
            pull: self.pull,
        };
        let variables =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let code = local::run(&run, &variables.collect(), &stop, &kill).await?;
        if let Err(error) = tell_files(&run.output).await {
            let directory = run.output.display();
            // The terminal may be gone.
            let _ = writeln!(
                std::io::stderr(),
                "rowcall run-local: the files in {directory} cannot be listed: {error:#}"
            );
            // The program's own trouble goes before ours.
            std::process::exit(if code == 0 { 1 } else { code });
        }
        std::process::exit(code);
    }
}

/// Tells on standard output what the program has made.
async fn tell_files(directory: &Path) -> anyhow::Result<()> {
    let files = list_files(directory).await.map_err(anyhow::Error::msg)?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&json!({ "files": files }))?)?;
    Ok(())
}
