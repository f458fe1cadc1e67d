//! The tokens of an expression, as `sql/functions/templates/template_tokens.sql` finds them.

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    Name(&'a str),
    Integer(&'a str),
    /// Of a string in quotes, its content, and with the quotes.
    String(&'a str, &'a str),
    /// `}}`
    End,
    /// Any other character by itself, such as the quote of a string that is not closed.
    Other(&'a str),
}

impl<'a> Token<'a> {
    /// As it stands in the template.
    pub fn text(self) -> &'a str {
        match self {
            Self::Name(text) | Self::Integer(text) | Self::String(_, text) | Self::Other(text) => text,
            Self::End => "}}",
        }
    }
}

/// Tokens one after the other, with a look at the next.
#[derive(Debug)]
pub struct Tokens<'a> {
    source: &'a str,
    place: usize,
}

impl<'a> Tokens<'a> {
    pub fn of(source: &'a str) -> Self {
        Self { source, place: 0 }
    }

    /// How many bytes were read.
    pub fn place(&self) -> usize {
        self.place
    }

    /// The next token; none where the source is at its end.
    pub fn take(&mut self) -> Option<Token<'a>> {
        let (token, place) = self.look()?;
        self.place = place;
        Some(token)
    }

    /// Takes the next token if it is this character.
    pub fn takes(&mut self, wanted: &str) -> bool {
        match self.look() {
            Some((Token::Other(found), place)) if found == wanted => {
                self.place = place;
                true
            }
            _ => false,
        }
    }

    fn look(&self) -> Option<(Token<'a>, usize)> {
        let rest = self.source.get(self.place..)?;
        let text = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let token = token(text)?;
        Some((token, self.place + rest.len() - text.len() + token.text().len()))
    }
}

fn token(text: &str) -> Option<Token<'_>> {
    let first = text.chars().next()?;
    if first.is_ascii_alphabetic() || first == '_' {
        let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        return text.get(..length).map(Token::Name);
    }
    let sign = usize::from(first == '-');
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        return text.get(..sign + digits).map(Token::Integer);
    }
    if text.starts_with("}}") {
        return Some(Token::End);
    }
    if matches!(first, '\'' | '"')
        && let Some((content, _)) = text.get(1..).and_then(|rest| rest.split_once(first))
    {
        return text.get(..content.len() + 2).map(|whole| Token::String(content, whole));
    }
    text.get(..first.len_utf8()).map(Token::Other)
}
