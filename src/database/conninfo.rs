//! The two forms of a connection string, `postgresql://…?key=value` and `key=value key='val ue'`: some keys are
//! taken out, the rest stays as it was.

use std::collections::BTreeMap;

/// Keys and their values.
pub type Pairs = BTreeMap<String, String>;

/// Takes these keys out of a connection string; returns what is left, and them. Of a key that comes twice the last
/// counts, as in libpq.
pub fn take_out(text: &str, keys: &[&str]) -> Result<(String, Pairs), String> {
    if text.starts_with("postgresql://") || text.starts_with("postgres://") {
        of_url(text, keys)
    } else {
        of_words(text, keys)
    }
}

fn of_url(text: &str, keys: &[&str]) -> Result<(String, Pairs), String> {
    // A question mark in a password is part of it to the driver, so it must be to us.
    let authority = text.find('@').map_or(0, |at| at + 1);
    let Some(question) = text[authority..].find('?').map(|at| authority + at) else {
        return Ok((text.to_owned(), Pairs::new()));
    };
    let mut ours = Pairs::new();
    let mut left = Vec::new();
    for pair in text[question + 1..].split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if keys.contains(&key) {
            let value =
                decoded(value).ok_or_else(|| format!("the value of {key} is not percent-encoded UTF-8"))?;
            ours.insert(key.to_owned(), value);
        } else {
            left.push(pair);
        }
    }
    let mut rest = text[..question].to_owned();
    if !left.is_empty() {
        rest = format!("{rest}?{}", left.join("&"));
    }
    Ok((rest, ours))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push((digit(rest.next())? * 16 + digit(rest.next())?) as u8);
    }
    String::from_utf8(bytes).ok()
}

fn of_words(text: &str, keys: &[&str]) -> Result<(String, Pairs), String> {
    let mut ours = Pairs::new();
    let mut rest = String::new();
    let mut characters = text.trim_start();
    while !characters.is_empty() {
        // The text before the first = may be a password in the wrong place, so the error does not repeat it.
        let (key, after) = characters.split_once('=').ok_or("a word is not of the form key=value")?;
        let key = key.trim_end();
        let (value, after) = value(after.trim_start()).ok_or("a quote is not closed")?;
        if keys.contains(&key) {
            ours.insert(key.to_owned(), value);
        } else {
            let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
            rest.extend([key, "='", &quoted, "' "]);
        }
        characters = after.trim_start();
    }
    Ok((rest.trim_end().to_owned(), ours))
}

/// The value that a text begins with, without quotes and backslashes, and what comes after it.
fn value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            space if space.is_whitespace() && !quoted => return Some((value, &text[at..])),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (String, Vec<(String, String)>) {
        let (rest, ours) = take_out(text, &["sslmode", "auth"]).unwrap();
        (rest, ours.into_iter().collect())
    }

    #[test]
    fn keys_are_taken_out_of_urls() {
        let one = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        assert_eq!(taken("postgresql://h/d"), ("postgresql://h/d".to_owned(), vec![]));
        assert_eq!(
            taken("postgres://u:p?w@h/d?a=1&sslmode=verify%2Dfull&b=%20"),
            ("postgres://u:p?w@h/d?a=1&b=%20".to_owned(), one("sslmode", "verify-full"))
        );
        assert_eq!(
            taken("postgres://h/d?sslmode=a&sslmode=b"),
            ("postgres://h/d".to_owned(), one("sslmode", "b"))
        );
        assert!(take_out("postgres://h/d?sslmode=%zz", &["sslmode"]).unwrap_err().contains("sslmode"));
    }

    #[test]
    fn keys_are_taken_out_of_words() {
        let one = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        assert_eq!(
            taken(r"host = h  password='it\'s \\ it' sslmode=verify-full user=a\ b"),
            (r"host='h' password='it\'s \\ it' user='a b'".to_owned(), one("sslmode", "verify-full"))
        );
        assert_eq!(taken("host=h auth=''"), ("host='h'".to_owned(), one("auth", "")));
        assert!(take_out("host=h secret", &[]).is_err_and(|error| !error.contains("secret")));
    }
}
