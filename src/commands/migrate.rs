//! `rowcall migrate`

use anyhow::bail;
use clap::Args;
use rowcall::database;
use rowcall::settings::Settings;

/// What `rowcall migrate` is told.
// Each is a flag of its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Args)]
pub struct Migrate {
    /// Print the SQL that would run, and change nothing
    #[arg(long, conflicts_with_all = ["down_to", "status"])]
    dry_run: bool,
    /// Go back to this version; 0 removes Rowcall
    #[arg(long, value_name = "VERSION", conflicts_with = "status")]
    down_to: Option<i32>,
    /// With --down-to 0: drop rowcall.files with all its rows, too
    #[arg(long, requires = "down_to")]
    force: bool,
    /// Print the SQL that makes Rowcall's roles, for a superuser to run where this login may not; needs no database
    #[arg(long, conflicts_with_all = ["dry_run", "down_to", "status"])]
    print_roles: bool,
    /// Show which migrations are applied
    #[arg(long)]
    status: bool,
}

impl Migrate {
    /// Does it.
    pub async fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        if self.print_roles {
            print!("{}", database::roles_sql());
            return Ok(());
        }
        let mut client = super::connect(settings).await?;
        let waits = |what: &str| eprintln!("waiting for locks: {what}");
        if self.status {
            for m in database::migration_status(&client).await? {
                let applied =
                    m.applied.map_or_else(|| "not applied".to_owned(), |at| format!("applied {at}"));
                println!("{:>4}  {:<30} {applied}", m.version, m.name);
            }
            return Ok(());
        }
        if self.dry_run {
            let plan = database::plan(&mut client).await?;
            if plan.is_empty() {
                println!("-- nothing to do");
            } else {
                print!("{}", plan.sql());
            }
            return Ok(());
        }
        if let Some(version) = self.down_to {
            if version < 0 {
                bail!("--down-to {version}: versions count from 0");
            }
            if version == 0 && !self.force {
                bail!(
                    "--down-to 0 drops rowcall.files with all its rows, and the history; add --force if that is meant"
                );
            }
            let running = database::running_dispatchers(&client).await?;
            if !running.is_empty() {
                bail!(
                    "--down-to: dispatchers are at work on this database: {}; stop them first",
                    running.join(", ")
                );
            }
            let undone = database::migrate_down(&mut client, version, waits).await?;
            if undone.is_empty() {
                println!("nothing to do: the schema is not above version {version}");
            }
            for m in undone {
                println!("took back migration {} {}", m.version, m.name);
            }
            return Ok(());
        }
        let plan = database::migrate(&mut client, waits).await?;
        if plan.is_empty() {
            println!("nothing to do: the schema is at version {}", database::SCHEMA_VERSION);
        }
        for line in plan.summary() {
            println!("applied {line}");
        }
        Ok(())
    }
}
