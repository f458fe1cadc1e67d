//! "Did you mean": the same measure and the same words as `rowcall_internal.similar_word()` has for what is written in SQL.

/// A longer word resembles none of ours.
const LONGEST: usize = 63;

/// The word that was probably meant: the one with the fewest letters inserted, deleted, replaced or exchanged with their
/// neighbour; the first of several. Two such mistakes are allowed, three in a long word; with more it is another word.
fn similar_word<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = typed.chars().count();
    if length > LONGEST {
        return None;
    }
    let fewest = 1 + length.min(9) / 3;
    words
        .into_iter()
        .map(|word| (strsim::osa_distance(typed, word), word))
        .filter(|(mistakes, _)| *mistakes < fewest)
        .min_by_key(|(mistakes, _)| *mistakes)
        .map(|(_, word)| word)
}

/// The end of an error about a word that is not one of these: `; did you mean cluster?`, or nothing.
pub fn did_you_mean<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    similar_word(typed, words).map_or_else(String::new, |word| format!("; did you mean {word}?"))
}
