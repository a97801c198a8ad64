#!/usr/bin/env bash
# An ordinary user who logs in where systemd runs gets limits: coracle asks for a scope, and where it
# can't, says how to begin it in one. In the lab, with systemd as process 1.
set -euo pipefail
cd "$(dirname "$0")/../.."
programs=$(realpath "${CARGO_TARGET_DIR:-target}")/debug
work=$(mktemp -d "${TMPDIR:-/var/tmp}/coracle-scope-XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

if ! said=$(scripts/lab.d/fetch 2>&1); then
  echo "$said"
  [ "${CI:-}" = true ] || exit 77 # there somebody promised a machine that has it
  exit 1
fi
[ -x /lib/systemd/systemd ] || { echo "no systemd here"; exit 77; }
for needed in /usr/lib/systemd/user/dbus.socket /usr/lib/*/security/pam_systemd.so; do
  [ -e "$needed" ] || { echo "no $needed: install dbus-user-session and libpam-systemd"; exit 77; }
done
for needed in busctl script newuidmap runuser; do
  command -v "$needed" > /dev/null || { echo "no $needed: install it"; exit 77; }
done

# ---- An image: busybox and links to it ----

blob() { # file: prints its digest and size, as a descriptor has them
  local digest
  digest=$(sha256sum "$1")
  digest=${digest%% *}
  echo "\"digest\": \"sha256:$digest\", \"size\": $(stat -c %s "$1")"
  mv "$1" "$work/image/blobs/sha256/$digest"
}
mkdir -p "$work"/{bin,image/blobs/sha256,rootfs/bin}
cp "$(scripts/find-busybox)" "$work/rootfs/bin/busybox"
for name in cat echo ls sh sleep; do ln -s busybox "$work/rootfs/bin/$name"; done
tar -C "$work/rootfs" -cf "$work/layer" --owner=0 --group=0 .
layer=$(blob "$work/layer")
diff_id=${layer#*: } diff_id=${diff_id%%,*}
echo "{\"os\": \"linux\", \"architecture\": \"amd64\", \"config\": {}, \"rootfs\": {\"type\": \"layers\", \"diff_ids\": [$diff_id]}}" > "$work/config"
vendor=application/vnd.oci.image
echo "{\"schemaVersion\": 2, \"mediaType\": \"$vendor.manifest.v1+json\", \"config\": {\"mediaType\": \"$vendor.config.v1+json\", $(blob "$work/config")}, \"layers\": [{\"mediaType\": \"$vendor.layer.v1.tar\", $layer}]}" > "$work/manifest"
echo "{\"schemaVersion\": 2, \"manifests\": [{\"mediaType\": \"$vendor.manifest.v1+json\", $(blob "$work/manifest"), \"annotations\": {\"org.opencontainers.image.ref.name\": \"latest\"}}]}" > "$work/image/index.json"
echo '{"imageLayoutVersion": "1.0.0"}' > "$work/image/oci-layout"

# ---- In the lab ----

mkdir "$work/few"
cp "$programs/coracle" "$work/bin/coracle"
memory=$(((48 + RANDOM % 16) << 20)) pids=$((20 + RANDOM % 20)) word=word$RANDOM
cat > "$work/variables" << END
work=$work image=oci:$work/image:latest word=$word PATH=$work/bin:\$PATH
run='coracle run --rm --network none --memory $memory --pids-limit $pids'
END
cat > "$work/session" << 'END' # of one who logs in
echo "group of the login: $(cat /proc/self/cgroup)"
$run $image sh -c 'echo "inside: $(cat /sys/fs/cgroup/memory.max) $(cat /sys/fs/cgroup/pids.max)"; exit 7'
echo "status: $?"
echo $word | $run -i $image sh -c 'read one; echo "got $one"'
script -qec "$run -it $image sh -c '[ -t 0 ] && [ -t 1 ] && echo a terminal'" /dev/null | grep -o 'a terminal' # and not the end of file that is typed

$run -v $HOME:/out $image sh -c 'trap "echo told to end; exit 5" TERM; echo > /out/there; while :; do sleep 0.1; done' &
until [ -e $HOME/there ]; do sleep 0.1; done
group=$(cut -d: -f3 /proc/$!/cgroup)
echo "group of the program: $group"
echo "outside: $(cat /sys/fs/cgroup${group%/*}/coracle/*/memory.max)"
kill -TERM $!
wait $!
echo "status after a signal: $?"
rm $HOME/there

$run -v $HOME:/out $image sh -c 'echo > /out/there; exec sleep 1000' &
until [ -e $HOME/there ]; do sleep 0.1; done
kill -KILL $!
wait $! 2> /dev/null
while ls -d /sys/fs/cgroup/user.slice/user-*.slice/user@*.service/app.slice/coracle-*; do sleep 0.1; done > /dev/null 2>&1
echo "scopes known: $(systemctl --user list-units --all --plain --no-legend 'coracle-*' | wc -l)"
echo "containers: $(coracle ps --all | tail -n +2 | wc -l)"

everything=$PATH PATH=$work/bin:$work/few
hash -r
$run $image echo ran 2> said
echo "status without busctl: $?"
PATH=$everything
sed 's/^/without busctl: /' said
$(sed -n 's/^hint:.* before the command: //p' said) --quiet $run $image sh -c 'echo "by the hint: $(cat /sys/fs/cgroup/memory.max)"'
END
cat > "$work/in-the-lab" << END
useradd -m -d /lab/anna anna # not on the overlay that is the root here
useradd -m -d /lab/bob bob
ln -s "\$(command -v newuidmap)" "\$(command -v newgidmap)" $work/few/
# Started by the login itself, they would have to be there in 25 seconds: too short on a busy machine.
systemctl start systemd-logind "user@\$(id -u anna)"
runuser -l anna -c '. $work/variables; . $work/session'
echo "status of the session: \$?"
cd /lab/bob
. $work/variables
HOME=/lab/bob runuser -u bob -- \$run \$image echo ran 2>&1 | sed 's/^/no login: /'
END
chmod -R a+rX "$work"
status=0
scripts/lab --systemd --timeout 1800 bash "$work/in-the-lab" > "$work/said" 2>&1 || status=$?

expect() { # what, line that must be there
  grep -qxE "$2" "$work/said" && return
  echo "$1: no line \"$2\""
  sed 's/^/    /' "$work/said"
  exit 1
}
[ "$status" = 0 ] || expect "the lab ended with $status" "all is well"
expect "the session" "status of the session: 0"
expect "a group of root's" "group of the login: 0::/user\.slice/user-[0-9]+\.slice/session-.*\.scope"
expect "limits, seen from inside" "inside: $memory $pids"
expect "the status" "status: 7"
expect "standard input" "got $word"
expect "a terminal" "a terminal"
expect "a scope" "group of the program: .*/user@[0-9]+\.service/app\.slice/coracle-[0-9a-f]+\.scope/coracle-itself"
expect "limits, seen from outside" "outside: $memory"
expect "a signal" "told to end"
expect "its status" "status after a signal: 5"
expect "nothing left of one that was killed" "scopes known: 0"
expect "nor its record" "containers: 0"
expect "an error" "status without busctl: 125"
expect "with a reason" "without busctl: .*cannot run busctl.*"
expect "and a command that works as it stands" "by the hint: $memory"
expect "who has not logged in is told so" "no login: hint: .*log in.*"
