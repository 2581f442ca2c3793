//! An agent that speaks the Agent Client Protocol by a script. Its first argument says how it behaves: `ask KIND`
//! (asks whether a tool of that kind may run, and tells the answer), `unasked KIND` (runs one without asking),
//! `many N`, `stop REASON`, `model N` (so many requests to its model), `cancel` (works until it is cancelled, with a
//! grandchild in a session of its own), `deaf` (the same, and heeds neither the cancel nor SIGTERM), `string-ids`,
//! `garbage`, `noise`, `huge-line`, `early-exit`, `hang`, `login`, `used`, `echo`.

use std::{
    env,
    io::{BufRead, Read, StdinLock, Write, stdin, stdout},
    net::TcpStream,
    process::ExitCode,
};

use integration_tests::hostile;
use nix::{
    sys::signal::{SigSet, Signal},
    unistd::setsid,
};
use serde_json::{Value, json};

struct Agent {
    lines: StdinLock<'static>,
    behaviour: String,
    word: String,
    logged_in: bool,
}

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let behaviour = words.next().unwrap_or_default();
    if behaviour == "grandchild" {
        setsid().expect("a child does not lead a group");
        hostile::mark("grandchild.started");
        hostile::hang();
        return ExitCode::SUCCESS;
    }
    let word = words.next().unwrap_or_default();
    match behaviour.as_str() {
        "early-exit" => return ExitCode::from(3),
        "hang" => hostile::hang(),
        "huge-line" => {
            let chunk = vec![b'x'; 1 << 20];
            // It is ended before it can write all of that.
            while stdout().write_all(&chunk).is_ok() {}
        }
        "noise" => while writeln!(stdout(), "noise").is_ok() {},
        "deaf" => SigSet::from(Signal::SIGTERM).thread_block().expect("a signal can be blocked"),
        _ => {}
    }
    let mut agent = Agent { lines: stdin().lock(), behaviour, word, logged_in: false };
    while let Some(message) = agent.hear() {
        agent.answer(&message);
    }
    ExitCode::SUCCESS
}

impl Agent {
    fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        (self.lines.read_line(&mut line).ok()? > 0).then(|| serde_json::from_str(&line).expect("a message"))
    }

    fn say(&self, message: &Value) {
        let mut message = message.clone();
        message["jsonrpc"] = json!("2.0");
        if self.behaviour == "garbage" {
            writeln!(stdout(), "debug: about to speak\n[1, 2").expect("somebody listens");
        }
        writeln!(stdout(), "{message}").expect("somebody listens");
    }

    fn update(&self, update: &Value) {
        self.say(&json!({"method": "session/update", "params": {"sessionId": "s", "update": update}}));
    }

    fn talk(&self, text: &str) {
        self.update(
            &json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}),
        );
    }

    fn result(&self, message: &Value, result: &Value) {
        let id = if self.behaviour == "string-ids" {
            json!(message["id"].to_string())
        } else {
            message["id"].clone()
        };
        self.say(&json!({"id": id, "result": result}));
    }

    fn answer(&mut self, message: &Value) {
        match message["method"].as_str() {
            Some("initialize") => {
                let methods = json!([{"id": "web", "name": "W"}, {"id": "some-api-key", "name": "K"}]);
                self.result(
                    message,
                    &json!({"protocolVersion": 1, "authMethods": methods, "agentCapabilities": {}}),
                );
            }
            Some("authenticate") => {
                self.logged_in = message["params"]["methodId"] == "some-api-key";
                self.result(message, &json!({}));
            }
            Some("session/new") if self.behaviour == "login" && !self.logged_in => {
                self.say(&json!({"id": message["id"], "error": {"code": -32000, "message": "log in"}}));
            }
            Some("session/new") => {
                self.word =
                    if self.behaviour == "echo" { message["params"].to_string() } else { self.word.clone() };
                self.result(message, &json!({"sessionId": "s"}));
            }
            Some("session/prompt") => {
                let reason = self.work(message);
                self.result(message, &json!({"stopReason": reason}));
            }
            _ => {}
        }
    }

    /// Asks for permission; gives the outcome.
    fn permission(&mut self, id: &Value, kind: &str) -> Value {
        let call =
            json!({"toolCallId": "call", "kind": kind, "title": "a tool", "rawInput": {"command": "ls"}});
        let options = json!([
            {"optionId": "always", "name": "Always", "kind": "allow_always"},
            {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
            {"optionId": "no", "name": "No", "kind": "reject_once"},
        ]);
        let params = json!({"sessionId": "s", "toolCall": call, "options": options});
        self.say(&json!({"id": id, "method": "session/request_permission", "params": params}));
        loop {
            let message = self.hear().expect("an answer");
            if message.get("method").is_none() && message["id"] == *id {
                return message["result"]["outcome"].clone();
            }
        }
    }

    fn call(&self, id: &str, kind: &str) {
        self.update(
            &json!({"sessionUpdate": "tool_call", "toolCallId": id, "kind": kind, "title": "a tool"}),
        );
    }

    fn end(&self, id: &str, status: &str) {
        self.update(&json!({"sessionUpdate": "tool_call_update", "toolCallId": id, "status": status}));
    }

    /// One turn; gives the reason of its end.
    fn work(&mut self, message: &Value) -> String {
        match self.behaviour.clone().as_str() {
            "ask" | "string-ids" | "garbage" => {
                self.update(&json!({"sessionUpdate": "of_the_future", "anything": [1]}));
                self.update(&json!({"sessionUpdate": "plan", "entries": [{"content": "ask"}]}));
                self.update(&json!({"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": "hm"}}));
                self.say(
                    &json!({"id": "q", "method": "fs/read_text_file", "params": {"path": "/etc/passwd"}}),
                );
                self.talk("I shall ask.");
                let kind = if self.word.is_empty() { "read".to_owned() } else { self.word.clone() };
                let outcome = self.permission(&json!("permission-1"), &kind);
                if outcome["optionId"] == "yes" {
                    hostile::mark("executed");
                    self.end("call", "completed");
                }
                self.talk(&format!("```json\n{}\n```", json!({"outcome": outcome})));
            }
            "unasked" => {
                self.call("call", &self.word);
                hostile::mark("executed");
                self.end("call", "completed");
                self.talk("\"done\"");
            }
            "many" => {
                for number in 0..self.word.parse().expect("a number") {
                    self.call(&format!("call-{number}"), "read");
                    self.end(&format!("call-{number}"), "completed");
                }
            }
            "stop" => return self.word.clone(),
            "model" => {
                let count = self.word.parse().expect("a number");
                let statuses: Vec<String> = (0..count).map(|_| ask_model()).collect();
                self.talk(&json!(statuses).to_string());
            }
            "cancel" | "deaf" => {
                drop(hostile::again("grandchild"));
                self.talk("working");
                while self.hear().is_some_and(|message| message["method"] != "session/cancel") {}
                if self.behaviour == "deaf" {
                    hostile::mark("cancel.heard");
                    hostile::hang();
                }
                let outcome = self.permission(&json!(7), "execute");
                std::fs::File::create("cancelled.json")
                    .and_then(|mut file| write!(file, "{outcome}"))
                    .expect("it may write here");
                return "cancelled".to_owned();
            }
            "used" => {
                let cost = json!({"amount": 1.5, "currency": "USD"});
                self.update(
                    &json!({"sessionUpdate": "usage_update", "used": 900, "size": 1000, "cost": cost}),
                );
                self.talk("\"done\"");
            }
            "echo" => {
                let text = message["params"]["prompt"][0]["text"].clone();
                self.talk(&json!({"session": self.word, "prompt": text}).to_string());
            }
            _ => self.talk("\"done\""),
        }
        "end_turn".to_owned()
    }
}

/// A request to the model, as its environment says; gives the first line of the answer.
fn ask_model() -> String {
    let base = env::var("OPENAI_BASE_URL").expect("the engine gives it");
    let key = env::var("OPENAI_API_KEY").expect("the engine gives it");
    let (host, path) = base.trim_start_matches("http://").split_once('/').expect("host and path");
    let body = json!({"model": "m", "input": "hello", "stream": true}).to_string();
    let mut stream = TcpStream::connect(host).expect("the proxy listens");
    let length = body.len();
    write!(
        stream,
        "POST /{path}/responses HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("the proxy reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the proxy answers");
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}
