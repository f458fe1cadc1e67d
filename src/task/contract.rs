//! What the dispatcher gives a task in its environment: for whom to speak, and where.

use tokio_postgres::Config;

use super::Reporter;
use crate::database::parse_url;

/// The names under which the dispatcher gives them.
pub const TOKEN: &str = "ROWCALL_TOKEN";
/// See [`TOKEN`].
pub const DATABASE_URL: &str = "ROWCALL_DATABASE_URL";

/// A variable that is set to something.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads the environment; says what is missing or wrong in it. The database is not called yet.
pub fn reporter() -> Result<(Reporter, Config), String> {
    let (Some(token), Some(url)) = (variable(TOKEN), variable(DATABASE_URL)) else {
        return Err(
            "ROWCALL_TOKEN and ROWCALL_DATABASE_URL must be set; the dispatcher sets them for a task it \
                    launches (the second only if its setting tasks.database_url is filled)"
                .to_owned(),
        );
    };
    let config = parse_url(&url).map_err(|error| format!("ROWCALL_DATABASE_URL: {error}"))?;
    Ok((Reporter::new(config.clone(), token), config))
}
