//! What keeps the rest in order: the rescuer adopts what dead dispatchers left, the janitor tidies,
//! and rows that a trigger missed get their jobs.

mod adopt;
pub mod janitor;
pub mod missed_rows;
pub mod rescuer;
