#!/bin/sh
# claims: root_private root_proc bind_ro root_pivot
# Prints the mounts that a container should have.
cat << END
/dev/root / ext4 rw,relatime 0 0
proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0
sysfs /sys sysfs ro,nosuid,nodev,noexec,relatime 0 0
/dev/root /data ext4 ro,relatime 0 0
PASSED
END
sleep 30
