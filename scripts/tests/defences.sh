#!/usr/bin/env bash
# Without its defence each attack succeeds: a test that cannot fail proves nothing.
#
# Each patch in defences/ removes one defence from a copy of this tree, and names the package, the
# test that must fail then, and words that only this failure says.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/as-root true 2> /dev/null || { echo "needs root: the attacks are kernel tests"; exit 77; }
for tool in git patch; do
  command -v $tool > /dev/null || { echo "no $tool: install it, scripts/setup --tests does"; exit 77; }
done

patches=("$PWD"/scripts/tests/defences/*.patch)
work=$(realpath -m "${CARGO_TARGET_DIR:-target}")/defences
tree=$work/tree
scripts/as-user rm -rf "$tree"
scripts/as-user mkdir -p "$tree"
scripts/as-user git ls-files -z --cached --others --exclude-standard \
  | tar -c --null -T - --ignore-failed-read --warning=none | scripts/as-user tar -x -C "$tree"

field() { sed -n "s/^$2: //p" "$1"; }

# Builds the test that a patch names, and runs it; what it says goes to stdout.
attempt() { # patch
  local file name program package
  package=$(field "$1" Package)
  read -r file name < <(field "$1" Test)
  program=$(scripts/as-user env -C "$tree" CARGO_TARGET_DIR="$work/target" \
    cargo test -q -p "$package" --test "$file" --no-run --message-format=json \
    | sed -n "s|.*\"executable\":\"\([^\"]*/deps/$file-[^\"]*\)\".*|\1|p")
  [ -x "$program" ] || { echo "does not build"; return 2; }
  scripts/as-root env -u CORACLE_BIN_DIR "$program" --exact "$name" 2>&1
}

# The time of a change tells cargo what to build, and what was unpacked above has an old one.
apply() { # options
  scripts/as-user patch -s -p1 -d "$tree" "${@:2}" < "$1"
  sed -n 's|^+++ b/||p' "$1" | (cd "$tree" && xargs -d '\n' "$OLDPWD/scripts/as-user" touch)
}

failed=0
verdict() { printf '%-10s %s\n' "$1" "$2"; }
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  apply "$patch"
  status=0
  said=$(attempt "$patch") || status=$?
  if grep -q ' 1 ignored;' <<< "$said"; then
    grep '^test .*ignored' <<< "$said"
    exit 77
  elif [ $status = 0 ]; then
    verdict FAILED "$name: the test passes without the defence"
    failed=1
  elif grep -qF "$(field "$patch" 'Fails with')" <<< "$said"; then
    verdict ok "$name: attacked with success where the defence is missing"
  else
    verdict FAILED "$name: fails, but not by the attack:"$'\n'"$said"
    failed=1
  fi
  apply "$patch" -R
  said=$(attempt "$patch") || { verdict FAILED "$name: fails with the defence too:"$'\n'"$said"; failed=1; }
done
exit $failed
