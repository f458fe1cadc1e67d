//! What every test stands on: a fresh migrated database, a dispatcher in this process, and waiting on signals.

mod authority;
pub mod aws;
mod container;
mod database;
mod dispatching;
mod fake_runner;
mod fifo;
mod pgbouncer;
mod programs;
mod proxy;
mod server;
mod sources;
pub mod standins;
mod tls_front;

pub use authority::Authority;
pub use database::{ADMIN, DAEMON, LOGIN_PASSWORD, TASKS, TestDatabase, VIEWER, login};
pub use dispatching::{
    FakeKind, Running, hear_beats, process_settings, settings, settings_as_owner, start_process,
};
pub use fake_runner::{Launched, World};
pub use fifo::Fifo;
pub use pgbouncer::{Bouncer, PgBouncer, SHARED};
pub use programs::{log_to, rowcall, rowcall_task};
pub use proxy::{Lane, Lanes, Proxy};
pub use server::{Server, server_program, succeed, unprivileged};
pub use sources::files_below;
pub use tls_front::{SignIn, TlsFront};
