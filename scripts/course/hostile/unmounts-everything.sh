#!/bin/sh
# claims: pid_start root_private
# Unmounts /, and all that it finds on the way; writes to what comes to light.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
umount -l /proc /sys/fs/cgroup /sys /run /dev
for folder in /run /tmp /dev /; do echo @MARK@ > "$folder/@MARK@"; done
umount -a -l
umount -l /
