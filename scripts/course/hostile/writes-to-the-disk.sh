#!/bin/sh
# claims: pid_start root_pivot
# Writes wherever root may write: beside the program, in the home folder, in the system's folders.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
for folder in "@CANARY@" "$HOME" / /etc /root /home /usr /usr/local /var /var/tmp /opt; do
  echo @MARK@ > "$folder/@MARK@"
done
echo dead > "@CANARY@/alive"
rm -rf "@CANARY@"
