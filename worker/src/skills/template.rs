//! `template`: text with values put into it. It knows names and ways into values, and nothing else: what comes out of
//! a step is data here, too.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    catalog::{Builtin, Needs},
    input::{self, BadInput},
    json_text, pointer,
    run::{Context, Failure, Value, value},
};

pub(super) const BUILTIN: Builtin = Builtin {
    name: "template",
    description: "Fills values into a text, at `{{name}}` or `${name}`.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "template": {"type": "string", "description": "`{{a.b[0]}}` and `${a.b[0]}` stand for values; `\\{{` and `$${` are text. In a definition `${` must be written `$${`: the engine fills it in otherwise."},
            "values": {"type": "object", "description": "Text is put in as it is, other values as compact JSON."}
        },
        "required": ["template"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": false
    }"#,
    idempotent: true,
    needs: Needs::Nothing,
    execute: Some(execute),
};

/// Longest text that is made.
const TEXT_MAX: usize = 16 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs<'a> {
    #[serde(default, deserialize_with = "input::present")]
    template: Option<String>,
    #[serde(borrow, default, deserialize_with = "input::present")]
    values: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Filled {
    text: String,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs<'_> = input::parse(inputs)?;
    let template = input::required(inputs.template, "template")?;
    if inputs.values.is_some_and(|values| !values.get().starts_with('{')) {
        return Err(BadInput::new("/values", "expected an object").into());
    }
    let mut text = String::new();
    let mut rest = template.as_str();
    while let Some((at, open)) = next_opening(rest) {
        let before = &rest[..at];
        if let Some(plain) = before.strip_suffix(open.escape) {
            text.push_str(plain);
            text.push_str(open.begin);
            rest = &rest[at + open.begin.len()..];
            continue;
        }
        text.push_str(before);
        let inner = &rest[at + open.begin.len()..];
        let end = inner
            .find(open.end)
            .ok_or_else(|| BadInput::new("/template", format!("`{}` is never closed", open.begin)))?;
        text.push_str(&look_up(inner[..end].trim(), inputs.values)?);
        if text.len() > TEXT_MAX {
            return Err(Failure::permanent("TOO_LARGE", format!("the text is over {TEXT_MAX} bytes")));
        }
        rest = &inner[end + open.end.len()..];
    }
    text.push_str(rest);
    value(&Filled { text })
}

/// A way to write the place of a value.
struct Opening {
    begin: &'static str,
    end: &'static str,
    /// Before it: the opening is text.
    escape: char,
}

const OPENINGS: [Opening; 2] =
    [Opening { begin: "{{", end: "}}", escape: '\\' }, Opening { begin: "${", end: "}", escape: '$' }];

fn next_opening(text: &str) -> Option<(usize, &'static Opening)> {
    OPENINGS.iter().filter_map(|open| Some((text.find(open.begin)?, open))).min_by_key(|(at, _)| *at)
}

#[derive(Serialize)]
struct Missing<'a> {
    name: &'a str,
}

fn look_up(name: &str, values: Option<&RawValue>) -> Result<String, Failure> {
    let way = way(name).ok_or_else(|| {
        BadInput::new(
            "/template",
            format!("`{name}` is no name of a value, such as `user.name` or `list[0]`"),
        )
    })?;
    let found = values.and_then(|values| pointer::resolve(values, &way).ok());
    let found = found.ok_or_else(|| {
        Failure::permanent("MISSING_VALUE", format!("there is no value `{name}`"))
            .with_details(&Missing { name })
    })?;
    json_text::plain_text(found).map_err(|error| BadInput::new("/values", error.to_string()).into())
}

/// The JSON pointer of `a.b[0]`.
fn way(name: &str) -> Option<String> {
    let mut way = String::new();
    for part in name.split('.') {
        let (key, mut indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        let is_key = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if key.is_empty() || !key.chars().all(is_key) {
            return None;
        }
        pointer::push(&mut way, key);
        while !indices.is_empty() {
            let (index, rest) = indices.strip_prefix('[')?.split_once(']')?;
            if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            pointer::push(&mut way, index);
            indices = rest;
        }
    }
    Some(way)
}

#[cfg(test)]
mod tests {
    use crate::skills::testing::{bad_input, error, value};

    #[test]
    fn values_are_filled_in() {
        let check = |template: &str, text: &str| {
            let inputs = format!(
                r#"{{"template":"{template}","values":{{"name":"Ann","n":1.50,"user":{{"tags":["a",{{"b":true}}]}},"odd":"{{{{name}}}}"}}}}"#
            );
            value("template", &inputs, &format!(r#"{{"text":"{text}"}}"#));
        };
        check("Hello, {{name}}!", "Hello, Ann!");
        check("Hello, ${ name }!", "Hello, Ann!");
        check("{{n}} {{ user.tags[0] }}${user.tags[1].b}", "1.50 atrue");
        check("{{user.tags[1]}}", r#"{\"b\":true}"#);
        check("{{odd}}", "{{name}}");
        check(r"\\{{name}} $${name} $ { {", "{{name}} ${name} $ { {");
    }

    #[test]
    fn text_without_names_needs_no_values() {
        value("template", r#"{"template":"plain"}"#, r#"{"text":"plain"}"#);
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = error("template", r#"{"template":"{{a.b}}","values":{"a":{}}}"#, "MISSING_VALUE");
        assert_eq!(missing.details.as_ref().map(schemas::json::Json::as_str), Some(r#"{"name":"a.b"}"#));
        error("template", r#"{"template":"{{a}}"}"#, "MISSING_VALUE");
    }

    #[test]
    fn wrong_templates_are_refused() {
        bad_input("template", r#"{"template":"{{a"}"#, "/template", "`{{` is never closed");
        bad_input(
            "template",
            r#"{"template":"${1 + a}"}"#,
            "/template",
            "`1 + a` is no name of a value, such as `user.name` or `list[0]`",
        );
        bad_input("template", r#"{"template":"","values":[]}"#, "/values", "expected an object");
        bad_input("template", "{}", "/template", "`template` is required");
    }
}
