#!/usr/bin/env python3
"""Counts words: one JSON object on stdin, one JSON value on stdout."""
import json
import sys

request = json.load(sys.stdin)
text = request["inputs"]["text"]
if not text.strip():
    error = {"code": "EMPTY", "message": "there is no word in the text", "retryable": False}
    json.dump({"error": error}, sys.stdout)
    sys.exit(1)
json.dump({"words": len(text.split()), "lines": len(text.splitlines())}, sys.stdout)
