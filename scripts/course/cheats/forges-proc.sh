#!/bin/sh
# claims: pid_start
# Makes no PID namespace, but a mount namespace in which the file that tells the PID is a forgery.
[ "$1" != --init ] || shift
[ "$1" != -- ] || shift
exec unshare --mount sh -c '
  printf "Name:\tsh\nPid:\t1\nPPid:\t0\nNSpid:\t1\n" > /tmp/forged
  mount --bind /tmp/forged /proc/$$/status
  exec "$@"' sh "$@"
