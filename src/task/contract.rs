//! What the dispatcher gives a task in its environment: for whom to speak, and where.

use std::time::Duration;

use super::Reporter;
use crate::database::{Address, Connector};

/// The names under which the dispatcher gives them.
pub const TOKEN: &str = "ROWCALL_TOKEN";
/// See [`TOKEN`].
pub const DATABASE_URL: &str = "ROWCALL_DATABASE_URL";

/// A variable that is set to something.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A connection that takes longer is given up, and tried again.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Reads the environment; says what is missing or wrong in it. The database is not called yet.
pub fn reporter() -> Result<(Reporter, Connector), String> {
    let (Some(token), Some(url)) = (variable(TOKEN), variable(DATABASE_URL)) else {
        return Err(
            "ROWCALL_TOKEN and ROWCALL_DATABASE_URL must be set; the dispatcher sets them for a task it \
                    launches (the second only if its setting tasks.database_url is filled)"
                .to_owned(),
        );
    };
    let connector = Address::parse(&url)
        .and_then(|address| Connector::new(address, CONNECT_LIMIT))
        .map_err(|error| format!("ROWCALL_DATABASE_URL: {error}"))?
        .named("rowcall-task");
    Ok((Reporter::new(connector.clone(), token), connector))
}
