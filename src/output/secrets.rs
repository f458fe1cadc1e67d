//! What must not be repeated from a program's output: secrets that its environment gives it.

use crate::database::Address;

/// A shorter value is more often a word than a secret, and would riddle the output with masks.
const SHORTEST: usize = 8;

/// The secrets in this process' environment, which its program has too; the longest first, so that none is cut
/// by another that it contains.
#[must_use]
pub fn secrets() -> Vec<String> {
    secrets_and(&[])
}

/// The same with the variables that only the program has.
#[must_use]
pub fn secrets_and(more: &[(String, String)]) -> Vec<String> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    secrets_among(variables.chain(more.iter().cloned()))
}

/// The same among variables that another process has.
#[must_use]
pub fn secrets_among(variables: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let in_url = password_as_written(&value).map(str::to_owned);
        if in_url.is_some() || name == "ROWCALL_DATABASE_URL" || sounds_secret(&name) {
            found.extend(in_url);
            found.extend(password(&value));
            found.push(value);
        }
    }
    found.retain(|secret| secret.len() >= SHORTEST);
    found.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.dedup();
    found
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["PASSWORD", "PASSWD", "TOKEN", "SECRET", "_KEY"].iter().any(|end| name.ends_with(end))
}

/// The password in a database URL; a program may print it alone.
fn password(url: &str) -> Option<String> {
    let address = Address::parse(url).ok()?;
    Some(String::from_utf8_lossy(address.config.get_password()?).into_owned())
}

/// The same in any URL, with its percent signs.
fn password_as_written(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user_info, _) = authority.rsplit_once('@')?;
    user_info.split_once(':').map(|(_, password)| password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, value: &str) -> Vec<String> {
        secrets_among([(name.to_owned(), value.to_owned())].into_iter())
    }

    #[test]
    fn variables_named_like_secrets_hold_secrets() {
        for name in ["DB_PASSWORD", "PGPASSWORD", "api_token", "AWS_SECRET_ACCESS_KEY", "CLIENT_SECRET"] {
            assert_eq!(found(name, "s3cr3t-value"), ["s3cr3t-value"], "{name}");
        }
        for name in ["PATH", "AWS_ACCESS_KEY_ID", "MONKEY", "TOKENS"] {
            assert!(found(name, "s3cr3t-value").is_empty(), "{name}");
        }
        assert!(found("DB_PASSWORD", "short").is_empty());
    }

    #[test]
    fn passwords_in_urls_are_secrets_also_alone() {
        let url = "postgresql://u:hunter2%40home@db/x";
        assert_eq!(found("ROWCALL_DATABASE_URL", url), [url, "hunter2%40home", "hunter2@home"]);
        assert_eq!(
            found("BROKER", "amqp://u:hunter2-mq@mq:5672"),
            ["amqp://u:hunter2-mq@mq:5672", "hunter2-mq"]
        );
        assert!(found("HOME_PAGE", "https://example.org/a:b@c").is_empty());
    }
}
