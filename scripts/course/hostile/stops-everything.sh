#!/bin/sh
# claims: pid_wait
# Stops everyone that it can name, so that nobody is left to take the time.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
kill -STOP 1 $PPID -1
exec tail -f /dev/null
