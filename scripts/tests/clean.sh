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
export TMPDIR=$folder/tmp # where a check without sandbox that was killed leaves its files
mkdir -p "$TMPDIR"/coracle-test-{dead,new}/rootfs "$TMPDIR/theirs"
touch -d '2 minutes ago' "$TMPDIR/coracle-test-dead" "$TMPDIR/theirs"
touch -d '1 hour' "$TMPDIR/coracle-test-new" # it stays new, however long this takes
mkdir -p "$CORACLE_RUN"/{"$dead","$running",not-ours} "$CORACLE_ROOT"/containers/{"$dead","$running","$half",not-ours}/upper
mkdir -p "$CORACLE_ROOT"/{blobs,layers/sha256/abc,unpacking/{old,new}}
flock --no-fork "$CORACLE_RUN/$running" flock --no-fork "$CORACLE_ROOT/unpacking/new" sleep 600 &
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
for gone in tmp/coracle-test-dead run/$dead root/containers/$dead root/containers/$half root/unpacking/old; do
  expect test ! -e "$folder/$gone"
done
for stays in tmp/coracle-test-new tmp/theirs run/$running root/containers/$running/upper root/unpacking/new run/not-ours \
  root/containers/not-ours/upper root/layers/sha256/abc root/blobs; do
  expect test -e "$folder/$stays"
done

# The layers of a container that runs stay, whatever we say; then they go.
scripts/clean --yes --images > /dev/null 2>&1
expect test -e "$CORACLE_ROOT/layers/sha256/abc"
kill $holder
wait $holder || true
until flock -n "$CORACLE_RUN/$running" true; do sleep 0.05; done
scripts/clean --yes --images > /dev/null
expect test ! -e "$CORACLE_ROOT/layers"
expect test ! -e "$CORACLE_RUN/$running"
expect test -e "$CORACLE_ROOT/containers/not-ours/upper"

# What the engine itself runs is in use, whatever it locks.
scripts/as-root true 2> /dev/null || { echo "needs root for the last part: run it as root"; exit 77; }
coracle=${CARGO_TARGET_DIR:-target}/debug/coracle
mkdir -p "$folder"/rootfs/bin
cp "$(scripts/find-busybox)" "$folder/rootfs/bin/busybox"
scripts/pack "$folder/rootfs" "$folder/layout:latest" > /dev/null
mkfifo "$folder/hold"
scripts/as-root env CORACLE_ROOT="$CORACLE_ROOT" CORACLE_RUN="$CORACLE_RUN" \
  "$coracle" run --rm --network none -i "oci:$folder/layout:latest" /bin/busybox cat < "$folder/hold" > "$folder/said" &
holder=$!
exec {hold}> "$folder/hold"
echo afloat >&"$hold"
until grep -q afloat "$folder/said"; do sleep 0.05; done
scripts/as-root env CORACLE_ROOT="$CORACLE_ROOT" CORACLE_RUN="$CORACLE_RUN" \
  scripts/clean --yes --images > /dev/null 2>&1 || true
expect scripts/as-root test -e "$CORACLE_ROOT/layers"
expect test "$(scripts/as-root ls "$CORACLE_ROOT/containers" | grep -cE '^[0-9a-f]{64}$')" = 1

# Its cgroup stays as long as it does. When its program is killed, nobody removes it but clean.
id=$(scripts/as-root ls "$CORACLE_ROOT/containers" | grep -E '^[0-9a-f]{64}$')
cgroups() { find /sys/fs/cgroup -type d -path "*/coracle/$id"; }
expect test -n "$(cgroups)"
inside=$(head -1 "$(cgroups | head -1)/cgroup.procs")
scripts/as-root kill -KILL "$(awk '{ print $4 }' "/proc/$inside/stat")"
exec {hold}>&-
wait $holder || true
holder=''
expect test -n "$(cgroups)"
scripts/as-root env CORACLE_ROOT="$CORACLE_ROOT" CORACLE_RUN="$CORACLE_RUN" scripts/clean --yes > /dev/null
expect test -z "$(cgroups)"
scripts/as-root rm -rf "$CORACLE_ROOT" "$CORACLE_RUN"
