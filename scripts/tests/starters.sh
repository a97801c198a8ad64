#!/usr/bin/env bash
# What learners begin with is what the solutions say, and builds without a warning in a fresh clone.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v git > /dev/null || { echo "no git: install it, scripts/setup --tests does"; exit 77; }
git rev-parse -q --verify HEAD > /dev/null 2>&1 || { echo "not a git checkout: clone it"; exit 77; }
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")

scripts/as-user cargo build -q -p course
scripts/as-user "$target/debug/cargo-course" course dev starters --check

# Always in the same place, so that cargo finds again what it has built.
clone=$target/starters/clone
scripts/as-user rm -rf "$clone"
scripts/as-user mkdir -p "$target/starters"
scripts/as-user git clone -q --no-hardlinks . "$clone"
in_clone() { # cargo's arguments
  scripts/as-user env -C "$clone/chapters" CARGO_TARGET_DIR="$target/starters/target" \
    CARGO_TERM_COLOR=never cargo "$@" 2>&1
}
quiet() { # what was said
  if grep -E '^(warning|error)' -A5 <<< "$1"; then
    echo "the starters of a fresh clone are not quiet"
    exit 1
  fi
}
quiet "$(in_clone build --locked --all-targets || echo 'error: cargo build failed')"
quiet "$(in_clone test --locked --no-run || echo 'error: cargo test --no-run failed')"

# Building is all that happened: the clone is as it was cloned.
changed=$(scripts/as-user git -C "$clone" status --porcelain)
[ -z "$changed" ] || { echo "building has changed the clone: $changed"; exit 1; }
