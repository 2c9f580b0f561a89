#!/bin/sh
# Installs what a make target needs of Debian, and nothing when it is there.
# Usage: setup.sh packages PACKAGE... | setup.sh optional PACKAGE... (those that this Debian has) | setup.sh locale LANGUAGE_COUNTRY (its UTF-8 variant) | setup.sh npm DIRECTORY PACKAGE@VERSION
# As root or with sudo it installs; otherwise one line says what is missing. Exit 2 when something is missing still.
set -eu

usage() { echo "usage: $0 packages PACKAGE... | $0 optional PACKAGE... | $0 locale LANGUAGE_COUNTRY | $0 npm DIRECTORY PACKAGE@VERSION" >&2; exit 64; }

become_root() {
	id=$(id -u)
	if [ "${id}" = 0 ]; then
		become='env'
	elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		become='sudo'
	else
		echo "setup: $1" >&2
		exit 2
	fi
}

# quietly COMPLAINT COMMAND...: runs a command, and shows the end of what it said with the complaint when it fails.
quietly() {
	complaint=$1
	shift
	log=$(mktemp)
	"$@" >"${log}" 2>&1 && failed=0 || failed=1
	[ "${failed}" = 0 ] || tail -n 3 "${log}" >&2
	rm -f "${log}"
	[ "${failed}" = 0 ] || { echo "setup: ${complaint}" >&2; exit 2; }
}

# Not every release of Debian has these; tests that need one that is not there are skipped.
# shellcheck disable=SC2086 # a list of package names
optional() {
	command -v apt-cache >/dev/null 2>&1 || exit 0
	wanted=
	for package in "$@"; do
		if dpkg-query -W -f '${db:Status-Status}\n' "${package}" 2>/dev/null | grep -qx installed; then
			continue
		elif apt-cache show "${package}" >/dev/null 2>&1; then
			wanted="${wanted} ${package}"
		else
			echo "setup: this Debian has no package ${package}; tests that need it are skipped"
		fi
	done
	[ -z "${wanted}" ] || packages ${wanted}
}

# shellcheck disable=SC2086 # lists of package names
packages() {
	if ! command -v dpkg-query >/dev/null 2>&1; then
		echo "setup: this machine is not Debian; install these by hand: $*" >&2
		exit 0
	fi
	missing=
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "${package}" 2>/dev/null | grep -qx installed || missing="${missing} ${package}"
	done
	[ -n "${missing}" ] || exit 0
	become_root "missing Debian packages; install them as root: apt-get install${missing}"
	echo "setup: installing${missing}"
	complaint="could not install${missing}; check the network and apt's configuration"
	quietly "${complaint}" "${become}" apt-get update -qq
	quietly "${complaint}" "${become}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${missing}
}

locale_of() {
	locale -a | grep -qix "$1\.utf-\{0,1\}8" && exit 0
	become_root "the locale $1.UTF-8 is missing; make it as root: localedef --inputfile $1 --charmap UTF-8 $1.UTF-8"
	echo "setup: making the locale $1.UTF-8"
	quietly "could not make the locale $1.UTF-8; install the Debian package locales" "${become}" localedef --inputfile "$1" --charmap UTF-8 "$1.UTF-8"
}

# Into a directory of the checkout, for tests that compare with such a program; without npm they are skipped.
npm_package() {
	if ! command -v npm >/dev/null 2>&1; then
		echo "setup: npm is not installed; tests that need $2 are skipped"
		exit 0
	fi
	grep -qsF "\"version\": \"${2##*@}\"" "$1/node_modules/${2%@*}/package.json" && exit 0
	echo "setup: installing $2 into $1"
	quietly "could not install $2; check the network and npm's configuration" npm install --silent --no-audit --no-fund --prefix "$1" "$2"
}

[ $# -gt 1 ] || usage
what=$1
shift
case "${what}" in
packages) packages "$@" ;;
optional) optional "$@" ;;
locale) [ $# = 1 ] || usage; locale_of "$1" ;;
npm) [ $# = 2 ] || usage; npm_package "$1" "$2" ;;
*) usage ;;
esac
