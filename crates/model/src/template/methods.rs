//! The Python string and mapping methods that chat templates in the wild call.

use minijinja::value::from_args;
use minijinja::{Error, ErrorKind, State, Value};

/// Answers `value.method(args)` for a method that minijinja does not know.
pub(super) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        return on_text(text, method, args);
    }
    match method {
        "items" => state.apply_filter("items", std::slice::from_ref(value)),
        "get" => {
            let (key, default): (&str, Option<Value>) = from_args(args)?;
            let found = value.get_attr(key)?;
            Ok(if found.is_undefined() { default.unwrap_or(Value::from(())) } else { found })
        }
        _ => Err(unknown(method)),
    }
}

fn on_text(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let cut = |args: &[Value]| -> Result<Vec<char>, Error> {
        let (set,): (Option<&str>,) = from_args(args)?;
        Ok(set.map(|set| set.chars().collect()).unwrap_or_default())
    };
    let drop =
        |set: &[char], c: char| if set.is_empty() { c.is_whitespace() } else { set.contains(&c) };
    Ok(match method {
        "strip" => cut(args).map(|set| Value::from(text.trim_matches(|c| drop(&set, c))))?,
        "lstrip" => cut(args).map(|set| Value::from(text.trim_start_matches(|c| drop(&set, c))))?,
        "rstrip" => cut(args).map(|set| Value::from(text.trim_end_matches(|c| drop(&set, c))))?,
        "startswith" => from_args(args).map(|(p,): (&str,)| Value::from(text.starts_with(p)))?,
        "endswith" => from_args(args).map(|(p,): (&str,)| Value::from(text.ends_with(p)))?,
        "upper" => Value::from(text.to_uppercase()),
        "lower" => Value::from(text.to_lowercase()),
        "replace" => {
            from_args(args).map(|(from, to): (&str, &str)| Value::from(text.replace(from, to)))?
        }
        "split" => {
            let (separator,): (&str,) = from_args(args)?;
            if separator.is_empty() {
                return Err(Error::new(ErrorKind::InvalidOperation, "empty separator"));
            }
            Value::from(text.split(separator).map(Value::from).collect::<Vec<_>>())
        }
        _ => return Err(unknown(method)),
    })
}

fn unknown(method: &str) -> Error {
    Error::new(ErrorKind::UnknownMethod, format!("there is no method {method:.32}"))
}
