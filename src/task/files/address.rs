//! Where a file is, or is to go.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// In S3, or in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// Written `s3://bucket/key`; the key is taken as it stands, without percent signs.
    S3 {
        /// Where.
        bucket: String,
        /// Which object; one that is empty or ends in `/` means what lies below.
        key: String,
    },
    /// Written `file:///path`, with percent signs, or `/path`, without.
    File(PathBuf),
}

impl Address {
    /// None for a text of another form; an error for one that has the form and still cannot be an address.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let wrong = |why: &str| Err(format!("{text} {why}; the forms are s3://bucket/key and file:///path"));
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return wrong("names no bucket");
            }
            return Ok(Some(Self::S3 { bucket: bucket.to_owned(), key: key.to_owned() }));
        }
        let path = match text.strip_prefix("file://") {
            Some(rest) => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                if !path.starts_with('/') {
                    return wrong("names a file of another machine, or by a path that is not absolute");
                }
                decode(path)
            }
            None if text.starts_with('/') => text.as_bytes().to_vec(),
            None => return Ok(None),
        };
        if path.contains(&0) {
            return wrong("holds a NUL character");
        }
        Ok(Some(Self::File(OsString::from_vec(path).into())))
    }

    /// Whether it means what lies below it.
    pub fn is_folder(&self) -> bool {
        match self {
            Self::S3 { key, .. } => key.is_empty() || key.ends_with('/'),
            Self::File(path) => path.as_os_str().as_bytes().ends_with(b"/"),
        }
    }

    /// The same as a folder, however it was written.
    pub fn into_folder(self) -> Self {
        match self {
            Self::S3 { bucket, mut key } => {
                if !key.is_empty() && !key.ends_with('/') {
                    key.push('/');
                }
                Self::S3 { bucket, key }
            }
            // An empty last step is a slash at the end.
            Self::File(path) => Self::File(path.join("")),
        }
    }

    /// A file in this folder.
    pub fn below(&self, name: &str) -> Self {
        match self {
            Self::S3 { bucket, key } => Self::S3 { bucket: bucket.clone(), key: format!("{key}{name}") },
            Self::File(path) => Self::File(path.join(name)),
        }
    }

    /// The last step of the way there; none for a folder, and for a name that is no text.
    pub fn name(&self) -> Option<&str> {
        let path = match self {
            Self::S3 { key, .. } => key.as_str(),
            Self::File(path) => path.to_str()?,
        };
        path.rsplit('/').next().filter(|name| !name.is_empty())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::File(path) => {
                f.write_str("file://")?;
                path.as_os_str().as_bytes().iter().try_for_each(|byte| match byte {
                    b'/' | b'-' | b'.' | b'_' | b'~' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                        write!(f, "{}", *byte as char)
                    }
                    other => write!(f, "%{other:02X}"),
                })
            }
        }
    }
}

/// A percent sign that no two digits follow stands for itself.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().iter();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digits = bytes.as_slice().get(..2).filter(|_| *byte == b'%');
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if code.is_some() {
            bytes.nth(1);
        }
        decoded.push(code.unwrap_or(*byte));
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Address {
        Address::parse(text).unwrap().unwrap()
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for (text, written) in [
            ("s3://bucket/a/b c%20ü?x#y.nc", "s3://bucket/a/b c%20ü?x#y.nc"),
            ("s3://bucket/a/", "s3://bucket/a/"),
            ("s3://bucket", "s3://bucket/"),
            ("file:///a%20b/%C3%BC.nc", "file:///a%20b/%C3%BC.nc"),
            ("file://localhost/a", "file:///a"),
            ("file:///100%/%zz", "file:///100%25/%25zz"),
            ("/a b/ü.nc", "file:///a%20b/%C3%BC.nc"),
        ] {
            assert_eq!(parsed(text).to_string(), written);
            assert_eq!(parsed(written), parsed(text));
        }
    }

    #[test]
    fn other_texts_are_none_and_broken_addresses_errors() {
        for text in ["", "a/b", "https://a/b", "S3://a/b", "s3:/a", "x s3://a/b"] {
            assert_eq!(Address::parse(text), Ok(None), "{text}");
        }
        for text in ["s3://", "s3:///key", "file://host/a", "file://a", "file:///a%00b", "/a\0b"] {
            assert!(Address::parse(text).unwrap_err().contains("s3://bucket/key"), "{text}");
        }
    }

    #[test]
    fn a_slash_at_the_end_means_what_lies_below() {
        for (text, folder, name) in [
            ("s3://b/a/x.nc", false, Some("x.nc")),
            ("s3://b/a/", true, None),
            ("s3://b", true, None),
            ("/a/x.nc", false, Some("x.nc")),
            ("file:///a/", true, None),
        ] {
            assert_eq!((parsed(text).is_folder(), parsed(text).name()), (folder, name), "{text}");
            assert!(parsed(text).into_folder().is_folder());
        }
        assert_eq!(parsed("s3://b/out").into_folder().below("x/y").to_string(), "s3://b/out/x/y");
        assert_eq!(parsed("s3://b").into_folder().below("x").to_string(), "s3://b/x");
        assert_eq!(parsed("/out").into_folder().below("x/y").to_string(), "file:///out/x/y");
    }
}
