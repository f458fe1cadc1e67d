//! The line of an output that tells most of a failure.

/// Words by which programs name what went wrong.
const WORDS: [&str; 5] = ["error", "exception", "fatal", "panic", "failed"];

/// Lines from the end in which such a word is looked for: what comes before is about something else.
const LOOKED_AT: usize = 10;

/// The last line that is not empty. Where that names no failure and one of the lines before it does, such as the error
/// before its hint, both.
#[must_use]
pub fn telling_line(output: &str) -> Option<String> {
    let lines: Vec<&str> =
        output.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(LOOKED_AT).collect();
    let names_a_failure = |line: &&&str| {
        let line = line.to_lowercase();
        WORDS.iter().any(|word| line.contains(word))
    };
    let last = *lines.first()?;
    match lines.iter().find(names_a_failure) {
        Some(error) if *error != last => Some(format!("{error} … {last}")),
        _ => Some(last.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_told_with_the_hint_that_follows_it() {
        let output = "Traceback (most recent call last):\n  File \"x.py\", line 3\n\
            psycopg.errors.UndefinedFunction: function f(unknown) does not exist\nLINE 1: select f($1)\n  ^\n\
            HINT:  No function matches the given name and argument types.\n\n";
        assert_eq!(
            telling_line(output).unwrap(),
            "psycopg.errors.UndefinedFunction: function f(unknown) does not exist … HINT:  No function matches the given name \
             and argument types."
        );
        assert_eq!(telling_line("starting\nError: no such file\n"), Some("Error: no such file".to_owned()));
        assert_eq!(telling_line("0 errors\na\nb\nc\nd\ne\nf\ng\nh\ni\nbye\n"), Some("bye".to_owned()));
        assert_eq!(telling_line(" \n"), None);
    }
}
