#!/usr/bin/env python3
"""A small agent that speaks the Agent Client Protocol, version 1: it asks its model for a text, and whether it may
write that to a file. Real ones (Codex, Gemini CLI, Goose) do the same in more words."""
import json
import os
import sys
import urllib.request


def send(message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def receive():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def ask_model(prompt):
    """One question to the model, by way of q's proxy: the key is worth nothing elsewhere."""
    body = {"model": "gpt-4.1", "stream": True, "messages": [{"role": "user", "content": prompt}]}
    headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    text = ""
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
        for line in answer:
            data = line.decode().removeprefix("data:").strip()
            if data.startswith("{"):
                for choice in json.loads(data)["choices"]:
                    text += choice["delta"].get("content") or ""
    return text


def may_write(session, path):
    """Asks for permission. The guardrails of the step answer."""
    call = {"toolCallId": "write-1", "title": "Write " + path, "kind": "edit", "rawInput": {"path": path}}
    options = [
        {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
        {"optionId": "no", "name": "Reject", "kind": "reject_once"},
    ]
    params = {"sessionId": session, "toolCall": call, "options": options}
    send({"id": "permission-1", "method": "session/request_permission", "params": params})
    while True:
        message = receive()
        if message.get("id") == "permission-1":
            return message["result"]["outcome"].get("optionId") == "yes"


def work(session, prompt, folder):
    """One turn. What it says are updates of the session."""
    text = ask_model(prompt)
    path = os.path.join(folder, "poem.txt")
    if may_write(session, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        said = "It is in " + os.path.basename(path) + "."
    else:
        said = "I may not write it down."
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": said}}
    send({"method": "session/update", "params": {"sessionId": session, "update": update}})


def main():
    folder = "."
    while True:
        message = receive()
        method, params, result = message.get("method"), message.get("params", {}), None
        if method == "initialize":
            result = {"protocolVersion": 1, "agentCapabilities": {}, "authMethods": []}
        elif method == "session/new":
            folder, result = params["cwd"], {"sessionId": "session-1"}
        elif method == "session/prompt":
            work(params["sessionId"], params["prompt"][0]["text"], folder)
            result = {"stopReason": "end_turn"}
        if result is not None:
            send({"id": message["id"], "result": result})


main()
