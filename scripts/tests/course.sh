#!/usr/bin/env bash
# What learners and their machines do wrong: clear words, nothing lost, nothing left.
#
# In a clone in a temporary folder, in a mount namespace of our own, as an ordinary user: ours, or
# where we are root one that has no name. Their sudo is a stand-in, so that no password is asked for
# and it can be missing: it tells this script, which is root, what to start.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${1:-}" != --inside ]; then
  scripts/as-root true 2> /dev/null || { echo "needs root: a check is judged as root"; exit 77; }
  for tool in git script setsid setpriv; do
    command -v $tool > /dev/null || { echo "no $tool: install it (git, util-linux, bsdutils)"; exit 77; }
  done
  scripts/as-user cargo build -q -p course
  who=$(scripts/as-user id -u)
  [ "$who" != 0 ] || who=54321
  home=$(scripts/as-user printenv HOME)
  toolchain=$(scripts/as-user sh -c 'rustup show active-toolchain 2> /dev/null | cut -d" " -f1')
  exec scripts/as-root unshare --mount --propagation private env \
    learner="$who" RUSTUP_TOOLCHAIN="$toolchain" PATH="$PATH:/usr/sbin:/sbin" \
    CARGO_HOME="${CARGO_HOME:-$home/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$home/.rustup}" \
    program="$(realpath -m "${CARGO_TARGET_DIR:-target}")/debug/cargo-course" "$0" --inside
fi

# ---- A learner, their checkout, their sudo ----

work=$(mktemp -d)
broker=''
tidy() {
  if [ -n "$broker" ]; then
    pkill -P "$broker" || true # who would still answer a sudo that was killed
    kill "$broker" 2> /dev/null || true
  fi
  local mount
  while read -r mount; do
    umount -l "$mount"
  done < <(cut -d' ' -f5 /proc/self/mountinfo | grep "^$work/" | sort -r)
  rm -rf "$work"
}
trap tidy EXIT
chmod 755 "$work"
[ "${learner:?}" != 0 ]
mkdir -p "$work"/{bin,cargo,rustup,home/tmp,said} && mkfifo "$work/requests"
mount --bind "$CARGO_HOME" "$work/cargo"
[ ! -d "$RUSTUP_HOME" ] || mount --bind "$RUSTUP_HOME" "$work/rustup"
cp "${program:?}" "$work/bin/cargo-course"
checkout=$work/home/coracle
git -c safe.directory='*' clone -q --no-hardlinks . "$checkout"
# What is tested is the working tree, as far as git knows of its files.
git -c safe.directory='*' diff --binary HEAD | git -c safe.directory='*' -C "$checkout" apply --allow-empty
cat > "$work/bin/sudo" << END
#!/bin/sh
# Asks $0 to run a command as root, and waits for its status.
[ "\$1" != -n ] || shift
[ \$# != 0 ] || exit 1
mkfifo "$work/said/\$\$"
echo \$\$ > "$work/requests"
read -r status < "$work/said/\$\$"
exit "\$status"
END
chmod 755 "$work/bin/sudo"
chown -R "$learner:$learner" "$work"/{home,said,requests}

serve() { # the PID of a sudo
  local arguments status=0
  mapfile -d '' -t arguments < "/proc/$1/cmdline"
  arguments=("${arguments[@]:2}")
  [ "${arguments[0]}" != -n ] || arguments=("${arguments[@]:1}")
  env --default-signal=HUP,INT,QUIT,TERM -C "$(readlink "/proc/$1/cwd")" PATH="$PATH" "${arguments[@]}" \
    < /dev/null > "/proc/$1/fd/1" 2> "/proc/$1/fd/2" || status=$?
  [ ! -d "/proc/$1" ] || echo $status > "$work/said/$1"
}
{
  ulimit -c 0 # as sudo does, and a root without CAP_SYS_RESOURCE can't take it back
  exec 3<> "$work/requests"
  while read -r request <&3; do serve "$request" & done
} 2> /dev/null &
broker=$!

tools=$work/bin:$work/cargo/bin:/usr/bin:/bin:/usr/sbin:/sbin
variables=()
as_learner() { # command
  env -i -C "$checkout" HOME="$work/home" CARGO_HOME="$work/cargo" RUSTUP_HOME="$work/rustup" \
    ${RUSTUP_TOOLCHAIN:+RUSTUP_TOOLCHAIN="$RUSTUP_TOOLCHAIN"} CARGO_NET_OFFLINE=true PATH="$tools" \
    TMPDIR="$work/home/tmp" TERM=xterm LC_ALL=C.UTF-8 "${variables[@]}" \
    "$(command -v setpriv)" --reuid "$learner" --regid "$learner" --clear-groups -- "$@"
}

said='' status=0
course() { # arguments
  status=0
  said=$(as_learner cargo-course course "$@" 2>&1 < /dev/null) || status=$?
}

failures=0
miss() { # what
  echo "NOT SO: $1"
  echo "status $status, and it said: $said"
  failures=$((failures + 1))
}
expect() { # status, words…
  [ "$status" = "$1" ] || miss "status $1"
  local words
  for words in "${@:2}"; do
    # In one line: where a line breaks is a matter of its width.
    [[ $(tr -s ' \n' ' ' <<< "$said") == *"$words"* ]] || miss "it says: $words"
  done
}
so() { # what, command…
  "${@:2}" || miss "$1"
}
case_of() { printf '%4d s  %s\n' $SECONDS "$1"; }

here=$checkout/chapters/01-pid-namespace
fill() { cp -r "$checkout"/solutions/01-pid-namespace/src "$here/" && chown -R "$learner:$learner" "$here"; }
begin_anew() {
  git -c safe.directory='*' -C "$checkout" checkout -q -- chapters
  git -c safe.directory='*' -C "$checkout" clean -q -f -d -- chapters
  rm -rf "$checkout/.course"
  chown -R "$learner:$learner" "$checkout"
}
progress() { cat "$checkout/.course/progress.json" 2> /dev/null; }

# What a check that was ended may not leave: processes, mounts, cgroups and folders that nobody holds.
# The locks are read from a list: who took one to see whether it is free would be in the way of who tidies up.
ours() {
  local process
  grep -lzsF "$work/" /proc/[0-9]*/environ | while IFS=/ read -r _ _ process _; do
    echo "process $process: $(tr '\0' ' ' 2> /dev/null < "/proc/$process/cmdline" || true)"
  done
}
free_folders() {
  local folder locks inode
  locks=$(cat /proc/locks)
  for folder in /sys/fs/cgroup/coracle-test-* /sys/fs/cgroup/*/coracle-test-* "${TMPDIR:-/tmp}"/coracle-test-*; do
    inode=$(stat -c %i "$folder" 2> /dev/null) || continue
    [[ $locks = *":$inode "* ]] || echo "$folder"
  done
}
nothing_left() {
  local round left
  for round in {1..100}; do
    left=$(ours; comm -13 "$work/folders" <(free_folders | sort); diff "$work/mounts" /proc/self/mountinfo) || true
    [ -n "$left" ] || return 0
    sleep 0.1
  done
  echo "left after 10 s ($round looks): $left"
  return 1
}
remember_the_machine() {
  free_folders | sort > "$work/folders"
  cat /proc/self/mountinfo > "$work/mounts"
}

# ---- What they do ----

case_of "an unknown chapter"
course check 77
expect 2 "there is no chapter 77" "hint:" "01-pid-namespace"
course hint 01 9
expect 2 "no exercise 9" "hint:"

case_of "nothing written yet: every exercise is open, and that is no error of theirs"
course check 01
expect 1 open
so "no panic is shown" test -z "$(grep -i 'panicked' <<< "$said")"

case_of "half-written code"
echo 'fn half(' >> "$here/src/lib.rs"
before=$(sha256sum "$here/src/lib.rs")
course check 01
expect 1 "error" "src/lib.rs"
so "their file is as they left it" test "$before" = "$(sha256sum "$here/src/lib.rs")"
begin_anew

case_of "code that deletes its own Cargo.toml, and then reset"
cat > "$here/build.rs" << 'END'
fn main() {
    std::fs::remove_file("Cargo.toml").unwrap();
}
END
chown "$learner" "$here/build.rs"
echo '// mine' >> "$here/src/lib.rs"
course check 01
so "the build script ran" test ! -e "$here/Cargo.toml"
course check 01
expect 2 "Cargo.toml is gone" "cargo course reset 01"
course check 00
expect 2 "01-pid-namespace/Cargo.toml is gone" "cargo course reset 01"
course reset 01
expect 0
so "the manifest is back" git -c safe.directory='*' -C "$checkout" diff --quiet -- chapters
so "what they wrote is in a backup" grep -rqx '// mine' "$checkout/.course"
so "so is the file that was not ours" test -n "$(find "$checkout/.course" -name build.rs)"
course check 01
expect 1 open
begin_anew

case_of "passed, and remembered; the solution is sealed until then, and says how to open it"
answer=$(sed -n '/ANCHOR: todo_pid_wait/,/ANCHOR_END/p' "$checkout/solutions/01-pid-namespace/src/lib.rs" \
  | grep -v -e ANCHOR -e '//' | tail -1)
course solution 01 pid_wait
so "it is sealed" test $status != 0 -a -z "$(grep -F "$answer" <<< "$said")"
expect "$status" --spoil
course solution 01 pid_wait --spoil
expect 0 "$(xargs -0 <<< "$answer" | tr -s ' \n' ' ' | sed 's/^ //; s/ $//')"
begin_anew
fill
course check 01
expect 0 passed
so "it is in the progress file" grep -q '"pid_wait"' <(progress)
course solution 01 pid_wait
expect 0
course solution pid_wait
expect 0 "exercise 2"
so "the one that was named, and no other" test -z "$(grep -e 'exercise [13]' <<< "$said")"
course list
expect 0

case_of "what has passed and does so no more is to do again, and nobody calls it passed"
sed -i 's/128 + signal/signal/' "$here/src/lib.rs"
course check 01
expect 1 "failed"
course list
expect 0 "to do 2" "passed once"
course
expect 0 "2 of 3" "exercise 2 of 3"
fill
course check 01
course list
so "all has passed again" test -z "$(grep 'passed once' <<< "$said")"

case_of "plain when piped; no colour with NO_COLOR"
so "no escape codes in a pipe" test -z "$(grep $'\e' <<< "$said")"
course check 01
so "no escape codes in a pipe" test -z "$(grep $'\e' <<< "$said")"
in_terminal() { as_learner script -qec "cargo-course course $*" /dev/null < /dev/null 2>&1 || true; }
so "colours in a terminal" grep -q $'\e\[[0-9;]*m' <<< "$(in_terminal list)"
variables=(NO_COLOR=1)
so "none with NO_COLOR" test -z "$(in_terminal list | grep $'\e\[[0-9;]*m')"
variables=()

case_of "the sum as JSON is JSON"
command -v python3 > /dev/null || { echo "no python3 to read JSON with: install it"; exit 77; }
said=$(as_learner cargo-course course check 01 --json 2> /dev/null) || status=$?
so "one JSON object" python3 -c 'import json, sys; json.loads(sys.stdin.read())' <<< "$said"

case_of "a damaged progress file"
echo '{ "exercises": [' > "$checkout/.course/progress.json"
course list
expect 0 damaged
so "it was set aside" grep -rqF '"exercises": [' "$checkout/.course" --include='*damaged*'
course check 01
expect 0 passed
so "all begins anew" grep -q '"pid_wait"' <(progress)

case_of "a disk that is full"
progress > "$work/progress"
umount "$checkout/.course" 2> /dev/null || true
mv "$checkout/.course" "$work/course-before"
mkdir "$checkout/.course"
mount -t tmpfs -o size=16k,nr_inodes=6,uid="$learner",gid="$learner" none "$checkout/.course"
cp "$work/course-before/progress.json" "$checkout/.course/progress.json"
chown "$learner" "$checkout/.course/progress.json"
head -c 16k /dev/zero > "$checkout/.course/ballast" 2> /dev/null || true
echo '// changed' >> "$here/src/lib.rs"
course check 01
expect 0 passed "not kept"
so "what was known before is there" test "$(progress)" = "$(cat "$work/progress")"
so "no half-written file is there" test -z "$(find "$checkout/.course" -name '*.new')"
umount "$checkout/.course"
rmdir "$checkout/.course"
mv "$work/course-before" "$checkout/.course"

case_of "hints count up"
begin_anew
course hint 01 pid_start; first=$said; expect 0
course hint 01 pid_start; second=$said; expect 0
course hint 01 pid_start; third=$said; expect 0
course hint 01 pid_start; expect 0
so "three hints" test "$first" != "$second" -a "$second" != "$third" -a "$first" != "$third"
so "they are counted" grep -q '"hints": 3' <(progress)

case_of "reset keeps a backup"
echo '// a night of work' >> "$here/src/lib.rs"
course reset 01
expect 0 .course
so "the starter is back" git -c safe.directory='*' -C "$checkout" diff --quiet -- chapters
so "the work is kept" grep -rqx '// a night of work' "$checkout/.course"

case_of "two checks at once"
begin_anew
fill
remember_the_machine
as_learner cargo-course course check 01 > "$work/one" 2>&1 < /dev/null & one=$!
as_learner cargo-course course check 01 > "$work/two" 2>&1 < /dev/null & two=$!
status=0
wait $one || status=$?
wait $two || status=$?
said=$(cat "$work/one" "$work/two")
expect 0
so "both tell their verdict" test "$(grep -c passed "$work/one")" = "$(grep -c passed "$work/two")"
so "nothing is left" nothing_left

case_of "no sudo"
rm -rf "$checkout/.course"
mv "$work/bin/sudo" "$work/no-sudo"
tools=$work/bin:$work/cargo/bin:$work/programs
mkdir "$work/programs"
for tool in bash sh env id dirname cc ld as getent cut command ip true mkdir rm cp ls; do
  place=$(command -v $tool) && [[ $place = /* ]] && ln -s "$place" "$work/programs/$tool"
done
course check 01
expect 1 "not run" "there is no sudo"
so "it does not say that sudo asks" test -z "$(grep 'asks for' <<< "$said")"
so "nothing has passed" test -z "$(progress | grep '"at"')"
course doctor
expect "$status" sudo
tools=$work/bin:$work/cargo/bin:/usr/bin:/bin:/usr/sbin:/sbin
mv "$work/no-sudo" "$work/bin/sudo"

case_of "a checkout that can't be written"
course check 01
expect 0
rm -rf "$checkout/.course"
mount --bind "$checkout" "$checkout"
mount -o remount,bind,ro "$checkout"
course check 01
expect 0 passed "not kept"
course hint 01 pid_start
expect 0
course reset 01
so "reset fails, and says why" test $status != 0 -a -n "$(grep -i 'read-only' <<< "$said")"
umount "$checkout"

case_of "Ctrl-C and SIGKILL in the middle of a check"
cat > "$work/bin/hangs-$$" << 'END'
#!/bin/sh
mount -t tmpfs left /mnt
while :; do sleep 100; done
END
chmod 755 "$work/bin/hangs-$$"
soon_runs() { # what its command line holds
  for _ in {1..1000}; do
    ! pgrep -f "$1" > /dev/null || return 0
    sleep 0.02
  done
  return 1
}
begin_anew
for signal in INT TERM HUP KILL; do
  for after in at-once while-it-hangs; do
    remember_the_machine
    # A session of its own, as in a terminal: Ctrl-C goes to all in the group, a kill to one.
    # What runs behind `&` in a script ignores Ctrl-C, and so would all that it starts.
    as_learner env --default-signal=HUP,INT,QUIT,TERM setsid cargo-course course check 01 --bin "$work/bin/hangs-$$" > "$work/said/it" 2>&1 < /dev/null &
    it=''
    for _ in {1..1000}; do
      it=$(pgrep -f "^cargo-course course check 01 --bin $work" | head -1) && break
      sleep 0.02
    done
    # Once as soon as it can be, once when the program hangs in the sandbox.
    [ $after = at-once ] || so "it hangs" soon_runs "/run/tmp/hangs-$$"
    if [ $signal = INT ]; then kill -INT -- "-$it"; else kill -$signal "$it"; fi
    ended=0
    wait $! || ended=$?
    said=$(cat "$work/said/it")
    so "SIG$signal, $after: it ends at once, by that" test "$ended" -gt 128
    so "SIG$signal, $after: nothing is left" nothing_left
    so "SIG$signal, $after: no word of having passed" test -z "$(grep -w passed <<< "$said")"
  done
done

case_of "SIGKILL in the middle of a check without a sandbox"
remember_the_machine
as_learner setsid cargo-course course check 01 --bare --bin "$work/bin/hangs-$$" > "$work/said/it" 2>&1 < /dev/null &
so "it hangs" soon_runs "/coracle-test-[0-9a-f]*/hangs-$$"
it=$(pgrep -f "^cargo-course course check 01 --bare --bin $work" | head -1)
kill -KILL "$it"
wait $! || true
said=$(cat "$work/said/it")
so "nothing is left" nothing_left

case_of "no file in the checkout is root's"
strangers=$(find "$work/home" ! -user "$learner" | head -3)
[ -z "$strangers" ] || { said=$strangers; miss "all belongs to the learner"; }

[ $failures = 0 ] || { echo "$failures things are not so"; exit 1; }
