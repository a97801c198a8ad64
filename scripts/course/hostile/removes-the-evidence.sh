#!/bin/sh
# claims: pid_wait root_private
# Removes the judge's files, and the program itself.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
rm -rf /run/* /tmp/*
exec tail -f /dev/null
