#!/usr/bin/env bash
# The book builds without a complaint, says what the kernel says, and can be read in a browser.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/as-root true 2> /dev/null || { echo "needs root"; exit 77; }
target=${CARGO_TARGET_DIR:-$PWD/target}

scripts/as-user cargo build -q -p course
course=$target/debug/cargo-course
log=$(mktemp)
trap 'rm -f "$log"' EXIT
must() { # command: its last line is worth reading, all of it if it fails
  scripts/as-user "$@" > "$log" 2>&1 || { cat "$log"; exit 1; }
  echo "note: $(tail -1 "$log")"
}

scripts/as-user "$course" dev book --out "$target/book" > "$log" 2>&1 || {
  cat "$log"
  ! grep -q 'there is no mdBook' "$log" || { echo "no mdBook: install it with scripts/setup --book"; exit 77; }
  exit 1
}
must "$course" dev console

python=target/browser/bin/python
"$python" -c 'import playwright' 2> /dev/null || { echo "no Playwright: install it with scripts/setup --tests"; exit 77; }
chromium --version > /dev/null 2>&1 || { echo "no chromium: install it with scripts/setup --tests"; exit 77; }
shots=$target/book-screenshots
rm -rf "$shots"
must "$python" scripts/tests/browser/look.py "$target/book" "$shots"
