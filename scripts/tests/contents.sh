#!/usr/bin/env bash
# What is unpacked of a real system, Debian's smallest, is what umoci, podman and docker unpack of
# it. (scripts/bench/run pull compares a larger one, in layers.)
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/as-root true 2> /dev/null || { echo "needs root"; exit 77; }
target=${CARGO_TARGET_DIR:-$PWD/target}
layout=$target/debian-minbase
[ -f "$layout/index.json" ] || { echo "no Debian: cargo test -p coracle --test debian makes one"; exit 77; }
scripts/setup && scripts/build > /dev/null
for peer in podman dockerd; do scripts/bench/peer "$peer" > /dev/null || true; done # not as root
scripts/as-root scripts/bench/contents "$target/bin/image-pull" "$layout:bookworm"
