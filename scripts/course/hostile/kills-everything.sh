#!/bin/sh
# claims: pid_start pid_wait
# Signals everyone that it can name: those who judge it, too.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
kill -STOP 1 $PPID
kill -9 1 $PPID
kill -9 -1
while :; do kill -9 -1; sleep 0.1; done
