# The work of `everest-cert check`: the store as a whole (CERT-01, CERT-02, CERT-06, TPM-04); everest-cert sources it.
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2310 # what everest-cert has set; a function that is asked something answers with its exit code

# Directories that are there, the service user's, and written to by nobody else; and room for what EVerest may still take in.
check_places() {
	places | sort -u | while IFS= read -r each; do
		[ -d "${each}" ] || fault "${each}" layout 'it is no directory'
	done
	find "${store}/" -maxdepth 8 -type d 2>/dev/null | while IFS= read -r each; do
		owner=$(stat -c %u "${each}")
		[ "${owner}" = "${uid}" ] || fault "${each}" owner "it belongs to the user ${owner}"
		[ -z "$(find "${each}" -prune '(' -perm -020 -o -perm -002 ')')" ] || fault "${each}" mode "others may write to it"
	done
	room || fault "${store}" full "it has reached its limits, where EVerest takes in nothing any more"
}

room() {
	files=$(find "${store}/" -type f 2>/dev/null | wc -l)
	[ "${files}" -lt "${MOST_FILES}" ] || return 1
	kib=$(du -sk "${store}" 2>/dev/null | cut -f 1)
	[ "${kib:-0}" -lt $((MOST_MIB * 1024)) ]
}

# Leaves in $work/keys the key files of the store: by their name, or by what is in them.
check_keys() {
	places | sort -u | while IFS= read -r each; do
		find "${each}/" -maxdepth 8 '(' -name '*.key' -o -name '*.tkey' ')' '(' -type f -o -type l ')' 2>/dev/null || :
		find "${each}/" -maxdepth 8 -type f -exec grep -l -E -e '^-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----' {} + 2>/dev/null || :
	done | sort -u >"${work}/keys"
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

# Each chain has its key; and there are those that are asked for.
check_leaves() {
	for name in csms secc; do
		case ${name} in csms) directory=${csms_chains} keys=${csms_keys} ;; *) directory=${secc_chains} keys=${secc_keys} ;; esac
		keys_in "${keys}" >"${work}/public"
		awk -F '\t' -v OFS='\t' -v below="${directory}/" '
			FILENAME == ARGV[1] { broken[$1] = 1; next }
			FILENAME == ARGV[2] { known[$1] = 1; next }
			index($2, below) == 1 && $3 == 1 && $5 != "" && $12 != "ca" && !($2 in broken) && !($16 in known) { print $2, $17 }
		' "${work}/faults" "${work}/public" "${work}/facts" | while IFS=${tab} read -r file subject; do
			fault "${file}" no-key "there is no key for '${subject}' in ${keys}"
		done
		case ${words} in
		*" ${name}"*)
			cut -f 2 "${work}/facts" | grep -q -F "${directory}/" || fault "${directory}" no-certificate "there is no chain for ${name}"
			;;
		*) ;;
		esac
	done
}
