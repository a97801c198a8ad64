#!/usr/bin/env bash
# shellcheck disable=SC2016 # the backticks are those of markdown
# The book builds without a complaint, says what the kernel says, and can be read in a browser; and
# a book with any of the mistakes that mdBook lets pass does not build.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/as-root true 2> /dev/null || { echo "needs root"; exit 77; }
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$(scripts/as-user mktemp -d)
trap 'rm -rf "$work"' EXIT

scripts/as-user cargo build -q -p course
course=$target/debug/cargo-course
must() { # command: its last line is worth reading, all of it if it fails
  scripts/as-user "$@" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
  echo "note: $(tail -1 "$work/log")"
}

scripts/as-user "$course" dev book --out "$target/book" > "$work/log" 2>&1 || {
  cat "$work/log"
  ! grep -q 'there is no mdBook' "$work/log" || { echo "no mdBook: install it with scripts/setup --book"; exit 77; }
  exit 1
}
must "$course" dev console

# ---- Mistakes, each in a copy of the book ----

mkdir "$work/checkout"
for thing in solutions chapters scripts target; do
  ln -s "$PWD/$thing" "$work/checkout/$thing"
done
mistakes=0
mistake() { # words of the complaint; what it is: lines for the end of the preface, or a command
  local words=$1
  shift
  rm -rf "$work/checkout/book"
  cp -r book "$work/checkout/book"
  if [ $# = 1 ]; then printf '\n%b\n' "$1" >> "$work/checkout/book/src/preface.md"; else "$@"; fi
  mistakes=$((mistakes + 1))
  if (cd "$work/checkout" && "$course" dev book --out "$work/out") > "$work/log" 2>&1; then
    echo "a book with this mistake builds: $*"
    exit 1
  fi
  grep -q "$words" "$work/log" || { echo "nothing is said of $words for: $*"; cat "$work/log"; exit 1; }
}
in_book() { (cd "$work/checkout/book" && "$@"); }

mistake 'there is no ../../no/such.rs' '```rust\n{{#include ../../no/such.rs}}\n```'
mistake 'has no anchor `nobody`' '```rust\n{{#include ../../solutions/00-xray/src/lib.rs:nobody}}\n```'
mistake 'a listing of 41 lines' '```toml\n'"$(seq 41)"'\n```'
mistake '4 lines of pasted Rust' '```rust\na\nb\nc\nd\n```'
mistake 'make it `console`' '```bash\nls\n```'
mistake 'leads to nothing' '[a page](nowhere.md)'
mistake 'leads to no heading' '[a heading](setup.md#nowhere)'
mistake 'has no <title' '<svg class="picture" viewBox="0 0 420 9" role="img"></svg>'
mistake 'from another host' '<img alt="x" src="https://example.org/x.png">'
mistake 'from another host' in_book sed -i '1i @import "//example.org/x.css";' theme/course.css
mistake 'mdBook says' '<div>\n\n<p>never closed'
mistake 'does not name this page' in_book cp src/preface.md src/stray.md
for part in 'Feel it' Predict 'The picture' 'In the shell' Build 'Attack again'; do
  mistake "no part .## $part" in_book sed -i "s/^## $part\$/### $part/" src/01-pid-namespace.md
done
printf '```console\n$ echo what is\nwhat is not\n```\n' > "$work/lie.md"
printf '```console\n$ cat /nowhere\ncat: /nowhere: Permission denied\n```\n' > "$work/error.md"
printf '```console\n$ sleep 2 & wait\n$ exit\n```\n' > "$work/end.md"
for page in lie error end; do
  mistakes=$((mistakes + 1))
  ! "$course" dev console "$work/$page.md" > "$work/log" 2>&1 || { echo "this page passes:"; cat "$work/$page.md"; exit 1; }
  grep -q '; 1 mismatches$' "$work/log" || { cat "$work/log"; exit 1; }
done
echo "note: $mistakes mistakes in books were found, of $mistakes"

# ---- In a browser ----

python=target/browser/bin/python
"$python" -c 'import playwright' 2> /dev/null || { echo "no Playwright: install it with scripts/setup --tests"; exit 77; }
chromium --version > /dev/null 2>&1 || { echo "no chromium: install it with scripts/setup --tests"; exit 77; }
shots=$target/book-screenshots
rm -rf "$shots"
must "$python" scripts/tests/browser/look.py "$target/book" "$shots"
