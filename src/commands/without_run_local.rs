//! In the place of `rowcall run-local` in a build without Docker.

use clap::Args;
use rowcall::job::RunnerName;
use rowcall::runners::not_built_in;

/// Takes any arguments, so that what is missing is the first thing said.
#[derive(Args)]
pub struct RunLocal {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _anything: Vec<String>,
}

#[allow(clippy::unused_async)]
impl RunLocal {
    /// Says so.
    pub async fn run(self) -> anyhow::Result<()> {
        anyhow::bail!(not_built_in(RunnerName::Docker))
    }
}
