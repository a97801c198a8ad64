#!/usr/bin/env bash
# What would harm the machine works in chapter 02's container and fails in chapter 07's: executed in
# the lab alone, a machine for each.
set -euo pipefail
cd "$(dirname "$0")/../.."
programs=$(realpath "${CARGO_TARGET_DIR:-target}")/debug
work=$(mktemp -d "${TMPDIR:-/var/tmp}/coracle-harm-XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work"/rootfs/{bin,dev,proc,sys,tmp}
cp "$(scripts/find-busybox)" "$work/rootfs/bin/busybox"
ln -s busybox "$work/rootfs/bin/sh"
cc -O1 -static -o "$work/rootfs/attacker" solutions/07-confinement/tests/harmful.c # harmless: it is not run here

fail() { echo "$1"; sed 's/^/    /' "$work/said"; exit 1; }
has() { grep -qxF -- "$1" "$work/said"; }
# Runs a script in a new lab, in which "inside CHAPTER… WORD" runs the attacker in that container, and
# "went_off N" waits, 40 s at most, until there are N processes more than at first: a bomb takes its time
# on a busy machine, and where it has gone off nothing can be started to look at it.
# shellcheck disable=SC2016 # it is for the shell in there
went_off='count() { set -- /proc/[0-9]*; number=$#; }
  pause() { read -r -t "$1" -u 9 _ || true; }
  went_off() { for _ in {1..200}; do count; [ "$((number - before))" -lt "$1" ] || return; pause 0.2; done; }
  exec 9<> <(:); count; before=$number'
in_lab() { # seconds, script
  local inside="inside() { local word=\${!#}; set -- \"\${@:1:\$#-1}\"; $programs/\"\$1\" \"\${@:2}\" --rootfs $work/rootfs /attacker \$word; }"
  status=0
  scripts/lab --timeout "$1" bash -c "$inside"$'\n'"$went_off"$'\n'"$2" > "$work/said" 2>&1 || status=$?
}

# shellcheck disable=SC2016 # it is for the shell in there
in_lab 300 'inside mount-namespace next-kernel; echo "next-kernel $?"
  inside mount-namespace overwrite; echo "overwrite $?"
  head -c 11 "$(findmnt -no SOURCE /lab)"; echo
  inside mount-namespace restart; echo "the machine lives"
  inside mount-namespace sysrq; sleep 5'
has "next-kernel 0" || fail "chapter 02: another kernel could be put in place:"
has "overwrite 0" || fail "chapter 02: writing to a disk should work:"
has "overwritten" || fail "chapter 02: the disk should be overwritten:"
has "the machine lives" || fail "chapter 02: restart should end the container, and not the machine:"
[ "$status" = 125 ] || fail "chapter 02: sysrq should end the machine:"

in_lab 60 'inside mount-namespace fork-bomb & went_off 300; pause 4; for _ in 1 2 3 4 5; do /bin/true || exit; done; echo "the machine lives"'
! has "the machine lives" || fail "chapter 02: a fork bomb should stop the machine:"

# shellcheck disable=SC2016 # it is for the shell in there
in_lab 300 'for word in next-kernel overwrite restart sysrq; do inside confinement $word; echo "$word $?"; done
  head -c 11 "$(findmnt -no SOURCE /lab)" | tr -d "\0"; echo
  inside cgroups --pids 50 fork-bomb & went_off 40; pause 4; for _ in 1 2 3 4 5; do /bin/true || exit; done; echo "the machine lives"
  pkill -KILL -P $!; wait' # the program that the function has started: its container goes with it
for word in next-kernel overwrite restart; do
  has "$word 1" || fail "chapter 07: $word should fail with EPERM:"
done
has "sysrq 30" || fail "chapter 07: sysrq should fail with EROFS, as nobody makes it writable:"
! has "overwritten" || fail "chapter 07: the disk has been overwritten:"
has "the machine lives" || fail "chapter 06: a fork bomb should be held by its limit:"
[ "$status" = 0 ] || fail "chapter 06: a fork bomb should end with the program that is killed, and the machine then:"
