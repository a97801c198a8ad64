#!/bin/sh
# claims: pid_start
# Doubles at each step. It stops by itself at some thousands, for a machine without a limit.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
double() {
  [ "$1" -lt 12 ] || exec tail -f /dev/null
  double $(($1 + 1)) &
  double $(($1 + 1)) &
  wait
}
double 0
