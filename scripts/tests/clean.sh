#!/usr/bin/env bash
# clean lists first, removes what is ours and nobody uses, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(mktemp -d)
holder=''
trap 'kill $holder 2> /dev/null || true; rm -rf "$folder"' EXIT
export CORACLE_ROOT=$folder/root CORACLE_RUN=$folder/run

id() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
expect() { # condition...
  "$@" || { echo "not so: $*"; find "$folder"; exit 1; }
}

dead=$(id) running=$(id) half=$(id)
mkdir -p "$CORACLE_RUN"/{"$dead","$running",not-ours} "$CORACLE_ROOT"/containers/{"$dead","$running","$half",not-ours}/upper
mkdir -p "$CORACLE_ROOT"/{images,layers/sha256/abc,unpacking/{old,new}}
touch "$CORACLE_RUN/$dead/lock" "$CORACLE_RUN/$running/lock" "$CORACLE_RUN/lock"
flock --no-fork "$CORACLE_RUN/$running/lock" flock --no-fork "$CORACLE_ROOT/unpacking/new" sleep 60 &
holder=$!
until ! flock -n "$CORACLE_ROOT/unpacking/new" true; do sleep 0.05; done

listed=$(scripts/clean --list)
expect test -d "$CORACLE_RUN/$dead"
expect grep -q "$dead" <<< "$listed"
expect grep -q "$half" <<< "$listed"
expect test -z "$(grep -e "$running" -e not-ours -e /new -e layers <<< "$listed")"
if scripts/clean < /dev/null > /dev/null 2>&1; then echo "removed unasked"; exit 1; fi
expect test -d "$CORACLE_RUN/$dead"

scripts/clean --yes > /dev/null
for gone in run/$dead root/containers/$dead root/containers/$half root/unpacking/old; do
  expect test ! -e "$folder/$gone"
done
for stays in run/$running root/containers/$running/upper root/unpacking/new run/not-ours run/lock \
  root/containers/not-ours/upper root/layers/sha256/abc root/images; do
  expect test -e "$folder/$stays"
done

# The layers of a container that runs stay, whatever we say; then they go.
scripts/clean --yes --images > /dev/null 2>&1
expect test -e "$CORACLE_ROOT/layers/sha256/abc"
kill $holder
wait $holder || true
until flock -n "$CORACLE_RUN/$running/lock" true; do sleep 0.05; done
scripts/clean --yes --images > /dev/null
expect test ! -e "$CORACLE_ROOT/layers"
expect test ! -e "$CORACLE_RUN/$running"
expect test -e "$CORACLE_ROOT/containers/not-ours/upper"
