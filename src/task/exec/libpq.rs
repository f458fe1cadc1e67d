//! The database for programs that speak to it through libpq.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The database in libpq's own variables, so that `psql` and most drivers reach it without a connection string
/// on their command line, where every user of the machine could read the password. What is set already stays.
pub fn variables(config: &Config) -> Vec<(&'static str, String)> {
    let host = config.get_hosts().first().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let values = [
        ("PGHOST", host),
        ("PGPORT", config.get_ports().first().map(ToString::to_string)),
        ("PGUSER", config.get_user().map(str::to_owned)),
        ("PGPASSWORD", config.get_password().map(|p| String::from_utf8_lossy(p).into_owned())),
        ("PGDATABASE", config.get_dbname().map(str::to_owned)),
    ];
    if values.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return Vec::new();
    }
    values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
