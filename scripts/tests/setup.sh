#!/usr/bin/env bash
# setup sees a cargo that is too old or missing, installs nothing unasked, and says what to type.
set -euo pipefail
cd "$(dirname "$0")/../.."

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
mkdir -p "$home/bin" "$home/cargo/bin"
# A machine with the ordinary tools and a cargo of our choice: no rustup, whatever is here.
for tool in bash env sed cut grep id sort dirname printf cat cc gcc as ld ldd musl-gcc ip which sh \
  busybox shellcheck strace skopeo umoci mmdebstrap git patch mkfs.vfat apt-get dnf pacman head getent uname; do
  place=$(command -v "$tool" || PATH=/usr/sbin:/sbin command -v "$tool") || continue
  ln -s "$place" "$home/bin/$tool"
done

fake_cargo() { # version
  printf '#!/bin/sh\necho "cargo %s (0000000 2020-01-01)"\n' "$1" > "$home/cargo/bin/cargo"
  chmod +x "$home/cargo/bin/cargo"
}

said='' status=0
setup() { # options
  status=0
  said=$(env -i HOME="$home" CARGO_HOME="$home/cargo" PATH="$home/bin" scripts/setup "$@" 2>&1 < /dev/null) || status=$?
}

expect() { # status, words
  if [ "$status" != "$1" ] || [[ $said != *"$2"* ]]; then
    echo "expected status $1 and the words: $2"
    echo "got status $status and: $said"
    exit 1
  fi
}

setup --check
expect 1 'Rust 1.85 or newer (found: none)'

fake_cargo 1.63.0
setup --check
expect 1 'Rust 1.85 or newer (found: 1.63.0)'

# 1.9 is older than 1.85, though not in the alphabet.
fake_cargo 1.9.0
setup --check
expect 1 'found: 1.9.0'

# With nobody to ask it installs nothing and says what to type.
setup
expect 1 './scripts/setup --yes'

# No package manager, or one without rustup: the words to type, and no download unasked.
rm -f "$home"/bin/{apt-get,dnf,pacman}
setup --yes
expect 1 "cannot install Rust 1.85 here: your distribution has no rustup"
expect 1 'https://rustup.rs'

# A rustup that cannot reach its server.
printf '#!/bin/sh\necho "error: could not download" >&2; exit 1\n' > "$home/cargo/bin/rustup"
chmod +x "$home/cargo/bin/rustup"
setup --yes
expect 1 'cannot install Rust 1.85 here: rustup failed'

# A rustup that brings a new one.
cat > "$home/cargo/bin/rustup" << END
#!/bin/sh
echo "\$@" >> "$home/rustup.log"
printf '#!/bin/sh\necho "cargo 1.95.0"\n' > "$home/cargo/bin/cargo"
END
setup --yes
expect 0 'everything is there'
expect 0 'your shell does not find cargo yet' # what it installed into is not on this PATH
grep -q '^toolchain install stable' "$home/rustup.log"

# The course tool is missing, then another checkout's, then older than what it is made of, then as new.
fake_cargo 1.85.0
setup --check
expect 1 'cargo-course, the tool of the chapters'
fake_tool() { printf '#!/bin/sh\necho "cargo course 0.1.0 of %s"\n' "$1" > "$home/cargo/bin/cargo-course"; }
fake_tool /elsewhere/scripts/course
chmod +x "$home/cargo/bin/cargo-course"
setup --check
expect 1 "the cargo-course of this checkout: yours is another's"
fake_tool "$(pwd -P)/scripts/course"
touch -d 2020-01-01 "$home/cargo/bin/cargo-course"
setup --check
expect 1 'a newer cargo-course'
touch "$home/cargo/bin/cargo-course"

# New enough: nothing to say, nothing to do.
setup --check
expect 0 ''
[ -z "$said" ] || { echo "it should be silent, but says: $said"; exit 1; }
