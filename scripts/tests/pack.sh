#!/usr/bin/env bash
# What pack writes is an image to other people's tools, and the same each time.
set -euo pipefail
cd "$(dirname "$0")/../.."
for tool in skopeo umoci; do
  command -v $tool > /dev/null || { echo "no $tool: install it, scripts/setup --tests does"; exit 77; }
done

folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
expect() { "$@" || { echo "not so: $*"; exit 1; }; }
refuses() { ! scripts/pack "$@" > /dev/null 2>&1 || { echo "not refused: $*"; exit 1; }; }

rootfs=$folder/rootfs layout=$folder/layout
long=$(printf 'n%.0s' {1..200})
mkdir -p "$rootfs/bin" "$rootfs/a folder/$long"
echo content > "$rootfs/a folder/$long/ünïcode"
echo '#!/bin/sh' > "$rootfs/bin/program"
chmod 4751 "$rootfs/bin/program"
ln "$rootfs/bin/program" "$rootfs/bin/hard"
ln -s ../../../etc/passwd "$rootfs/bin/soft"

scripts/pack "$rootfs" "$layout:first" --env 'QUOTED=a "b" \c' --env PATH=/bin --entrypoint /bin/program \
  --cmd -x --cmd 'two words' --user app --workdir '/a folder' > /dev/null
scripts/pack "$rootfs" "$layout:second" > /dev/null

config=$(skopeo inspect --config "oci:$layout:first" | tr -d ' \n\t')
for part in '"Env":["QUOTED=a\"b\"\\c","PATH=/bin"]' '"Entrypoint":["/bin/program"]' \
  '"Cmd":["-x","twowords"]' '"User":"app"' '"WorkingDir":"/afolder"' '"os":"linux"'; do
  expect grep -qF "$part" <<< "$config"
done
expect test "$(umoci ls --layout "$layout" | sort | paste -sd' ')" = 'first second'
# As nobody in particular umoci cannot set owners, and says so to itself.
rootless=()
[ "$(id -u)" = 0 ] || rootless=(--rootless)
umoci unpack "${rootless[@]}" --image "$layout:second" "$folder/unpacked" 2> "$folder/said" || { cat "$folder/said"; exit 1; }
expect diff -r --no-dereference "$rootfs" "$folder/unpacked/rootfs"
expect test "$(stat -c %a "$folder/unpacked/rootfs/bin/program")" = 4751
expect test "$folder/unpacked/rootfs/bin/program" -ef "$folder/unpacked/rootfs/bin/hard"

# A copy through another tool is checked there: digests, sizes, media types.
skopeo copy -q "oci:$layout:first" "oci:$folder/copy:first"

# The same folder again: not one new blob. A tag again: it moves, the other stays.
before=$(ls "$layout/blobs/sha256")
scripts/pack "$rootfs" "$layout:second" > /dev/null
expect test "$(ls "$layout/blobs/sha256")" = "$before"
expect test "$(umoci ls --layout "$layout" | wc -l)" = 2

refuses "$folder/nothing" "$layout:x"
refuses "$rootfs" "$layout"
refuses "$rootfs" "$layout:bad/tag"
refuses "$rootfs" "$layout:x" --env NOVALUE
refuses "$rootfs" "$layout:x" --cmd $'two\nlines'
refuses "$rootfs" "$layout:x" --cmd
refuses "$rootfs" "$folder/copy:x" # its index is not ours to rewrite
expect test -z "$(find "$layout" "$folder/copy" -name 'new.*')"
