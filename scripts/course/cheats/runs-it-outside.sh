#!/bin/sh
# claims: pid_start pid_reap
# Runs the command as an ordinary child, with a 1 wherever it would ask for its PID. The exit status
# is right, and no namespace was made.
[ "$1" != --init ] || shift
[ "$1" != -- ] || shift
for word; do
  shift
  set -- "$@" "$(printf '%s' "$word" | sed 's/\$\$/1/g')"
done
"$@"
