//! What a DBA asks and does in SQL: `row_key`, `preview`, `explain`, `run`, `retry`, `cancel`, `pause`.

mod keys;
mod rendering;
