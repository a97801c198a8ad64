#!/bin/sh
# claims: same_ns pid_chain
# Prints the table of a perfect container, whatever process it is asked about.
for word; do case $word in *[!0-9]*) ;; *) pid=${pid:-$word} ;; esac; done
rows=
for kind in pid mnt uts ipc user net cgroup time; do
  rows="$rows\"$kind\":{\"group\":\"namespaces\",\"verdict\":\"own\",\"value\":{\"inode\":4026532281},\"reference\":{\"inode\":4026531836},\"unknown\":null},"
done
printf '{"format":1,"process":{"pid":%s},"against":"host","rows":{%s"pids":{"group":"process","verdict":"own","value":[%s,1],"reference":[1],"unknown":null}},"notes":[],"hints":[]}\n' \
  "${pid:-1}" "$rows" "${pid:-1}"
