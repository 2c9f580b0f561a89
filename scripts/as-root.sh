#!/bin/sh
# Runs a command as root in a user namespace of its own, where an image's owners can be told apart; as root, just runs it.
# Usage: as-root.sh COMMAND [ARGUMENT...]
# Needs newuidmap (package uidmap) and ranges for the user in /etc/subuid and /etc/subgid; exit 2 with one line when they are missing.
set -eu

[ $# -gt 0 ] || { echo "usage: $0 COMMAND [ARGUMENT...]" >&2; exit 64; }

id=$(id -u)
[ "${id}" != 0 ] || exec "$@"

if ! unshare --user --map-root-user --map-auto true 2>/dev/null; then
	echo "as-root: this user may not make a user namespace with its own ids; run as root, or add ranges to /etc/subuid and /etc/subgid" >&2
	exit 2
fi
exec unshare --user --map-root-user --map-auto --mount --setuid 0 --setgid 0 "$@"
