//! What a DBA asks and does in SQL: `row_key`, `preview`, `explain`, `run`, `retry`, `cancel`, `pause`.

mod acting;
mod cancelling;
mod command;
mod explaining;
mod keys;
mod previewing;
mod restoring;
