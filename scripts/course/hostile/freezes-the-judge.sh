#!/bin/sh
# claims: pid_start
# Freezes the cgroup that it shares with its judge, version 1 and 2, and starves it.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
for folder in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/freezer; do
  echo 1 > "$folder/cgroup.freeze"
  echo FROZEN > "$folder/freezer.state"
done
for folder in /sys/fs/cgroup /sys/fs/cgroup/pids; do
  echo 1 > "$folder/pids.max"
done
exec tail -f /dev/null
