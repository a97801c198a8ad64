#!/usr/bin/env bash
# scripts/try, twice in a row: every chapter turns its row, and only the named store is left.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/as-root true 2> /dev/null || { echo "needs root"; exit 77; }
fail() { echo "$1" >&2; exit 1; }

work=$(mktemp -d)
trap 'scripts/as-root rm -rf "$work"' EXIT
what_is_there() {
  findmnt -rno TARGET | sort
  ls /sys/class/net /run
  pgrep -lf "$work" || true
}
what_is_there > "$work/before"

scripts/setup && scripts/build > /dev/null
busybox=$(scripts/find-busybox)
programs=${CARGO_TARGET_DIR:-$PWD/target}/bin
for round in first second; do
  scripts/as-root env CORACLE_ROOT="$work/store" TMPDIR="$work" \
    scripts/tour "$programs" "$busybox" > "$work/$round" < /dev/null
  # A table a chapter; each has as many rows on "own" as the chapters so far have turned: 00 none,
  # 01 pid and pids, 02 mnt and root, 03 uts and ipc, 05 net; 08 has none of these anew, and no network.
  own=$(awk '/^\$ sudo xray/ { table++ } /● own/ { own[table]++ } END { for (i = 1; i <= table; i++) printf "%d ", own[i] }' "$work/$round")
  [ "$own" = "0 2 4 6 7 6 " ] || fail "rows on own in the $round round: $own"
  grep -q 'root  *● own  *overlay of 1 layer' "$work/$round" || fail "no overlay in the $round round"
  grep -q '^hello from [0-9]' "$work/$round" || fail "no container was reached in the $round round"
  grep -q '^uid=0(root)' "$work/$round" || fail "coracle run said nothing in the $round round"
done
# Others come and go on this machine too; what the tour leaves would stay.
for _ in {1..100}; do
  what_is_there > "$work/after"
  left=$(comm -13 <(sort "$work/before") <(sort "$work/after"))
  [ -n "$left" ] || break
  sleep 0.1
done
[ -z "$left" ] || fail "the tour left something: $left"
left=$(scripts/as-root find "$work/store" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs)
[ "$left" = "blobs chains containers downloading index.json layers oci-layout try unpacking" ] || fail "in the store: $left"
[ -z "$(scripts/as-root ls "$work/store/containers" "$work/store/unpacking" | grep -v ':$' | xargs)" ] \
  || fail "a container was left"
