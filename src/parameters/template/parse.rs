//! From text to a template, as `sql/functions/templates/template_parse.sql` and `template_expression.sql` read it.

use super::tokens::{Token, Tokens};
use super::{Filter, Operand, Part, Root, Step, Term};

/// Bounds on the work that one template can ask for; an argument needs two or three expressions.
const MOST_EXPRESSIONS: usize = 100;
/// In characters, with the `}}`.
const LONGEST_EXPRESSION: usize = 1000;

const JOB_MEMBERS: [&str; 5] = ["id", "task", "attempt", "row_key", "on_status"];

/// What is wrong with an expression.
enum Problem<'a> {
    Said(String),
    /// What should stand in the place of this token, or of the end.
    Expected(&'static str, Option<Token<'a>>),
}

/// The parts of a template.
pub fn template(text: &str) -> Result<Vec<Part>, String> {
    let (mut parts, mut rest, mut expressions) = (Vec::new(), text, 0);
    while let Some(place) = opening(rest) {
        let (before, from) = rest.split_at(place);
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        let Some(inside) = from.strip_prefix("{{") else {
            let (shown, sign) = (begin(from, 20), begin(from, 2));
            return Err(format!(
                "{shown}: a template has no blocks and no comments; for the characters {sign}, write {{{{ '{sign}' }}}}"
            ));
        };
        if expressions == MOST_EXPRESSIONS {
            return Err(format!("it has more than {MOST_EXPRESSIONS} expressions"));
        }
        let (terms, length) = expression(inside).map_err(|error| format!("{}: {error}", shown(from)))?;
        let (source, after) = from.split_at(length + 2);
        parts.push(Part::Expression { source: source.to_owned(), terms });
        rest = after;
        expressions += 1;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

/// How an error shows an expression: as far as its `}}`, and no more of it than a line takes.
pub fn shown(source: &str) -> &str {
    let end = source.find("}}").map_or(source.len(), |place| place + 2);
    begin(source.get(..end).unwrap_or(source), 80)
}

/// Where the next `{{`, `{%` or `{#` is.
pub fn opening(text: &str) -> Option<usize> {
    let signs = ["{{", "{%", "{#"];
    signs.iter().filter_map(|sign| text.find(sign)).min()
}

/// So many characters from the beginning.
fn begin(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// One expression, given from after its `{{`, and how many bytes it took with its `}}`.
fn expression(source: &str) -> Result<(Vec<Term>, usize), String> {
    let window = begin(source, LONGEST_EXPRESSION);
    let mut tokens = Tokens::of(window);
    match terms(&mut tokens) {
        Ok(terms) => Ok((terms, tokens.place())),
        Err(Problem::Said(error)) => Err(error),
        Err(Problem::Expected(wanted, Some(token))) if !matches!(token.text(), "'" | "\"") => {
            Err(format!("expected {wanted}, found {}", begin(token.text(), 40)))
        }
        Err(_) if window.len() < source.len() => {
            Err(format!("an expression may have {LONGEST_EXPRESSION} characters"))
        }
        Err(Problem::Expected(_, Some(_))) => Err("a string in quotes is not closed".to_owned()),
        Err(Problem::Expected(_, None)) => Err("\"{{\" is not closed by \"}}\"".to_owned()),
    }
}

fn terms<'a>(tokens: &mut Tokens<'a>) -> Result<Vec<Term>, Problem<'a>> {
    let mut terms = Vec::new();
    loop {
        let operand = operand(tokens)?;
        terms.push(Term { operand, filters: filters(tokens)? });
        match tokens.take() {
            Some(Token::End) => return Ok(terms),
            Some(Token::Name("or")) => {}
            other => return Err(Problem::Expected("\"|\", \"or\" or \"}}\"", other)),
        }
    }
}

fn operand<'a>(tokens: &mut Tokens<'a>) -> Result<Operand, Problem<'a>> {
    let token = tokens.take();
    let root = match token {
        Some(Token::String(..) | Token::Integer(_)) => {
            return literal(token, "an integer of at most 18 digits without leading zeros")
                .map(Operand::Literal);
        }
        Some(Token::Name("row")) => Root::Row,
        Some(Token::Name("job")) => Root::Job,
        Some(Token::Name("values")) => Root::Values,
        Some(Token::Name(name)) if name != "or" => {
            let name = begin(name, 40);
            return Err(Problem::Said(format!(
                "there is no name {name}; a template sees row, job and values"
            )));
        }
        other => return Err(Problem::Expected("a name, a string or an integer", other)),
    };
    let mut steps = Vec::new();
    while let Some(step) = step(tokens)? {
        if root == Root::Job && steps.is_empty() {
            let member = match &step {
                Step::Member(member) => member.clone(),
                Step::Item(item) => item.to_string(),
            };
            if !JOB_MEMBERS.contains(&member.as_str()) || matches!(step, Step::Item(_)) {
                return Err(Problem::Said(format!(
                    "job has no member {}; it has id, task, attempt, row_key and on_status",
                    begin(&member, 40)
                )));
            }
        }
        steps.push(step);
    }
    Ok(Operand::Path(root, steps))
}

/// The next step of a path, if it goes on.
fn step<'a>(tokens: &mut Tokens<'a>) -> Result<Option<Step>, Problem<'a>> {
    if tokens.takes(".") {
        return match tokens.take() {
            Some(Token::Name(name)) => Ok(Some(Step::Member(name.to_owned()))),
            other => Err(Problem::Expected("a name", other)),
        };
    }
    if !tokens.takes("[") {
        return Ok(None);
    }
    let token = tokens.take();
    let item = |digits: &str| match digits.len() {
        1..=9 if digits == "0" || !digits.starts_with(['0', '-']) => digits.parse().ok(),
        _ => None,
    };
    let step = match token {
        Some(Token::String(member, _)) => Some(Step::Member(member.to_owned())),
        Some(Token::Integer(digits)) => item(digits).map(Step::Item),
        _ => None,
    };
    let step = step.ok_or(Problem::Expected("a string or an integer from 0 to 999999999", token))?;
    closed(tokens, "]", "\"]\"").map(|()| Some(step))
}

fn filters<'a>(tokens: &mut Tokens<'a>) -> Result<Vec<Filter>, Problem<'a>> {
    let mut filters = Vec::new();
    while tokens.takes("|") {
        filters.push(match tokens.take() {
            Some(Token::Name("lower")) => Filter::Lower,
            Some(Token::Name("tojson")) => Filter::ToJson,
            Some(Token::Name("trim")) => Filter::Trim,
            Some(Token::Name("upper")) => Filter::Upper,
            Some(Token::Name("default")) => {
                closed(tokens, "(", "\"(\" after default")?;
                let value = literal(tokens.take(), "a string or an integer in default(...)")?;
                closed(tokens, ")", "\")\"")?;
                Filter::Default(value)
            }
            Some(Token::Name(name)) => {
                return Err(Problem::Said(format!(
                    "there is no filter {}; there are default, lower, tojson, trim and upper",
                    begin(name, 40)
                )));
            }
            other => return Err(Problem::Expected("a filter", other)),
        });
    }
    Ok(filters)
}

/// A string or an integer, as JSON.
fn literal<'a>(token: Option<Token<'a>>, wanted: &'static str) -> Result<String, Problem<'a>> {
    match token {
        Some(Token::String(content, _)) => Ok(serde_json::Value::from(content).to_string()),
        Some(Token::Integer("0")) => Ok("0".to_owned()),
        Some(Token::Integer(text)) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            if digits.len() > 18 || digits.starts_with('0') {
                return Err(Problem::Expected(wanted, token));
            }
            Ok(text.to_owned())
        }
        other => Err(Problem::Expected(wanted, other)),
    }
}

fn closed<'a>(tokens: &mut Tokens<'a>, sign: &str, wanted: &'static str) -> Result<(), Problem<'a>> {
    match tokens.take() {
        Some(Token::Other(found)) if found == sign => Ok(()),
        other => Err(Problem::Expected(wanted, other)),
    }
}
