//! A client for MCP servers over stdio: JSON-RPC, one message a line. The server is a program in the sandbox of this
//! process. Of the protocol only tools are used.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use schemas::agent::McpServer;
use serde_json::{Value, json};

/// The revision of the protocol that is asked for.
const VERSION: &str = "2025-06-18";
/// How long a server may take for an answer, unless its entry says otherwise.
const PATIENCE: Duration = Duration::from_mins(2);
/// Longest line of a server.
const LINE_MAX: u64 = 8 * 1024 * 1024;
/// Most tools of one server.
const TOOLS_MAX: usize = 256;

/// A running server.
#[derive(Debug)]
pub(crate) struct Client {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<Value>,
    patience: Duration,
    number: u64,
}

/// A tool of a server.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    /// Its name.
    pub(super) name: String,
    /// What it does.
    pub(super) description: String,
    /// JSON Schema of its arguments.
    pub(super) schema: Value,
}

impl Client {
    /// Starts a server and shakes hands.
    pub(crate) fn start(server: &McpServer, cwd: &str, env: &[(String, String)]) -> Result<Self, String> {
        let program =
            server.command.as_deref().ok_or("it names no `command`: only stdio servers are supported")?;
        let mut command = Command::new(program);
        command.args(server.args.iter().flatten()).current_dir(cwd).env_clear();
        command.envs(env.iter().map(|(name, value)| (name, value))).envs(server.env.iter().flatten());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child =
            command.spawn().map_err(|error| format!("`{program}` could not be started: {error}"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else { return Err("it has no pipes".to_owned()) };
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || read_lines(stdout, &sender));
        let patience = server.timeout.map_or(PATIENCE, Duration::from_millis);
        let mut client = Self { child, stdin, lines, patience, number: 0 };
        let hello = json!({
            "protocolVersion": VERSION, "capabilities": {},
            "clientInfo": {"name": "q", "version": env!("CARGO_PKG_VERSION")},
        });
        client.request("initialize", &hello)?;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(client)
    }

    /// Its tools.
    pub(super) fn tools(&mut self) -> Result<Vec<Tool>, String> {
        let mut tools = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let parameters = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
            let page = self.request("tools/list", &parameters)?;
            for tool in page["tools"].as_array().into_iter().flatten() {
                if let Some(name) = tool["name"].as_str() {
                    tools.push(Tool {
                        name: name.to_owned(),
                        description: tool["description"].as_str().unwrap_or_default().to_owned(),
                        schema: tool["inputSchema"].clone(),
                    });
                }
            }
            cursor = page["nextCursor"].clone();
            if cursor.is_null() || tools.len() >= TOOLS_MAX {
                tools.truncate(TOOLS_MAX);
                return Ok(tools);
            }
        }
    }

    /// Calls a tool; gives the result as the server sent it.
    pub(crate) fn call_tool(&mut self, tool: &str, arguments: &Value) -> Result<Value, String> {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Calls a tool, which may take so long; gives its text.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value, limit: Duration) -> Result<String, String> {
        let patience = self.patience;
        self.patience = limit.min(patience);
        let result = self.call_tool(tool, arguments);
        self.patience = patience;
        let result = result?;
        let parts = result["content"].as_array().into_iter().flatten();
        let texts: Vec<String> =
            parts.map(|part| part["text"].as_str().map_or_else(|| part.to_string(), str::to_owned)).collect();
        let text = texts.join("\n");
        if result["isError"] == true { Err(text) } else { Ok(text) }
    }

    fn send(&mut self, message: &Value) -> Result<(), String> {
        let line = format!("{message}\n");
        self.stdin.write_all(line.as_bytes()).map_err(|error| format!("the server does not listen: {error}"))
    }

    /// Asks, and waits for the answer to this question; what comes between is passed over.
    fn request(&mut self, method: &str, parameters: &Value) -> Result<Value, String> {
        self.number += 1;
        let id = self.number;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters}))?;
        let deadline = Instant::now() + self.patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.lines.recv_timeout(left).map_err(|error| match error {
                mpsc::RecvTimeoutError::Timeout => {
                    format!("the server did not answer `{method}` within {} ms", self.patience.as_millis())
                }
                mpsc::RecvTimeoutError::Disconnected => "the server has ended".to_owned(),
            })?;
            if message["id"] == id && message.get("method").is_none() {
                return match message.get("error") {
                    Some(error) => Err(error["message"].as_str().unwrap_or("an error").to_owned()),
                    None => Ok(message["result"].clone()),
                };
            }
            // A question of the server: nothing that it may ask for is offered.
            if let (Some(_), Some(asked)) = (message.get("method"), message.get("id")) {
                let error = json!({"code": -32601, "message": "not supported"});
                self.send(&json!({"jsonrpc": "2.0", "id": asked, "error": error}))?;
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // What it started goes with the namespace.
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Hands on what is JSON, line by line, until the server closes its end or writes a line without end.
fn read_lines(from: impl Read, to: &mpsc::Sender<Value>) {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut lines).take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(1..) if line.ends_with(b"\n") => {}
            Ok(_) | Err(_) => return,
        }
        if let Ok(message) = serde_json::from_slice(&line)
            && to.send(message).is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers with what it is told to, in order, whatever it is asked.
    fn scripted(answers: &[&str], timeout: u64) -> Result<Client, String> {
        let line = |answer: &&str| format!("read line; printf '%s\\n' '{answer}'\n");
        let script: String = answers.iter().map(line).collect();
        let server = McpServer {
            command: Some("/bin/sh".to_owned()),
            args: Some(vec!["-c".to_owned(), format!("{script} cat >/dev/null")]),
            timeout: Some(timeout),
            ..McpServer::default()
        };
        Client::start(&server, "/", &[])
    }

    const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18"}}"#;

    #[test]
    fn tools_are_listed_and_called() {
        let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
        let tools =
            r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"add","inputSchema":{"type":"object"}}]}}"#;
        let called = r#"{"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"3"}]}}"#;
        let mut client = scripted(&[HELLO, log, tools, called], 20_000).expect("it starts");
        let found = client.tools().expect("it answers");
        assert_eq!(found.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["add"]);
        assert_eq!(client.call("add", &json!({"a": 1}), Duration::from_secs(20)).as_deref(), Ok("3"));
        let late = client.call("add", &json!({}), Duration::from_millis(50));
        assert_eq!(late, Err("the server did not answer `tools/call` within 50 ms".to_owned()));
    }

    #[test]
    fn a_server_that_ends_hangs_or_errs_is_an_error() {
        assert_eq!(
            scripted(&[], 50).map(|_| ()),
            Err("the server did not answer `initialize` within 50 ms".to_owned())
        );
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#;
        assert_eq!(scripted(&[error], 20_000).map(|_| ()), Err("no".to_owned()));
        let server = McpServer { command: Some("/bin/true".to_owned()), ..McpServer::default() };
        assert!(Client::start(&server, "/", &[]).is_err());
        assert!(Client::start(&McpServer::default(), "/", &[]).is_err_and(|why| why.contains("stdio")));
    }
}
