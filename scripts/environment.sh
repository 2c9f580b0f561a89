#!/bin/sh
# Makes the Python environment from requirements.lock, with this project in it.
# Usage: environment.sh PYTHON DIRECTORY
# Exit 2 with one sentence when Python is too old or the packages cannot be had; the directory is then not there.
set -eu

[ $# = 2 ] || { echo "usage: $0 PYTHON DIRECTORY" >&2; exit 64; }
python=$1
directory=$2

if ! "${python}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	echo "environment: ${python} is missing or older than Python 3.11; name another with 'make PYTHON=...'" >&2
	exit 2
fi

log=$(mktemp)
trap 'rm -f "${log}"' EXIT

echo "environment: installing the packages of requirements.lock into ${directory}"
"${python}" -m venv --clear "${directory}"
install="${directory}/bin/pip --disable-pip-version-check install --quiet --no-deps"
# shellcheck disable=SC2086 # a command with its options
if ! { ${install} --require-hashes --requirement requirements.lock && ${install} --no-build-isolation --editable .; } >"${log}" 2>&1; then
	rm -rf "${directory}"
	cause=$(grep '^ERROR: ' "${log}" | tail -n 1 | cut -d ' ' -f 2-)
	echo "environment: could not install the packages of requirements.lock (${cause:-pip failed}); check the network and pip's configuration" >&2
	exit 2
fi
