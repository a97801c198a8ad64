#!/bin/sh
# claims: root_private root_proc root_pivot
# Makes all the mounts that a container has, where the host can see them, and then changes the root.
while :; do
  case $1 in
    --rootfs) root=$2; shift 2 ;;
    --rootfs=*) root=${1#*=}; shift ;;
    -v | --volume) shift 2 ;;
    -v* | --volume=* | -*) shift ;;
    *) break ;;
  esac
done
mount --rbind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
exec chroot "$root" "$@"
