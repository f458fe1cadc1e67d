//! What a program prints: the end of it is kept, and secrets in it are masked.

mod secrets;
mod tail;

pub use secrets::{secrets, secrets_among, secrets_and};
pub use tail::{Tail, drain};
