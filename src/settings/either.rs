//! What is allowed, as errors name it: the same form as `rowcall_internal.either()` has for what is written in SQL.

/// Words as a sentence names them: `a, b or c`.
#[must_use]
pub fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::either;

    #[test]
    fn words_are_named_as_a_sentence_names_them() {
        for (words, said) in
            [(&["a"][..], "a"), (&["a", "b"], "a or b"), (&["a", "b", "c"], "a, b or c"), (&[], "")]
        {
            assert_eq!(either(words), said);
        }
    }
}
