# Which certificates and keys a charger has, and what is wrong with certificates (CERT-03, CERT-04); everest-cert sources it.
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2310 # what everest-cert has set; a function that is asked something answers with its exit code

# Sets what the store consists of, as EVerest is configured: directories of chains and keys; bundles of roots, a line each with its name; all directories of
# these, and those with what lies in them once, each on a line of plain words.
know_store() {
	configured csms_leaf_cert_directory client/csms
	csms_chains=${place}
	configured csms_leaf_key_directory client/csms
	csms_keys=${place}
	configured secc_leaf_cert_directory client/cso
	secc_chains=${place}
	configured secc_leaf_key_directory client/cso
	secc_keys=${place}
	bundles=''
	for each in csms mf mo v2g; do
		upper=$(echo "${each}" | tr '[:lower:]' '[:upper:]')
		configured "${each}_ca_bundle" "ca/${each}/${upper}_ROOT_CA.pem"
		bundles="${bundles}${each} ${place}
"
	done
	directories="${csms_chains} ${csms_keys} ${secc_chains} ${secc_keys}"
	for each in ${bundles}; do
		case ${each} in */*) ;; *) continue ;; esac
		if is_directory "${each}"; then directories="${directories} ${each}"; else directories="${directories} ${each%/*}"; fi
	done
	tops=${store}/
	for each in ${directories}; do
		case ${each}/ in "${store}/"*) ;; *) tops="${tops} ${each}/" ;; esac
	done
}

# Whether a bundle is a directory of files. One that is not there is a file if it has a suffix.
is_directory() {
	[ -d "$1" ] || case ${1##*/} in *.*) return 1 ;; *) ;; esac
}

# Sets $purpose to what a file of certificates is for; `either` where chains for csms and secc lie in one directory.
purpose_of() {
	purpose=chain
	case $1 in "${secc_chains}/"*) purpose=secc ;; *) ;; esac
	case ${purpose}:$1 in
	*:"${store}/ca/"*) purpose=root ;;
	secc:"${csms_chains}/"*) purpose=either ;;
	*:"${csms_chains}/"*) purpose=csms ;;
	*) ;;
	esac
	for each in ${bundles}; do
		case $1 in "${each}" | "${each}/"*) purpose=root ;; *) ;; esac
	done
}

# Prints the files of certificates below directories, each after its purpose and a tab. What OCSP responders said is none.
certificate_files() {
	find "$@" -maxdepth 8 '(' -type f -o -type l ')' ! -path '*/ocsp/*' ! -name '*[[:cntrl:]]*' 2>/dev/null |
		grep -i -E '[.](pem|der|crt|cer)$' | sort -u | while IFS= read -r file; do
		[ -f "${file}" ] || continue
		purpose_of "${file}"
		printf '%s\t%s\n' "${purpose}" "${file}"
	done
}

store_files() {
	# shellcheck disable=SC2086 # a list of plain paths
	certificate_files ${tops}
}

# Reads the files of $work/files into $work/facts, a line for each certificate; read-certificates.awk has the columns.
read_certificates() {
	rm -f "${work}"/*.pem
	awk -v place="${work}" -v most="${MOST_CERTIFICATES}" -f "${library}/split-certificates.awk" "${work}/files" >"${work}/parts" ||
		fail "${UNSOUND}" "there are more than ${MOST_CERTIFICATES} certificates; this is no store of a charger"
	part=$(awk -F '\t' -v file="${work}/offered" '$2 == file { print $4; exit }' "${work}/parts")
	[ -z "${part}" ] || [ -f "${part}" ] || openssl x509 -in "${work}/offered" -out "${part}" 2>/dev/null || :
	cut -f 4 "${work}/parts" | sort -u | while IFS= read -r part; do
		printf 'certificate\t%s\n' "${part}"
		openssl x509 -in "${part}" -noout -subject -issuer -nameopt RFC2253 -serial -fingerprint -sha256 -startdate -enddate -dateopt iso_8601 \
			-ext basicConstraints,keyUsage,extendedKeyUsage -text \
			-certopt no_header,no_version,no_serial,no_issuer,no_subject,no_validity,no_extensions,no_sigdump,no_aux 2>/dev/null || echo unreadable
	done | awk -f "${library}/read-certificates.awk" - "${work}/parts" >"${work}/facts"
}

# The time in a number of days, as OpenSSL writes it.
in_days() {
	date -u -d "@$(($(date +%s) + $1 * 86400))" '+%Y-%m-%d %H:%M:%SZ'
}

# Whether OpenSSL finds a certificate to be issued by what follows; when is another question.
issued() {
	certificate=$1
	shift
	openssl verify -no_check_time -check_ss_sig "$@" "${certificate}" >/dev/null 2>&1
}

# Prints where the bundle of a kind of roots is.
bundle_of() {
	echo "${bundles}" | sed -n "s/^$1 //p"
}

# Leaves the roots that chains may end at in $work/roots.csms and $work/roots.secc, for each those of one bundle alone, as EVerest has it
# (verify_certificate_internal in evse_security.cpp), and all of them in $work/roots.chain.
gather_roots() {
	for each in csms secc chain; do
		case ${each} in csms) bundle=$(bundle_of csms)/ ;; secc) bundle=$(bundle_of v2g)/ ;; *) bundle='' ;; esac
		awk -F '\t' -v bundle="${bundle}" '
			$1 == "root" && $5 != "" && (bundle == "" || index($2 "/", bundle) == 1) && !seen[$4]++ { print $4 }
		' "${work}/facts" | xargs cat /dev/null >"${work}/roots.${each}"
	done
	cat "${work}/roots.csms" "${work}/roots.secc" >"${work}/roots.either"
}

# Says in $work/faults what is wrong with certificates of $work/facts: judge FACTS [anywhere]
# With `anywhere` a chain may end anywhere as long as the store has no root at all.
judge() {
	gather_roots
	now=$(in_days 0)
	soon=$(in_days "${days}")
	[ "${production}" = 1 ] && development=0 || development=1
	awk -v now="${now}" -v soon="${soon}" -v development="${development}" -f "${library}/judge-certificates.awk" "$1" >"${work}/judged"
	sed -n "s/^fault${tab}//p" "${work}/judged" >>"${work}/faults"
	[ -s "${work}/roots.chain" ] || [ -z "${2-}" ] || sed -i "/^end${tab}/d" "${work}/judged"
	asked=''
	grep -v "^fault${tab}" "${work}/judged" | sort -t "${tab}" -k 3,4 | while IFS=${tab} read -r question file below above name issuer; do
		case ${question} in
		root) set -- "${below}" -trusted "${above}" ;;
		chained) set -- "${below}" -partial_chain -trusted "${above}" ;;
		*) set -- "${below}" -trusted "${work}/roots.${above}" -untrusted "${file}" ;;
		esac
		# The same is asked once.
		if [ "$*" != "${asked}" ]; then
			asked=$*
			if issued "$@"; then answer=yes; else answer=no; fi
		fi
		case ${answer}:${question} in
		yes:*) ;;
		no:root) fault "${file}" not-a-root "'${name}' is not signed by itself" ;;
		no:chained) fault "${file}" wrong-order "'${issuer}' follows '${name}' but did not issue it" ;;
		*) fault "${file}" untrusted "the chain ends at '${issuer}', which no root for its kind issued" ;;
		esac
	done
}

# fault FILE REASON SENTENCE
fault() {
	printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"${work}/faults"
}

# Whether EVerest makes the keys of csms or secc in the TPM: only a plain no in OCPP's configuration, of either version, is none.
wants_tpm() {
	case $1 in csms) setting=UseTPM ;; *) setting=UseTPMSeccLeafCertificate ;; esac
	said=$(find "${ocpp}/" -name '*.json' -type f -exec cat {} + 2>/dev/null | tr -d '[:space:]' | grep -o -E "\"${setting}\":(true|false|[{][^]]*)" || :)
	! echo "${said}" | grep -q -E '^[^:]*:(false|[{].*"value":false)' || echo "${said}" | grep -q -E '^[^:]*:(true|[{].*"value":true)'
}

# Prints the public key of a key file in hexadecimal as read-certificates.awk does: its point, or its modulus. That of the TPM is told by the file alone
# (TPM 2.0 Library, part 2: TPMT_PUBLIC ends with both coordinates); everest-tpm says whether the TPM has it.
public_key() {
	if [ "$(head -n 1 "$1")" = "${TPM_KEY}" ]; then
		openssl asn1parse -in "$1" 2>/dev/null | sed -n 's/.*OCTET STRING *\[HEX DUMP\]:.*0020\(.\{64\}\)0020\(.\{64\}\)$/04\1\2/p' |
			head -n 1 | tr '[:upper:]' '[:lower:]'
	else
		openssl pkey -in "$1" -passin pass: -noout -text_pub 2>/dev/null |
			awk '/^(pub|Modulus):/ { key = 1; next } /^[^ ]/ { key = 0 } key { gsub(/[ :]/, ""); printf "%s", $0 } END { print "" }'
	fi
}

# Prints the keys that EVerest finds below a directory, each after its public key and a tab.
keys_in() {
	find "$1/" -maxdepth 8 '(' -name '*.key' -o -name '*.tkey' ')' ! -name '*[[:cntrl:]]*' 2>/dev/null | sort | while IFS= read -r each; do
		if [ -f "${each}" ] && [ -r "${each}" ]; then
			printf '%s\t%s\n' "$(public_key "${each}")" "${each}"
		fi
	done
}

# Says what is wrong with keys that lie in files of the TPM's, by asking it: check_in_tpm FILE...
check_in_tpm() {
	[ "$#" -gt 0 ] || return 0
	"${everest_tpm}" verify "$@" >/dev/null 2>"${work}/said" && return
	[ "$?" -ne "${NO_TPM}" ] || fail "${NO_TPM}" "$(sed 's/^everest-tpm: //;q' "${work}/said")"
	for each; do
		awk -v file="${each}" 'index($0, "everest-tpm: " file " ") == 1 {
			sub(/; .everest-tpm provision.*/, "")
			print substr($0, length(file) + 15)
		}' "${work}/said" | while IFS= read -r what; do
			fault "${each}" wrong-tpm "it ${what}"
		done
	done
	grep -q "${tab}wrong-tpm${tab}" "${work}/faults" || fail "${FAILED}" "$(sed 's/^everest-tpm: //;q' "${work}/said")"
}
