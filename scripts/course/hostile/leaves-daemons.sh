#!/bin/sh
# claims: pid_start pid_wait
# Ends at once and leaves behind: processes that have cut every tie, and mounts.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
setsid sh -c 'setsid sleep 4000 < /dev/null > /dev/null 2>&1 &'
setsid sh -c '(trap "" HUP TERM; while :; do sleep 4000; done) < /dev/null > /dev/null 2>&1 &'
mkdir -p /run/@MARK@
mount -t tmpfs @MARK@ /run/@MARK@
exec "@SOLUTION@" "$@"
