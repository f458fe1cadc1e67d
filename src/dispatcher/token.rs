//! Tokens: what lets a task finish its own row and nothing else.
//!
//! A token is derived from the installation's secret and the attempt's launch key, so that a launch repeated
//! after a crash, by any dispatcher, carries the same token although the database keeps only its hash. It begins with the attempt's
//! number, by which the attempt is found: an index of hashes would cost each attempt more than all its other indexes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::job::AttemptId;

/// The token of a launch: the attempt's number, a full stop, and 32 bytes as 43 characters.
pub fn token(secret: &[u8], attempt_id: AttemptId, launch_key: &str) -> String {
    // HMAC takes keys of any length; the error type cannot occur.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(launch_key.as_bytes());
    format!("{attempt_id}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// What the database keeps of it.
pub fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_repeatable_and_belongs_to_one_launch() {
        let id = AttemptId::new(7);
        let first = token(b"secret", id, "rowcall-1");
        assert_eq!((&first[..2], first.len()), ("7.", 45));
        assert_eq!(first, token(b"secret", id, "rowcall-1"));
        assert_ne!(first, token(b"secret", id, "rowcall-2"));
        assert_ne!(first, token(b"other", id, "rowcall-1"));
    }
}
