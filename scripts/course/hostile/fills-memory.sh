#!/bin/sh
# claims: pid_start
# Keeps what never ends in its memory.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
exec tail -c 4G /dev/zero
