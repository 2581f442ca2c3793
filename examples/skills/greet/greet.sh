#!/bin/sh
# usage: GREETING=... greet.sh NAME
printf '%s, %s!' "$GREETING" "$1"
