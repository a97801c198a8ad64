#!/usr/bin/env bash
# Nothing that would harm the machine if it succeeded runs outside of the lab: in a test's source,
# a word such as sysrq-trigger stands only in a function that began with harness::lab_only(), or in
# a script on a line that calls scripts/lab. A line that ends in `// harmless: why` is let pass.
set -euo pipefail
cd "$(dirname "$0")/../.."

words='sysrq-trigger|harmful|reboot|kexec|poweroff|/dev/(sd|vd|nvme|mem|kmem|port)|:\(\) *\{'

# Prints the lines that break the rule.
offences() { # files
  awk -v words="$words" '
    FNR == 1 || /^[[:space:]]*(pub )?fn / { guarded = 0 }
    /lab_only\(\)/ { guarded = 1 }
    { code = $0 }
    FILENAME ~ /\.rs$/ { sub(/^[[:space:]]*\/\/.*/, "", code) }
    FILENAME !~ /\.rs$/ { sub(/^[[:space:]]*#.*/, "", code); guarded = /scripts\/lab / }
    code ~ words && !guarded && !/(\/\/|#) harmless: ./ { print FILENAME ":" FNR ": " $0 }
  ' "$@"
}

# The rule itself: what it must find, and what not.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/bad.rs" << 'END'
fn guarded() {
    harness::lab_only();
    write("/proc/sysrq-trigger", "b");
}
fn bad() {
    write("/proc/sysrq-trigger", "b");
}
fn late() {
    nix::sys::reboot::reboot(mode);
    harness::lab_only();
}
END
cat > "$folder/good.rs" << 'END'
/// Not even a reboot.
fn masked() {
    assert!(hidden("/proc/sysrq-trigger")); // harmless: it only looks
}
fn guarded() {
    harness::lab_only();
    open("/dev/vda");
}
END
printf '%s\n' '# reboot' 'scripts/lab sh -c reboot' > "$folder/good.sh"
echo reboot > "$folder/bad.sh"
found=$(offences "$folder"/bad.* | cut -d: -f2 | paste -sd' ')
[ "$found" = "6 9 1" ] || { echo "the search for dangerous tests is broken: it found lines $found"; exit 1; }
[ -z "$(offences "$folder"/good.*)" ] || { echo "the search for dangerous tests finds good ones"; exit 1; }

mapfile -t files < <(git ls-files -co --exclude-standard 'solutions/**/tests/*' 'scripts/**/tests/*' \
  'scripts/harness/examples/*' 'scripts/tests/*.sh' scripts/test scripts/tour scripts/try \
  | grep -E '\.(rs|sh)$|^scripts/t[a-z]*$' | grep -v "^scripts/tests/${0##*/}$")
[ ${#files[@]} -gt 50 ] || { echo "only ${#files[@]} test files found"; exit 1; }
found=$(offences "${files[@]}")
[ -z "$found" ] || {
  echo "these would harm the machine if what they try succeeded: begin their tests with harness::lab_only()"
  echo "$found"
  exit 1
}
