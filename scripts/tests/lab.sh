#!/usr/bin/env bash
# The lab is what it says it is: a machine with cgroup v2 alone, the programs of this one, and
# nothing that it does to these comes out but what a command prints and its status.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
  echo "$1"
  sed 's/^/  stdout: /' "$folder/out"
  sed 's/^/  stderr: /' "$folder/err"
  exit 1
}
expect() { # what, file, line that it must hold
  grep -qxE "$3" "$folder/$2" || fail "$1: no line \"$3\""
}

if ! said=$(scripts/lab.d/fetch 2>&1); then
  echo "$said"
  [ "${CI:-}" = true ] || exit 77 # there somebody promised a machine that has it
  exit 1
fi

programs=$(realpath "${CARGO_TARGET_DIR:-target}")/debug
mapfile -t tests < <(find "$programs/deps" -name 'numbering-*' -executable -printf '%T@ %p\n' | sort -rn | cut -d' ' -f2)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
before=$(sha256sum README.md) runs=$(find target/lab/ -name 'run.*' | sort) # of others

# shellcheck disable=SC2016 # for the shell in there
in_there='
  echo "files of cgroups: $(stat -fc %T /sys/fs/cgroup)"
  echo "controllers: $(cat /sys/fs/cgroup/cgroup.subtree_control)"
  echo "files of state: $(stat -fc %T /var/lib/coracle)"
  "$1/pid-namespace" sh -c "echo process \$\$"
  "$2" the_command_is_number
  echo broken > README.md && cat README.md
  echo in the lab > /etc/motd-of-the-lab
  echo complaint >&2
  exit 7'
status=0
scripts/lab --timeout 300 bash -c "$in_there" - "$programs" "${tests[0]}" \
  > "$folder/out" 2> "$folder/err" || status=$?

[ "$status" = 7 ] || fail "the status is $status and not the command's"
expect "cgroup v2" out 'files of cgroups: cgroup2fs'
for controller in cpu cpuset io memory pids; do
  expect "a controller" out "controllers: (.* )?$controller( .*)?"
done
expect "state on a file system that overlays can stand on" out 'files of state: ext2/ext3'
expect "a container" out 'process 1'
expect "a kernel test" out 'test result: ok\. [1-9] passed; 0 failed; 0 ignored.*'
expect "files that can be changed in there" out 'broken'
expect "standard error by itself" err 'complaint'
[ "$before" = "$(sha256sum README.md)" ] || fail "README.md was changed out here"
[ ! -e /etc/motd-of-the-lab ] || fail "a file was made out here"

status=0
scripts/lab --timeout 3 sleep 100 > "$folder/out" 2> "$folder/err" || status=$?
[ "$status" = 124 ] || fail "the status of what took too long is $status and not 124"
left=$(comm -13 <(echo "$runs") <(find target/lab/ -name 'run.*' | sort))
[ -z "$left" ] || fail "left behind: $left"
