# The work of `everest-cert check`: the store as a whole (CERT-01, CERT-02, CERT-06, TPM-04); everest-cert sources it.
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2310 # what everest-cert has set; a function that is asked something answers with its exit code

# Directories that are there, the service user's, and written to by nobody else; and room for what EVerest may still take in.
check_places() {
	for each in ${directories}; do
		[ -d "${each}" ] || fault "${each}" layout 'it is no directory'
	done
	# shellcheck disable=SC2086 # a list of plain paths
	{
		find ${tops} -maxdepth 8 -type d ! -user "${uid}" 2>/dev/null | sed "s/\$/${tab}owner${tab}it does not belong to ${user}/"
		find ${tops} -maxdepth 8 -type d '(' -perm -020 -o -perm -002 ')' 2>/dev/null | sed "s/\$/${tab}mode${tab}others may write to it/"
	} >>"${work}/faults"
	# shellcheck disable=SC2086 # a list of plain paths
	[ -z "$(find ${tops} -maxdepth 8 -name '*[[:cntrl:]]*' 2>/dev/null)" ] ||
		fault "${store}" unreadable 'it has names with control characters, which are not looked at'
	room || fault "${store}" full 'it has reached its limits, where EVerest takes in nothing any more'
}

room() {
	files=$(find "${store}/" -type f 2>/dev/null | wc -l)
	[ "${files}" -lt "${MOST_FILES}" ] || return 1
	kib=$(du -sk "${store}" 2>/dev/null | cut -f 1)
	[ "${kib:-0}" -lt $((MOST_MIB * 1024)) ]
}

# Leaves in $work/keys the key files of the store: by their name, or by what is in them.
check_keys() {
	# shellcheck disable=SC2086 # a list of plain paths
	{
		find ${tops} -maxdepth 8 '(' -name '*.key' -o -name '*.tkey' ')' '(' -type f -o -type l ')' 2>/dev/null || :
		find ${tops} -maxdepth 8 -type f -exec grep -l -E -e '^-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----' {} + 2>/dev/null || :
	} | sort -u >"${work}/keys"
	set --
	while IFS= read -r each; do
		access=$(stat -L -c '%u %a' "${each}" 2>/dev/null) || continue
		case ${access} in
		"${uid} 600" | "${uid} 400") ;;
		"${uid} "*)
			fault "${each}" mode "the key has the mode ${access#* }"
			continue
			;;
		*)
			fault "${each}" owner "the key belongs to the user ${access% *}"
			continue
			;;
		esac
		case ${each} in "${csms_keys}/"*) name=csms ;; "${secc_keys}/"*) name=secc ;; *) continue ;; esac
		if [ "$(head -n 1 "${each}")" = "${TPM_KEY}" ]; then
			set -- "$@" "${each}"
		elif wants_tpm "${name}"; then
			fault "${each}" software-key 'the key lies in a file, where one in the TPM is wanted'
		fi
	done <"${work}/keys"
	check_in_tpm "$@"
}

# There is a chain for a name that nothing is wrong with, and its key. What is wrong with one was said before.
check_ready() {
	case $1 in csms) directory=${csms_chains} keys=${csms_keys} ;; *) directory=${secc_chains} keys=${secc_keys} ;; esac
	keys_in "${keys}" >"${work}/public"
	awk -F '\t' -v below="${directory}/" '
		FILENAME == ARGV[1] { broken[$1] = 1; next }
		FILENAME == ARGV[2] { if ($1 != "" && !($2 in broken)) known[$1] = 1; next }
		index($2, below) != 1 || $3 != 1 { next }
		$2 in broken { unsound = 1; next }
		$16 in known { ready = 1 }
		{ chains++ }
		END { print ready ? "ready" : chains ? "no-key" : unsound ? "unsound" : "no-certificate" }
	' "${work}/faults" "${work}/public" "${work}/facts" >"${work}/ready"
	case $(cat "${work}/ready") in
	ready | unsound) ;;
	no-key) fault "${directory}" no-key "no chain for $1 has its key in ${keys}" ;;
	*) fault "${directory}" no-certificate "there is no chain for $1" ;;
	esac
}
