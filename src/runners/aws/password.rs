//! Requests to AWS are read by many: every role that may call DescribeTasks sees the overrides of a task, and a function's
//! event lies in queues and logs. No password goes there.

/// Whether a connection string has a password in it. One with options that only libpq knows is searched for what looks
/// like a password.
#[must_use]
pub fn has_password(url: &str) -> bool {
    match url.parse::<tokio_postgres::Config>() {
        Ok(config) => config.get_password().is_some(),
        Err(_) => {
            let user =
                url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next()?.rsplit_once('@'));
            url.contains("password") || user.is_some_and(|(user, _)| user.contains(':'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_in_every_form() {
        assert!(!has_password(""));
        assert!(!has_password("postgresql://rowcall_task@db.example:5432/app"));
        assert!(has_password("postgresql://rowcall_task:secret@db.example:5432/app"));
        assert!(has_password("host=db user=u password=secret"));
        assert!(has_password("postgresql://u@db/app?sslrootcert=x&password=secret"));
        assert!(has_password("postgresql://u:secret@db/app?sslmode=verify-full"));
        assert!(!has_password("postgresql://u@db:5432/app?sslmode=verify-full"));
    }
}
