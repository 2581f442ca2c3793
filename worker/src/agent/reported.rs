//! What agent programs print of themselves in their JSON forms: what they used, and where their answer stands. A program
//! is believed only as far as nothing better is known.

use ipc::message::Reported;
use schemas::json::Json;
use serde_json::Value;

use super::outcome;

/// The answer in one printed value; `None`: this is not it.
pub(super) fn answer(value: &Value) -> Option<Json> {
    let item = &value["item"];
    let text = match value {
        // Claude and its kin: `{"type":"result","result":…}`.
        Value::Object(members) if members.contains_key("result") => &value["result"],
        // Gemini: `{"response":…,"stats":…}`.
        Value::Object(members) if members.contains_key("stats") => &value["response"],
        // Codex: one event a line, of which one holds the message.
        Value::Object(_) if item["type"] == "agent_message" => &item["text"],
        Value::Object(members) if is_event(members) => return None,
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            return Json::from_serialize(value).ok();
        }
    };
    match text {
        Value::String(text) => Some(outcome::of_text(text)),
        Value::Null => None,
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Json::from_serialize(other).ok()
        }
    }
}

/// An event of Codex that holds no message.
fn is_event(members: &serde_json::Map<String, Value>) -> bool {
    let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
    ["thread.", "turn.", "item."].iter().any(|prefix| kind.starts_with(prefix))
}

/// What all printed values together say was used.
pub(super) fn used<'a>(values: impl Iterator<Item = &'a Value>) -> Option<Reported> {
    let mut all = Reported::default();
    for value in values {
        let usage = &value["usage"];
        add(
            &mut all.input_tokens,
            sum(usage, &["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]),
        );
        add(&mut all.output_tokens, usage["output_tokens"].as_u64());
        all.cost_usd = value["total_cost_usd"].as_f64().or(all.cost_usd);
        let turns = value["num_turns"].as_u64().map(|turns| u32::try_from(turns).unwrap_or(u32::MAX));
        all.requests = turns.or(all.requests);
        for model in value["stats"]["models"].as_object().into_iter().flat_map(serde_json::Map::values) {
            add(&mut all.input_tokens, model["tokens"]["prompt"].as_u64());
            add(&mut all.output_tokens, sum(&model["tokens"], &["candidates", "thoughts"]));
            let requests = model["api"]["totalRequests"].as_u64();
            let requests = requests.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            all.requests =
                requests.map(|count| all.requests.unwrap_or(0).saturating_add(count)).or(all.requests);
        }
    }
    (all != Reported::default()).then_some(all)
}

fn add(to: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *to = Some(to.unwrap_or(0).saturating_add(more));
    }
}

/// The sum of those members that are there.
fn sum(value: &Value, names: &[&str]) -> Option<u64> {
    let mut all = None;
    for name in names {
        add(&mut all, value[*name].as_u64());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: Option<&str>, reported: Option<Reported>) {
        let values: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("json")).collect();
        let found = values.iter().rev().find_map(answer);
        assert_eq!(found.as_ref().map(Json::as_str), expected, "{lines:?}");
        assert_eq!(used(values.iter()), reported, "{lines:?}");
    }

    fn tokens(input: u64, output: u64) -> Reported {
        Reported { input_tokens: Some(input), output_tokens: Some(output), ..Reported::default() }
    }

    #[test]
    fn the_forms_of_known_programs_are_read() {
        check(
            &[
                r#"{"type":"result","result":"{\"a\":1}","num_turns":3,"total_cost_usd":0.25,"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":4}}"#,
            ],
            Some(r#"{"a":1}"#),
            Some(Reported { requests: Some(3), cost_usd: Some(0.25), ..tokens(15, 4) }),
        );
        check(
            &[
                r#"{"type":"thread.started","thread_id":"x"}"#,
                r#"{"type":"item.completed","item":{"type":"agent_message","text":"done"}}"#,
                r#"{"type":"turn.completed","usage":{"input_tokens":7,"output_tokens":2}}"#,
                r#"{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}"#,
            ],
            Some(r#""done""#),
            Some(tokens(8, 3)),
        );
        check(
            &[
                r#"{"response":"so","stats":{"models":{"m":{"api":{"totalRequests":2},"tokens":{"prompt":9,"candidates":3,"thoughts":1}}}}}"#,
            ],
            Some(r#""so""#),
            Some(Reported { requests: Some(2), ..tokens(9, 4) }),
        );
    }

    #[test]
    fn any_other_value_is_the_answer_itself() {
        check(&[r#"{"result":{"a":1}}"#], Some(r#"{"a":1}"#), None);
        check(&[r#"{"a":1}"#], Some(r#"{"a":1}"#), None);
        check(&["[1]"], Some("[1]"), None);
        check(&[], None, None);
    }
}
