//! The language of templates: text, and `{{ … }}` with names, literals, `or` and five filters. No more, so that
//! the SQL functions `rowcall_internal.template_parse` and `rowcall.render` can say exactly the same; tests compare the two.
//!
//! Everything is bounded: expressions, their length, what is rendered. Nothing here recurses, neither over a template
//! nor over a value, so that no row can stall or abort the daemon.

mod evaluate;
mod json;
mod parse;
mod tokens;

pub use evaluate::Context;
pub use json::spelled_as_jsonb;

/// No runner takes more, and a row may hold a string of any length. In bytes.
const LONGEST: usize = 1_048_576;

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Expression { source: String, terms: Vec<Term> },
}

/// What stands between two "or".
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    operand: Operand,
    filters: Vec<Filter>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operand {
    /// As JSON.
    Literal(String),
    Path(Root, Vec<Step>),
}

/// What a template sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Row,
    Job,
    Values,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    /// With the value, as JSON, that takes the place of what is missing or null.
    Default(String),
    Lower,
    ToJson,
    Trim,
    Upper,
}

/// The template that renders a text as it stands.
#[must_use]
pub fn literally(text: &str) -> String {
    let (mut template, mut rest) = (String::new(), text);
    while let Some(place) = parse::opening(rest) {
        let (before, from) = rest.split_at(place);
        let (sign, after) = from.split_at(2);
        template.extend([before, "{{ '", sign, "' }}"]);
        rest = after;
    }
    template + rest
}

impl Template {
    /// Reads a template. The error names the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::template(text).map(|parts| Self { parts })
    }

    /// The string that it makes of a row, or the first error with its place.
    pub fn render(&self, context: &Context<'_>) -> Result<String, String> {
        let mut rendered = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => rendered.push_str(text),
                Part::Expression { source, terms } => {
                    let value = evaluate::expression(terms, context)
                        .map_err(|error| format!("{}: {error}", parse::shown(source)))?;
                    rendered.push_str(&value);
                }
            }
            if rendered.len() > LONGEST {
                return Err(format!("the rendered string has more than {LONGEST} bytes"));
            }
        }
        Ok(rendered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_as_it_is_literally() {
        let context = Context::new("{}", &serde_json::Value::Null, &serde_json::Value::Null);
        for text in ["", "plain", "a {{ b }} {% c %} {# d #} {{{%# ü {", "{{ '{{' }}"] {
            assert_eq!(Template::parse(&literally(text)).unwrap().render(&context).as_deref(), Ok(text));
        }
        assert_eq!(literally("{ a }"), "{ a }");
    }
}
