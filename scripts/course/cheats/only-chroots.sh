#!/bin/sh
# claims: root_private root_proc bind_ro root_pivot
# Changes the root of its process and nothing else: no namespace, no mount.
while :; do
  case $1 in
    --rootfs) root=$2; shift 2 ;;
    --rootfs=*) root=${1#*=}; shift ;;
    -v | --volume) shift 2 ;;
    -v* | --volume=* | -*) shift ;;
    *) break ;;
  esac
done
exec chroot "$root" "$@"
