//! `./dev demo`: a private Postgres, the dispatcher, and four rows. Apart from starting those two it does only what
//! a user would do: SQL on tables.

// Here a value of the wrong type may well panic.
#![allow(clippy::disallowed_methods)]

#[path = "../../tests/support/server.rs"]
mod server;

mod daemon;
mod place;
mod story;
mod view;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use place::Place;
use server::Server;
use tokio_postgres::{Client, NoTls};

fn main() -> anyhow::Result<()> {
    let (mut keep, mut image) = (false, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--keep" => keep = true,
            "--docker" => image = Some(arguments.next().context("--docker: which image? ./dev demo says")?),
            _ => bail!("usage: ./dev demo [--docker] [--keep]"),
        }
    }
    tokio::runtime::Runtime::new()?.block_on(run(keep, image))
}

async fn run(keep: bool, image: Option<String>) -> anyhow::Result<()> {
    let begun = Instant::now();
    let programs = std::env::current_exe()?;
    let programs = programs.parent().and_then(Path::parent).context("where am I?")?.to_owned();
    let directory = tempfile::Builder::new().prefix("rowcall-demo-").tempdir()?.keep();

    let place = match image {
        Some(image) => Place::Containers { image },
        None => Place::Processes { programs: programs.clone() },
    };

    println!("Starting a private PostgreSQL server…");
    let server = Server::start(&[]).map_err(anyhow::Error::msg)?;
    let admin = connect(&server.url("postgres")).await?;
    admin.batch_execute("create database demo").await?;
    let url = server.url("demo");

    println!("$ rowcall migrate");
    daemon::migrate(&programs, &url)?;
    let client = connect(&url).await?;
    let task_url = story::prepare(&client, &url, &place, &directory).await?;

    if let Place::Containers { image } = &place {
        println!("$ rowcall serve        # each task a container of {image}");
    } else {
        println!("$ rowcall serve");
    }
    let daemon = daemon::Daemon::start(&programs, &url, &task_url, &directory, &place)?;

    let outcome = tokio::select! {
        outcome = story::tell(&client, begun) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let outcome = match outcome {
        Ok(()) => match story::check(&client, &directory).await {
            Ok(()) => story::leaves_nothing(&client, &place).await,
            wrong => wrong,
        },
        Err(error) => Err(error),
    };
    view::table(&client).await?;
    if let Err(error) = outcome {
        println!("\nNot as it should be: {error:#}\n\nThe dispatcher's log:\n{}", daemon.log());
        drop(daemon);
        place.tidy(&client).await?;
        remove(&directory);
        bail!("the demo failed");
    }
    println!("\nEverything went as it should, in {:.1} s.", begun.elapsed().as_secs_f64());
    if keep {
        let log = directory.join("serve.log");
        let daemon_pid = daemon.keep();
        let stop = server.keep();
        println!(
            "\nBoth run on. Try:\n    psql {url}\n\
             \n    INSERT INTO rowcall.files (attributes) VALUES ('{{\"path\": \"examples/data/airports.csv\", \"table\": \"again\"}}');\n    \
             SELECT id, status, attributes FROM rowcall.files;\n    \
             UPDATE rowcall.parameters SET max_attempts = 5 WHERE name = 'file_loader';   -- no restart\n    \
             SELECT task, row_key, state, due_at, reason FROM rowcall.jobs;\n    \
             SELECT task, number, outcome, exit_code, output FROM rowcall.attempts;\n\
             \nThe dispatcher's log:  tail -f {}\nTo end it all:\n    kill {daemon_pid}; {stop}; rm -r {}",
            log.display(),
            directory.display()
        );
    } else {
        remove(&directory);
        println!(
            "\nWhat to try next:\n    \
             ./dev demo --keep         the same, and leaves it running for you to play with\n    \
             ./dev demo --docker       the same, each task a container\n    \
             examples/README.md        the two tasks, to copy\n    \
             config/rowcall.toml       every setting"
        );
    }
    Ok(())
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn remove(directory: &PathBuf) {
    let _ = std::fs::remove_dir_all(directory);
}
