//! Tokens: what lets a task finish its own row and nothing else.
//!
//! A token is derived from the installation's secret and the attempt's launch key, so that a launch repeated
//! after a crash, by any dispatcher, carries the same token although the database keeps only its hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The token of a launch: 32 bytes, as 43 characters.
pub fn token(secret: &[u8], launch_key: &str) -> String {
    // HMAC takes keys of any length; the error type cannot occur.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(launch_key.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
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
        let first = token(b"secret", "rowcall-1");
        assert_eq!(first.len(), 43);
        assert_eq!(first, token(b"secret", "rowcall-1"));
        assert_ne!(first, token(b"secret", "rowcall-2"));
        assert_ne!(first, token(b"other", "rowcall-1"));
    }
}
