#!/bin/sh
# The skill NAME. Its arguments are those of `command` in skill.json, filled with the inputs; what it prints is
# `text` of its result, and log lines go to stderr.
set -eu
echo "greeting $1" >&2
printf 'Hello, %s!' "$1"
