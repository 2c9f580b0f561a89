# What everest-tpm and everest-cert have in common (TPM-06, CERT-08): who they are run by, where EVerest's certificate store is, what they say.
# They source it. $0 is theirs.
# shellcheck shell=sh
# shellcheck disable=SC2034 # what is set here is used by them
umask 077
export LC_ALL=C
# The policy of EVerest's programs prefers the default provider; here each call names what may do the work.
export OPENSSL_CONF=/dev/null

program=${0##*/}
config=${EVEREST_CONFIG_FILE:-/etc/everest/config.yaml}
store=${EVEREST_STORE:-/etc/everest/certs}
user=${EVEREST_USER:-everest}
journal=${EVEREST_JOURNAL:-/run/systemd/journal/socket}

UNSOUND=1 FAILED=2 NO_TPM=3 NOT_ALLOWED=4 USAGE=64

work='' new='' code=0

# fail CODE SENTENCE
fail() {
	echo "${program}: $2" >&2
	exit "$1"
}

wrong() {
	fail "${USAGE}" "$1; ${program} --help shows what there is"
}

# An entry of the journal: record ID PRIORITY SENTENCE [NAME=VALUE]. systemd-notify sends lines NAME=VALUE as one datagram, which is what the journal
# takes (systemd's documentation, "Native Journal Protocol"); logger(1) of OE-Core cannot speak to it. It drops the last line, which nothing ends.
record() {
	[ -S "${journal}" ] || return 0
	NOTIFY_SOCKET=${journal} systemd-notify --no-block "SYSLOG_IDENTIFIER=${program}" "MESSAGE_ID=$1" "PRIORITY=$2" "MESSAGE=$3" \
		${4:+"$4"} EVEREST_END=1 || echo "${program}: the journal does not take entries at ${journal}" >&2
}

# Sets $uid to the service user and $me to who runs this; refuses everybody but that user and root.
know_service_user() {
	uid=$(id -u "${user}" 2>/dev/null) || fail "${FAILED}" "there is no user '${user}'; install everest-user"
	me=$(id -u)
	[ "${me}" = "${uid}" ] || [ "${me}" -eq 0 ] ||
		fail "${NOT_ALLOWED}" "the keys belong to the user '${user}'; call it as that user or as root"
}

# Root becomes the service user; nobody else may touch its keys. By its path, as the setpriv that BusyBox has in its shell cannot.
become_service_user() {
	know_service_user
	[ "${me}" != "${uid}" ] || return 0
	exec /usr/bin/setpriv --reuid="${user}" --regid="$(id -g "${user}")" --init-groups --inh-caps=-all --no-new-privs -- "$0" "$@"
}

make_work() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/${program}.XXXXXX")
	trap 'rm -rf "${work}" ${new:+"${new}"}' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# Sets $place to a path of the store as EVerest's configuration has it: configured KEY DEFAULT. Keys are those of its module EvseSecurity.
configured() {
	[ -n "${settings:-}" ] || read_settings
	place=$(echo "${settings}" | sed -n "s/^$1: *//p" | head -n 1)
	[ -n "${place}" ] || place=$2
	case ${place} in
	*[!A-Za-z0-9/._-]* | *..*) fail "${FAILED}" "${config} has '${place}' as $1, which is no plain path" ;;
	/*) place=${place%/} ;;
	*) place=${store}/${place%/} ;;
	esac
}

read_settings() {
	[ -r "${config}" ] || fail "${FAILED}" "EVerest's configuration ${config} cannot be read; install everest-config"
	settings=$(awk '
		/^[^ #]/ { inside = $1 == "active_modules:" }
		inside && /^  [A-Za-z0-9_]+:/ { module = $1 }
		inside && /^    module:/ { type[module] = $2 }
		inside && /^      [a-z0-9_]+:/ { values[module] = values[module] $1 " " $2 "\n" }
		END {
			for (module in type)
				if (type[module] == "EvseSecurity") {
					printf "module: %s\n%s", module, values[module]
					exit
				}
		}
	' "${config}" | tr -d "\"'")
	[ -n "${settings}" ] || fail "${FAILED}" "${config} has no module EvseSecurity, whose store this would be"
}
