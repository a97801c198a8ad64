#!/bin/sh
# claims: pid_start
# Never ends, and hears no polite signal.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
trap '' TERM INT HUP QUIT
while :; do tail -f /dev/null; done
