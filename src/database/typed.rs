//! Types of values as Postgres has them. A statement says them itself, so that the server need not be asked for them first.

use serde_json::Value;
use tokio_postgres::types::{ToSql, Type};

use crate::job::{AttemptId, DispatcherId, JobId, RunnerName};

/// A value that knows its type.
pub trait Typed: ToSql + Sync {
    /// Its type.
    fn own_type(&self) -> Type;
}

impl<T: HasType + ToSql + Sync> Typed for T {
    fn own_type(&self) -> Type {
        T::TYPE
    }
}

/// A Rust type whose values are of one type of Postgres.
pub trait HasType {
    /// That type.
    const TYPE: Type;
}

/// One of which there are arrays.
pub trait Element {
    /// The type of one.
    const ONE: Type;
    /// The type of an array of them.
    const ARRAY: Type;
}

macro_rules! elements {
    ($($rust:ty => $one:ident, $array:ident;)+) => {$(
        impl Element for $rust {
            const ONE: Type = Type::$one;
            const ARRAY: Type = Type::$array;
        }

        impl HasType for $rust {
            const TYPE: Type = Type::$one;
        }
    )+};
}

elements! {
    bool => BOOL, BOOL_ARRAY;
    i32 => INT4, INT4_ARRAY;
    i64 => INT8, INT8_ARRAY;
    u32 => OID, OID_ARRAY;
    f64 => FLOAT8, FLOAT8_ARRAY;
    str => TEXT, TEXT_ARRAY;
    String => TEXT, TEXT_ARRAY;
    [u8] => BYTEA, BYTEA_ARRAY;
    Value => JSONB, JSONB_ARRAY;
    JobId => INT8, INT8_ARRAY;
    AttemptId => INT8, INT8_ARRAY;
    DispatcherId => INT8, INT8_ARRAY;
    RunnerName => TEXT, TEXT_ARRAY;
}

impl<T: Element + ?Sized> Element for &T {
    const ONE: Type = T::ONE;
    const ARRAY: Type = T::ARRAY;
}

impl<T: Element> Element for Option<T> {
    const ONE: Type = T::ONE;
    const ARRAY: Type = T::ARRAY;
}

impl<T: HasType + ?Sized> HasType for &T {
    const TYPE: Type = T::TYPE;
}

impl<T: HasType> HasType for Option<T> {
    const TYPE: Type = T::TYPE;
}

impl<T: Element> HasType for Vec<T> {
    const TYPE: Type = T::ARRAY;
}

impl<T: Element> HasType for [T] {
    const TYPE: Type = T::ARRAY;
}
