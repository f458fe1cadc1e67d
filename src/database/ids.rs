//! Ids as Postgres has them, of type bigint. They go into statements and come out of rows as what they are.

use std::error::Error;

use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_util::bytes::BytesMut;

use crate::job::{AttemptId, DispatcherId, JobId};

macro_rules! bigints {
    ($($name:ident),+) => {$(
        impl ToSql for $name {
            fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
                self.get().to_sql(ty, out)
            }

            fn accepts(ty: &Type) -> bool {
                <i64 as ToSql>::accepts(ty)
            }

            to_sql_checked!();
        }

        impl<'a> FromSql<'a> for $name {
            fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
                i64::from_sql(ty, raw).map(Self::new)
            }

            fn accepts(ty: &Type) -> bool {
                <i64 as FromSql<'_>>::accepts(ty)
            }
        }
    )+};
}

bigints!(JobId, AttemptId, DispatcherId);
