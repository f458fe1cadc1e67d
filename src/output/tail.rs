//! The last bytes of what a program prints, however much that is.

use std::collections::VecDeque;
use std::io::Read;

/// What stands in the place of a secret.
const MASK: &str = "[masked]";

/// Keeps at most `limit` bytes, the latest.
#[derive(Debug)]
pub struct Tail {
    bytes: VecDeque<u8>,
    limit: usize,
    dropped: u64,
}

impl Tail {
    /// Empty.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { bytes: VecDeque::new(), limit, dropped: 0 }
    }

    /// Adds what was printed.
    pub fn push(&mut self, new: &[u8]) {
        let kept = &new[new.len().saturating_sub(self.limit)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(self.limit);
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
        self.dropped += (excess + new.len() - kept.len()) as u64;
    }

    /// As text Postgres can store: invalid UTF-8 and NUL become U+FFFD, and a cut is marked.
    #[must_use]
    pub fn text(&self) -> String {
        self.masked(&[])
    }

    /// The same without secrets, and without what the cut left of one.
    #[must_use]
    pub fn masked(&self, secrets: &[String]) -> String {
        let (a, b) = self.bytes.as_slices();
        let mut text = String::from_utf8_lossy(&[a, b].concat()).replace('\0', "\u{fffd}");
        if self.dropped > 0 {
            let cut = |secret: &String| {
                let suffixes = secret.char_indices().skip(1).map(|(i, _)| &secret[i..]);
                suffixes.filter(|suffix| text.starts_with(suffix)).map(str::len).next()
            };
            if let Some(length) = secrets.iter().filter_map(cut).max() {
                text.replace_range(..length, MASK);
            }
        }
        let text = mask(text, secrets);
        if self.dropped == 0 {
            text
        } else {
            format!("[{} bytes before this were dropped]\n{text}", self.dropped)
        }
    }
}

/// Reads a stream to its end, passing every piece on.
pub fn drain(mut stream: impl Read, mut each: impl FnMut(&[u8])) {
    let mut buffer = [0; 8192];
    // An error ends the stream as the end does: it cannot be reported, and the program's end says more.
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        each(&buffer[..n]);
    }
}

/// Replaces secrets that a program printed.
fn mask(text: String, secrets: &[String]) -> String {
    secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), MASK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_end_and_says_what_is_missing() {
        let mut tail = Tail::new(5);
        tail.push(b"abc");
        assert_eq!(tail.text(), "abc");
        tail.push(b"defg");
        assert_eq!(tail.text(), "[2 bytes before this were dropped]\ncdefg");
        tail.push(b"0123456789");
        assert_eq!(tail.text(), "[12 bytes before this were dropped]\n56789");
    }

    #[test]
    fn is_always_text_that_postgres_takes() {
        let mut tail = Tail::new(100);
        tail.push(b"a\0b\xff");
        assert_eq!(tail.text(), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn masks_secrets() {
        let secrets = ["s3cr3t-token".to_owned()];
        assert_eq!(mask("x s3cr3t-token y".into(), &secrets), "x [masked] y");
    }
    #[test]
    fn masks_what_a_cut_left_of_a_secret() {
        let secrets = ["s3cr3t-token".to_owned()];
        let mut tail = Tail::new(8);
        tail.push(b"s3cr3t-token yz");
        assert_eq!(tail.masked(&secrets), "[7 bytes before this were dropped]\n[masked] yz");
    }
}
