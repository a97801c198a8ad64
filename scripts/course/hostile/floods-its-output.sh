#!/bin/sh
# claims: pid_start
# Prints without end, on both of its streams.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
yes "$0 says so" >&2 &
exec yes "1"
