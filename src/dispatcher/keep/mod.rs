//! What keeps the rest in order: the rescuer adopts what dead dispatchers left, the janitor tidies.

pub mod janitor;
pub mod rescuer;
