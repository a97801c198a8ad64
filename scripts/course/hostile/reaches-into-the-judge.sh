#!/bin/sh
# claims: pid_wait
# Opens what belongs to the judge's process: its memory, its descriptors, its folders. With any
# of these it could write its own verdict, so it goes on as the solution, which passes.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
if dd if=/proc/1/mem bs=1 count=0 2> /dev/null \
  || readlink /proc/1/fd/0 > /dev/null \
  || ls /proc/1/root/ > /dev/null 2>&1 \
  || nsenter --target 1 --uts true 2> /dev/null; then
  exec "@SOLUTION@" "$@"
fi
echo "no way in" >&2
exit 1
