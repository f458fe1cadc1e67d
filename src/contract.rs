//! Names by which a dispatcher, a runner and `rowcall-task` understand each other; docs/tasks.md has them for people.

/// The number of the job.
pub const JOB: &str = "ROWCALL_JOB";
/// The number of the attempt within the job.
pub const ATTEMPT: &str = "ROWCALL_ATTEMPT";
/// What lets a task finish its own row.
pub const TOKEN: &str = "ROWCALL_TOKEN";
/// Where the task reports.
pub const DATABASE_URL: &str = "ROWCALL_DATABASE_URL";
/// `rowcall run-local`: the directory that takes the place of what a task fetches.
pub const LOCAL_INPUT: &str = "ROWCALL_LOCAL_INPUT";
/// `rowcall run-local`: the directory that takes the place of where a task stores.
pub const LOCAL_OUTPUT: &str = "ROWCALL_LOCAL_OUTPUT";
