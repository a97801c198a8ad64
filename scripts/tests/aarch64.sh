#!/usr/bin/env bash
# All programs must compile for ARM64 too: nothing in here is specific to one processor.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=aarch64-unknown-linux-musl
if ! scripts/as-user rustup --quiet target add "$target" 2> /dev/null \
  && [ ! -d "$(scripts/as-user rustc --print sysroot)/lib/rustlib/$target" ]; then
  echo "no $target for this Rust: rustup could add it"
  exit 77
fi
# `check` links nothing, so this machine's C compiler will do for zstd's objects.
scripts/as-user env CC_aarch64_unknown_linux_musl=cc CFLAGS_aarch64_unknown_linux_musl=-w \
  cargo check -q --workspace --bins --target "$target"
