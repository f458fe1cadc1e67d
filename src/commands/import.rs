//! `rowcall import`

use std::io::Write as _;

use clap::{Args, Subcommand};
use rowcall::database;
use rowcall::import::locaria;
use rowcall::settings::Settings;

/// What `rowcall import` is told.
#[derive(Args)]
pub struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Subcommand)]
enum From {
    /// What Locaria dispatches by: fargate_config, lambda_config and email_config of its table of parameters
    ///
    /// Prints what it will do, for a person and as SQL, and changes nothing without --apply. Then all of it is done in
    /// one transaction. Repeating it is safe: rows that it made are brought up to date, rows that somebody changed
    /// since are named and left. The login must own Locaria's table of files and be a member of rowcall_admin.
    Locaria(Locaria),
}

/// What `rowcall import locaria` is told.
// Each is a wish of its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Args)]
struct Locaria {
    /// Do it
    #[arg(long)]
    apply: bool,
    /// The schema of Locaria's tables
    #[arg(long, value_name = "SCHEMA", default_value = "locaria_core")]
    schema: String,
    /// Which row, where one name stands with several usages
    #[arg(long, value_name = "USAGE", default_value = "SYSTEM")]
    usage: String,
    /// The status at which a function starts that Locaria's trigger starts at none, or another status for one that it
    /// does; CONFIG.NAME if two configurations have the name
    #[arg(long = "route", value_name = "NAME=STATUS", value_parser = route)]
    routes: Vec<(String, String)>,
    /// The channel on which statuses are announced; locaria_file_status if Locaria broadcast them
    #[arg(long, value_name = "CHANNEL")]
    notify_channel: Option<String>,
    /// The table whose rows start the functions of email_config
    #[arg(long, value_name = "SCHEMA.TABLE")]
    messages_table: Option<String>,
    /// Drop the triggers by which Locaria dispatches, in the same transaction
    #[arg(long)]
    replace_trigger: bool,
    /// Let no program take a row of the files out of the status DELETED, by a trigger of its own
    #[arg(long)]
    keep_deleted: bool,
    /// Also rows of rowcall.parameters that somebody changed since the last import, or made
    #[arg(long)]
    overwrite: bool,
}

impl Import {
    /// Does it.
    pub async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let From::Locaria(asked) = self.from;
        let options = locaria::Options {
            schema: asked.schema,
            usage: asked.usage,
            routes: asked.routes.into_iter().collect(),
            notify_channel: asked.notify_channel,
            messages_table: asked.messages_table,
            replace_trigger: asked.replace_trigger,
            keep_deleted: asked.keep_deleted,
            overwrite: asked.overwrite,
        };
        let mut client = database::Database::new(&settings.database)?.get().await?;
        if !asked.apply {
            let plan = locaria::look(&mut client, &options).await?;
            println!("{}", plan.text());
            println!(
                "Nothing was changed{}.",
                if plan.is_empty() { "" } else { "; with --apply, it is done" }
            );
            return Ok(());
        }
        let tell = |plan: &locaria::Plan| {
            println!("{}", plan.text());
            // Before anything is done, also where standard output is a file.
            let _ = std::io::stdout().flush();
        };
        let plan = locaria::apply(&mut client, &options, tell).await?;
        if !plan.is_empty() {
            print!("{}", plan.done());
        }
        Ok(())
    }
}

fn route(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, status)) if !name.is_empty() && !status.is_empty() => {
            Ok((name.to_owned(), status.to_owned()))
        }
        _ => Err("the form is NAME=STATUS, such as openactive=OPENACTIVE_REQUESTED".to_owned()),
    }
}
