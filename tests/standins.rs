//! That the stand-ins for AWS do what the tests of the runners take for granted, asked by AWS's own clients.

mod on_ministack;
mod on_moto;
