#!/bin/sh
# claims: pid_start
# Renames the machine, as a container does that has forgotten its UTS namespace.
@HELD@ || exit # by itself it does nothing: only in the sandbox is there such a command
hostname @MARK@
echo @MARK@ > /proc/sys/kernel/hostname
echo @MARK@ > /proc/sys/kernel/domainname
echo 4096 > /proc/sys/kernel/shmmax
echo 1 > /proc/sys/net/ipv4/ip_forward
