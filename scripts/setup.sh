#!/bin/sh
# Installs the Debian packages that a make target needs, and nothing when they are there.
# Usage: setup.sh packages PACKAGE...
# As root or with sudo it installs; otherwise one line says what is missing. Exit 2 when something is missing still.
set -eu

[ "${1:-}" = packages ] || { echo "usage: $0 packages PACKAGE..." >&2; exit 64; }
shift

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "setup: this machine is not Debian; install these by hand: $*" >&2
	exit 0
fi

missing=
for package in "$@"; do
	dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

id=$(id -u)
if [ "${id}" = 0 ]; then
	become=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
	become=sudo
else
	echo "setup: missing Debian packages; install them as root: apt-get install$missing" >&2
	exit 2
fi

echo "setup: installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of package names
if ! { $become apt-get update -qq && DEBIAN_FRONTEND=noninteractive $become apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 3 "$log" >&2
	echo "setup: could not install$missing; check the network and apt's configuration" >&2
	exit 2
fi
