//! `rowcall import`

use std::io::Write as _;

use clap::{Args, Subcommand};
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
    /// Import fargate_config, lambda_config and email_config from Locaria's table of parameters
    ///
    /// Prints the plan, in words and as SQL, and changes nothing without --apply. With it, one transaction does all.
    /// Repeating the import is safe: it updates the rows that it made, and names and keeps rows that were edited since.
    /// The login must own Locaria's table of files and be a member of rowcall_admin.
    Locaria(Locaria),
}

/// What `rowcall import locaria` is told.
// Each is a wish of its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Args)]
struct Locaria {
    /// Make the changes
    #[arg(long)]
    apply: bool,
    /// The schema of Locaria's tables
    #[arg(long, value_name = "SCHEMA", default_value = "locaria_core")]
    schema: String,
    /// The usage to import, where a configuration has several
    #[arg(long, value_name = "USAGE", default_value = "SYSTEM")]
    usage: String,
    /// Start the function NAME at STATUS: for a function that Locaria's trigger does not start, or to change its status.
    /// CONFIG.NAME if two configurations have a function of that name
    #[arg(long = "route", value_name = "NAME=STATUS", value_parser = route)]
    routes: Vec<(String, String)>,
    /// The NOTIFY channel that announces statuses; locaria_file_status by default, if Locaria broadcasts them
    #[arg(long, value_name = "CHANNEL")]
    notify_channel: Option<String>,
    /// The table whose rows start the functions of email_config
    #[arg(long, value_name = "SCHEMA.TABLE")]
    messages_table: Option<String>,
    /// Drop the triggers by which Locaria dispatches, in the same transaction
    #[arg(long)]
    replace_trigger: bool,
    /// Add a trigger that lets no update take a row of the files out of the status DELETED
    #[arg(long)]
    keep_deleted: bool,
    /// Also overwrite rows of rowcall.parameters that were edited since the last import, or made by hand
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
        let mut client = super::connect(settings).await?;
        if !asked.apply {
            let plan = locaria::look(&mut client, &options).await?;
            println!("{}", plan.text());
            println!(
                "Nothing was changed{}.",
                if plan.is_empty() { "" } else { "; --apply makes the changes" }
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
