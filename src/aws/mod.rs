//! What every caller of AWS needs: the HTTP client, and what an error says about the call.

pub mod fault;
pub mod http;
