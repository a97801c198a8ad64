#!/bin/sh
# claims: pid_wait root_proc
# Fills the file system on which the judge keeps its notes.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
for folder in /run/tmp /run /tmp /dev/shm; do
  cat /dev/zero > "$folder/@MARK@"
done
echo "no room left"
