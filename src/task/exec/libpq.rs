//! The database for programs that speak to it through libpq.

use tokio_postgres::config::TargetSessionAttrs;

use crate::database::{Connector, Roots, SslMode};

/// Where any of these is set, the image speaks to a database of its own choice.
const WHERE_AND_WHO: [&str; 6] = ["PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"];

/// The database in libpq's own variables, so that `psql` and most drivers reach it without a connection string
/// on their command line, where every user of the machine could read the password. A variable that is set already
/// stays.
pub async fn variables(connector: &Connector) -> Vec<(String, String)> {
    let config = connector.config();
    let ports: Vec<String> = config.get_ports().iter().map(ToString::to_string).collect();
    let addresses: Vec<String> = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    let list = |values: Vec<String>| Some(values.join(",")).filter(|list| !list.is_empty());
    let target = match config.get_target_session_attrs() {
        TargetSessionAttrs::ReadWrite => Some("read-write".to_owned()),
        TargetSessionAttrs::ReadOnly => Some("read-only".to_owned()),
        _ => None,
    };
    // The driver has a time of its own; libpq waits for ever without a word.
    let timeout = config.get_connect_timeout().map(|limit| limit.as_secs().max(2).to_string());
    let password = connector.password().await.unwrap_or_else(|error| {
        // The program may do without.
        eprintln!("rowcall-task: PGPASSWORD is not set: {error}");
        None
    });
    let mut values = vec![
        // All of them: libpq tries one after the other, as we do.
        ("PGHOST", list(connector.hosts())),
        ("PGHOSTADDR", list(addresses)),
        ("PGPORT", list(ports)),
        ("PGTARGETSESSIONATTRS", target),
        ("PGOPTIONS", config.get_options().map(str::to_owned)),
        ("PGCONNECT_TIMEOUT", timeout),
        ("PGUSER", config.get_user().map(str::to_owned)),
        ("PGPASSWORD", password.map(|p| String::from_utf8_lossy(&p).into_owned())),
        ("PGDATABASE", config.get_dbname().map(str::to_owned)),
    ];
    let tls = connector.tls();
    // libpq's own default needs no word.
    if tls.mode != SslMode::Prefer {
        values.push(("PGSSLMODE", Some(tls.mode.word().to_owned())));
    }
    match &tls.roots {
        Roots::File(path) => values.push(("PGSSLROOTCERT", Some(path.display().to_string()))),
        // libpq knows the word since version 16, and without it takes nothing but its own file.
        Roots::Usual | Roots::System if connector.trusts_the_system() => {
            values.push(("PGSSLROOTCERT", Some("system".to_owned())));
        }
        Roots::Usual | Roots::System => {}
    }
    if let Some((certificate, key)) = &tls.identity {
        values.push(("PGSSLCERT", Some(certificate.display().to_string())));
        values.push(("PGSSLKEY", Some(key.display().to_string())));
    }
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if WHERE_AND_WHO.iter().any(|name| is_set(name)) {
        return Vec::new();
    }
    // Each of the others for itself; encryption goes with the address.
    let free = |name: &str| name.starts_with("PGSSL") || !is_set(name);
    values
        .into_iter()
        .filter(|(name, _)| free(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}
