//! Everything that talks to Postgres: connections, migrations, and the daemon's statements.
//!
//! A statement lives in its own file under `sql/queries` and is run by one function here.

mod address;
mod attempts;
mod claims;
mod connect;
mod connector;
mod conninfo;
mod dispatchers;
mod function_files;
mod grants;
mod jobs;
mod migrations;
mod notifications;
mod previewing;
#[cfg(feature = "aws")]
mod rds_iam;
#[cfg(not(feature = "aws"))]
#[path = "without_rds_iam.rs"]
mod rds_iam;
mod schema;
mod settling;
mod source_rows;
mod tasks;
mod tls;

pub use address::{Address, RdsRegion, Roots, SslMode, Tls};
pub use attempts::{
    NewAttempt, Overdue, Rescued, TakenOver, attempts_over, mark_asked, mark_begun, mark_launched,
    overdue_attempts, rescue_attempts, start_jobs, taken_over, unmark_asked,
};
pub use claims::{Choice, Claim, Claimed, Unkeyed, claim, claim_in_turn, key_jobs, take_turn, unkeyed_jobs};
pub use connect::{Database, DatabaseError};
pub use connector::{ConnectError, Connector};
pub use dispatchers::{Registration, dispatcher_seen, dispatcher_stopped, register_dispatcher};
pub use grants::{GrantProblem, grant_problems, roles_sql};
pub use jobs::{be_careful, block, defer, janitor, mark_obsolete, promote_waiting};
pub use migrations::{Migration, MigrationStatus, Plan, migrate, migrate_down, migration_status, plan};
pub use notifications::{Notifications, Subscription, backend_pid, get_up, lie_down, lies_down, notify};
pub use previewing::{preview, watched_table};
pub use schema::{Guard, SCHEMA_VERSION, SchemaError, check_schema, guard};
pub use settling::{
    Ended, Finished, Open, Retried, finish_jobs, lock_for_settling, retry_jobs, settle_attempts,
    settled_elsewhere,
};
pub use source_rows::{RowWriting, SourceRow, Writing, Written, source_rows, write_back};
pub use tasks::{instance, load_parameters};
