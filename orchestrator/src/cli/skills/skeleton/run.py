#!/usr/bin/env python3
"""The skill NAME: one JSON object on stdin, one JSON value on stdout; log lines go to stderr."""
import json
import sys

request = json.load(sys.stdin)
name = request["inputs"].get("name", "world")
if not name.strip():
    error = {"code": "EMPTY", "message": "there is nobody to greet", "retryable": False}
    json.dump({"error": error}, sys.stdout)
    sys.exit(1)
print(f"greeting {name}", file=sys.stderr)
json.dump({"greeting": f"Hello, {name}!"}, sys.stdout)
