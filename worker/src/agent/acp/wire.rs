//! Shapes of the messages of the Agent Client Protocol, as far as they are read or written here.

use std::collections::BTreeMap;

use schemas::agent::McpServer;
use serde_json::{Value, json};

use super::super::Error;

/// The answer to a request. Ids may come back as text.
pub(super) fn answer_to(id: Option<u64>, message: &Value) -> Option<Result<Value, Value>> {
    let id = id?;
    if message.get("method").is_some() {
        return None;
    }
    let same = message["id"] == id || message["id"].as_str().is_some_and(|text| text == id.to_string());
    same.then(|| match message.get("error").filter(|error| !error.is_null()) {
        Some(error) => Err(error.clone()),
        None => Ok(message["result"].clone()),
    })
}

/// An error of the agent as a failure.
pub(super) fn refused(method: &str, error: &Value) -> Error {
    let message = error["message"].as_str().unwrap_or("an error");
    let data = match &error["data"] {
        Value::Null => String::new(),
        Value::String(text) => format!(": {text}"),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            format!(": {other}")
        }
    };
    let text: String = format!("the agent answered `{method}` with an error: {message}{data}");
    Error::passing(text.chars().take(1000).collect::<String>())
}

/// A way to log in that takes the key that the environment holds.
pub(super) fn by_key(methods: &Value) -> Option<&str> {
    let ids = methods.as_array()?.iter().filter_map(|method| method["id"].as_str());
    ids.into_iter().find(|id| id.contains("api-key") || id.contains("api_key") || id.contains("apikey"))
}

/// A server as the protocol has it; one that is switched off is none.
pub(super) fn mcp_server(name: &str, server: &McpServer) -> Option<Value> {
    if server.disabled == Some(true) {
        return None;
    }
    let pairs = |map: &Option<BTreeMap<String, String>>| -> Vec<Value> {
        map.iter().flatten().map(|(name, value)| json!({"name": name, "value": value})).collect()
    };
    match (&server.command, &server.url) {
        (Some(command), _) => Some(json!({
            "name": name, "command": command, "args": server.args.as_deref().unwrap_or_default(),
            "env": pairs(&server.env),
        })),
        (None, Some(url)) => {
            Some(json!({"type": "http", "name": name, "url": url, "headers": pairs(&server.headers)}))
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_known_by_their_id_as_a_number_or_as_text() {
        let answer = |text: &str| answer_to(Some(2), &serde_json::from_str(text).expect("json"));
        assert_eq!(answer(r#"{"id":2,"result":1}"#), Some(Ok(json!(1))));
        assert_eq!(answer(r#"{"id":"2","result":1}"#), Some(Ok(json!(1))));
        assert_eq!(answer(r#"{"id":2,"error":{"code":1}}"#), Some(Err(json!({"code": 1}))));
        assert_eq!(answer(r#"{"id":2,"result":1,"error":null}"#), Some(Ok(json!(1))));
        assert_eq!(answer(r#"{"id":3,"result":1}"#), None);
        assert_eq!(answer(r#"{"id":2,"method":"x"}"#), None);
    }

    #[test]
    fn servers_are_handed_on() {
        let server = McpServer { command: Some("s".to_owned()), ..McpServer::default() };
        assert_eq!(
            mcp_server("n", &server),
            Some(json!({"name": "n", "command": "s", "args": [], "env": []}))
        );
        assert_eq!(mcp_server("n", &McpServer { disabled: Some(true), ..server }), None);
        assert_eq!(mcp_server("n", &McpServer::default()), None);
    }

    #[test]
    fn a_login_by_key_is_found() {
        let methods = json!([{"id": "chatgpt"}, {"id": "openai-api-key"}]);
        assert_eq!(by_key(&methods), Some("openai-api-key"));
        assert_eq!(by_key(&json!([{"id": "chatgpt"}])), None);
    }
}
