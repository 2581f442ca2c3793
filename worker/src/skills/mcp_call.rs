//! `mcp-call`: calls one tool of an MCP server, which is started for it in the step's sandbox and ended with it.

use std::{env, fs::File, io::Read as _, path::PathBuf};

use schemas::agent::{KIRO_MCP_FILES, LEGACY_MCP_FILES, McpFile, McpServer};
use serde::{Deserialize, Serialize};
use serde_json::Value as Tree;

use super::{
    catalog::{Builtin, Needs},
    duration::{Span, whole_milliseconds},
    http_inputs,
    input::{self, BadInput},
    program::check_argument,
    run::{Context, Failure, Value, value},
};
use crate::agent::mcp::Client;

pub(super) const BUILTIN: Builtin = Builtin {
    name: "mcp-call",
    description: "Calls a tool of an MCP server that speaks over stdio.",
    inputs: r#"{
        "type": "object",
        "properties": {
            "server": {
                "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
                "description": "The server's program and its arguments; or, as text, the name of a server in `.amazonq/mcp.json` or `.kiro/settings/mcp.json`, else a command whose words are parted by spaces. No shell reads it."
            },
            "tool": {"type": "string", "minLength": 1},
            "arguments": {"type": "object", "description": "None by default."},
            "timeout": {"type": ["integer", "string"], "default": "30s", "description": "Of each answer of the server: whole seconds, or text like \"250ms\", \"1m30s\"."}
        },
        "required": ["server", "tool"],
        "additionalProperties": false
    }"#,
    outputs: r#"{
        "type": "object",
        "properties": {
            "content": {"type": "array", "description": "What the tool gave, as the server sent it."},
            "structured": {"description": "The structured part of it; `null` if there is none."}
        },
        "required": ["content", "structured"],
        "additionalProperties": false
    }"#,
    idempotent: false,
    needs: Needs::Network,
    execute: Some(execute),
};

/// Where servers have names, in order; relative to the working directory, then to the user's home.
const NAMED_IN: [&str; 2] = [LEGACY_MCP_FILES[0], KIRO_MCP_FILES[0]];
const NAMED_AT_HOME: [&str; 2] = [LEGACY_MCP_FILES[1], KIRO_MCP_FILES[1]];
/// Longest such file.
const FILE_MAX: u64 = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    #[serde(default, deserialize_with = "input::present")]
    server: Option<Tree>,
    #[serde(default, deserialize_with = "input::present")]
    tool: Option<String>,
    #[serde(default, deserialize_with = "input::present")]
    arguments: Option<Tree>,
    #[serde(default, deserialize_with = "input::present")]
    timeout: Option<Span>,
}

#[derive(Serialize)]
struct Called {
    content: Tree,
    structured: Tree,
}

fn execute(inputs: &str, _: &Context) -> Result<Value, Failure> {
    let inputs: Inputs = input::parse(inputs)?;
    let tool = input::required(inputs.tool, "tool")?;
    let timeout = whole_milliseconds(http_inputs::timeout(inputs.timeout)?);
    let server = McpServer { timeout: Some(timeout), ..server(&input::required(inputs.server, "server")?)? };
    let arguments = inputs.arguments.unwrap_or_else(|| Tree::Object(serde_json::Map::new()));
    if !arguments.is_object() {
        return Err(BadInput::new("/arguments", "expected an object").into());
    }
    let env: Vec<(String, String)> = env::vars().collect();
    let mut client = Client::start(&server, ".", &env)
        .map_err(|why| Failure::passing("SERVER_FAILED", format!("the MCP server did not start: {why}")))?;
    let mut result = client
        .call_tool(&tool, &arguments)
        .map_err(|why| Failure::passing("CALL_FAILED", format!("the tool `{tool}` gave no result: {why}")))?;
    let (content, structured) = (result["content"].take(), result["structuredContent"].take());
    if result["isError"] == true {
        let said = content.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
        let said: Vec<_> = said.collect();
        let message = format!("the tool `{tool}` failed: {}", said.join("\n"));
        return Err(Failure::permanent("TOOL_FAILED", message).with_details(&Called { content, structured }));
    }
    let content = if content.is_array() { content } else { Tree::Array(Vec::new()) };
    value(&Called { content, structured })
}

/// The server that is meant.
fn server(given: &Tree) -> Result<McpServer, Failure> {
    let words: Vec<String> = match given {
        Tree::String(text) => {
            if let Some(server) = named(text) {
                return Ok(server);
            }
            text.split_whitespace().map(str::to_owned).collect()
        }
        Tree::Array(_) => serde_json::from_value(given.clone())
            .map_err(|_| BadInput::new("/server", "expected text or a list of texts"))?,
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Object(_) => {
            return Err(BadInput::new("/server", "expected text or a list of texts").into());
        }
    };
    for word in &words {
        check_argument(word, || "/server".to_owned())?;
    }
    let Some((program, arguments)) = words.split_first() else {
        return Err(BadInput::new("/server", "it names no program").into());
    };
    let (command, args) = (Some(program.clone()), Some(arguments.to_vec()));
    Ok(McpServer { command, args, ..McpServer::default() })
}

/// The first server of that name; a file that cannot be read has none.
fn named(name: &str) -> Option<McpServer> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let at_home = home.iter().flat_map(|home| NAMED_AT_HOME.iter().map(|file| home.join(file)));
    let files = NAMED_IN.iter().map(PathBuf::from).chain(at_home);
    files.filter_map(|file| read(&file)?.servers.remove(name)).find(|server| server.disabled != Some(true))
}

fn read(file: &PathBuf) -> Option<McpFile> {
    let mut text = Vec::new();
    File::open(file).ok()?.take(FILE_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::skills::testing::{bad_input, error, value};

    const HELLO: &str =
        r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}"#;

    /// Inputs with a server that shakes hands and answers the call with this.
    fn answered(answer: &str) -> String {
        // It hears: initialize, initialized, the call.
        let script = format!("read a; printf '%s\\n' '{HELLO}'; read b; read c; printf '%s\\n' '{answer}'");
        json!({"server": ["sh", "-c", script], "tool": "add", "arguments": {"n": 1}}).to_string()
    }

    fn result(result: &Value) -> String {
        answered(&json!({"jsonrpc": "2.0", "id": 2, "result": result}).to_string())
    }

    #[test]
    fn gives_what_the_tool_gave() {
        let content = json!([{"type": "text", "text": "3"}]);
        value(
            "mcp-call",
            &result(&json!({"content": content, "structuredContent": {"sum": 3}})),
            r#"{"content":[{"text":"3","type":"text"}],"structured":{"sum":3}}"#,
        );
        value("mcp-call", &result(&json!({})), r#"{"content":[],"structured":null}"#);
    }

    #[test]
    fn failures_of_tool_and_server_are_told_apart() {
        let failed = json!({"isError": true, "content": [{"type": "text", "text": "no such number"}]});
        let failed = error("mcp-call", &result(&failed), "TOOL_FAILED");
        assert!(failed.message.contains("no such number") && !failed.retryable, "{failed:?}");
        let refused =
            json!({"jsonrpc": "2.0", "id": 2, "error": {"code": -32602, "message": "unknown tool"}});
        let refused = error("mcp-call", &answered(&refused.to_string()), "CALL_FAILED");
        assert!(refused.message.contains("unknown tool"), "{refused:?}");
        error("mcp-call", r#"{"server":"/nowhere/program x","tool":"t"}"#, "SERVER_FAILED");
        error("mcp-call", r#"{"server":["true"],"tool":"t"}"#, "SERVER_FAILED");
        let silent = r#"{"server":["sh","-c","read a; read b"],"tool":"t","timeout":"100ms"}"#;
        assert!(error("mcp-call", silent, "SERVER_FAILED").retryable);
    }

    #[test]
    fn refuses_bad_inputs() {
        bad_input("mcp-call", r#"{"tool":"t"}"#, "/server", "`server` is required");
        bad_input("mcp-call", r#"{"server":[],"tool":"t"}"#, "/server", "it names no program");
        bad_input("mcp-call", r#"{"server":5,"tool":"t"}"#, "/server", "expected text or a list of texts");
        bad_input(
            "mcp-call",
            r#"{"server":"x","tool":"t","arguments":[]}"#,
            "/arguments",
            "expected an object",
        );
    }
}
