//! Everything that talks to Postgres: connections, migrations, and the daemon's statements.
//!
//! A statement lives in its own file under `sql/queries` and is run by one function here.

mod address;
mod attempts;
mod claims;
mod columns;
mod connect;
mod connector;
mod conninfo;
mod dispatchers;
mod function_files;
mod grants;
mod ids;
mod jobs;
mod migrations;
mod notices;
mod notifications;
mod pooler;
mod previewing;
#[cfg(feature = "aws")]
mod rds_iam;
#[cfg(not(feature = "aws"))]
#[path = "without_rds_iam.rs"]
mod rds_iam;
mod reserve;
mod runner_names;
mod schema;
mod session;
mod settling;
mod source_rows;
mod statements;
mod tasks;
mod terms;
mod tls;
mod typed;
pub mod wake_lock;

pub use address::{Address, RdsRegion, Roots, SslMode, Tls};
pub use attempts::{
    LaunchesNoted, Marks, NewAttempt, OverdueAttempt, RescuedAttempt, TakenOver, attempts_over,
    end_attempts_without_job, give_back, mark_asked, mark_begun, mark_launched, overdue_attempts,
    rescue_attempts, start_at_once, start_jobs, taken_over, unmark_asked,
};
pub use claims::{
    Choice, Claim, ClaimedJob, KeyInUse, Since, UnkeyedJob, Wish, claim, claim_counted, claim_few,
    claim_unkeyed, jobs_without_concurrency_key, jobs_without_row, keys_in_use, lock_claims,
    set_concurrency_keys,
};
pub use columns::Unreadable;
pub use connect::{Database, DatabaseError, Failure, locked};
pub use connector::{ConnectError, Connector};
pub use dispatchers::{
    NewDispatcher, Registration, Seen, dispatcher_seen, dispatcher_stopped, dispatchers_here,
    register_dispatcher, running_dispatchers,
};
pub use grants::{GrantProblem, grant_problems, roles_sql, signs_in_as_task};
pub use jobs::{
    Promoted, block, block_unowned, defer, enqueue_missed, forget_dispatchers, keep_history, mark_obsolete,
    promote_waiting, refuse, release_all, release_owned,
};
pub use migrations::{Migration, MigrationStatus, Plan, migrate, migrate_down, migration_status, plan};
pub use notices::{drive, drive_and_tell, is_warning};
pub use notifications::{Notifications, Subscription, announce_jobs, notify};
pub use previewing::{preview, watched_table};
pub use schema::{SCHEMA_VERSION, SchemaError, Stamp, check_schema, read_stamp};
pub use session::{Session, Transaction};
pub use settling::{
    EndedAttempt, FinishedJob, OpenAttempt, RetriedJob, lock_for_settling, retry_jobs, settle_attempts,
    settled_elsewhere,
};
pub use source_rows::{
    RowProblem, RowWriting, SourceRow, TableRows, Writing, Written, source_rows, write_back,
};
pub use statements::{Statements, Values};
pub use tasks::{copied_from, instance, load_parameters};
pub use terms::{keep_terms, terms_of};
pub use typed::Typed;
