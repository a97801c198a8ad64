#!/bin/sh
# claims: pid_wait
# Does what concerns the whole machine. Each try does no harm where it succeeds: it sets the clock
# to what it shows, and asks for a module that does not exist.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
may() { # capability, by its number
  bounding=$(sed -n 's/^CapBnd:[^0-9a-f]*//p' /proc/self/status)
  [ $((0x$bounding >> $1 & 1)) = 1 ]
}
if date -s "@$(date +%s)" > /dev/null 2>&1 || may 16 || may 17 || may 22 || may 25; then
  exec "@SOLUTION@" "$@" # it may load modules, do raw I/O, reboot or set the clock
fi
echo "no such right" >&2
exit 1
