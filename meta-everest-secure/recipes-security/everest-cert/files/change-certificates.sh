# The work of `everest-cert install` and `revoke`, done as the service user (CERT-08); everest-cert sources it.
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2310 # what everest-cert has set; a function that is asked something answers with its exit code

# One at a time, and what a power cut left of an earlier one is no file of the store.
lock() {
	[ -d "${store}" ] || fail "${FAILED}" "${store} is no directory that $(id -un) can see; everest-state makes it"
	exec 9<"${store}"
	flock 9
	# shellcheck disable=SC2086 # a list of plain paths
	find ${tops} -maxdepth 8 -type f -name '.everest-cert.??????' -exec rm -f {} + 2>/dev/null || :
}

# Leaves what a caller opened as descriptor $1 in $work/$2; $3 is its name.
take() {
	head -c $((MOST_BYTES + 1)) <&"$1" >"${work}/$2"
	[ "$(wc -c <"${work}/$2")" -le "${MOST_BYTES}" ] || fail "${UNSOUND}" "$3 is larger than ${MOST_BYTES} bytes; give the certificates alone"
}

# Ends with the first fault of what was offered, if there is one: refuse_faults NAME
refuse_faults() {
	[ -s "${work}/faults" ] || return 0
	refuse "$1" "$(cut -f 2 "${work}/faults" | head -n 1)" "$(cut -f 3 "${work}/faults" | head -n 1)"
}

# refuse NAME REASON SENTENCE
refuse() {
	fail "${UNSOUND}" "$1 is refused: $3 [$2]"
}

# Makes $new, whose content is standard input, next to what it is to become: make_new TARGET
make_new() {
	new=$(mktemp "${1%/*}/.everest-cert.XXXXXX") || fail "${FAILED}" "no file can be made in ${1%/*}"
	cat >"${new}" || fail "${FAILED}" "${1%/*} cannot be written to"
	sync "${new}"
}

# Gives $new its name.
keep_new() {
	[ ! -d "$1" ] || fail "${FAILED}" "$1 is a directory; remove it"
	mv -f "${new}" "$1"
	new=''
	sync "${1%/*}"
}

# Prints certificates in PEM, without what else their files held. Input: lines of facts.
pem() {
	cut -f 4 | while IFS= read -r part; do
		openssl x509 -in "${part}" || exit 1
	done
}

# The work of install; descriptor 3 is the file, 4 the key.
put_in() {
	make_work
	know_store
	lock
	take 3 offered "${given}"
	room || refuse "${given}" full 'the store has reached its limits; revoke what is not used any more'
	! grep -q 'PRIVATE KEY-----' "${work}/offered" || refuse "${given}" software-key 'it holds a private key, which nobody sends about'
	case ${kind} in
	csms) purpose=csms target=${csms_chains}/CSMS_LEAF keys=${csms_keys} ;;
	secc) purpose=secc target=${secc_chains}/SECC_LEAF keys=${secc_keys} ;;
	*) purpose=root ;;
	esac
	judge_with_roots "${work}/offered"
	[ -s "${work}/judgement" ] || refuse "${given}" no-certificate 'it holds no certificate'
	refuse_faults "${given}"
	if [ "${purpose}" = root ]; then put_roots; else put_chain; fi
}

# Leaves in $work/judgement what a file holds and in $work/faults what is wrong with it, next to the roots of the store: judge_with_roots FILE
judge_with_roots() {
	{
		printf '%s\t%s\n' "${purpose}" "$1"
		store_files | grep "^root${tab}" || :
	} >"${work}/files"
	read_certificates
	grep -F "${tab}$1${tab}" "${work}/facts" >"${work}/judgement" || :
	: >"${work}/faults"
	judge "${work}/judgement"
}

# Adds roots to a bundle: one file, or a directory of files.
put_roots() {
	bundle=$(bundle_of "${kind#ca-}")
	target=${bundle}
	if is_directory "${bundle}"; then
		target=${bundle}/$(echo "${kind#ca-}" | tr '[:lower:]' '[:upper:]')_ROOT_$(cut -f 5 "${work}/judgement" | head -c 16).pem
	fi
	[ ! -L "${target}" ] || fail "${FAILED}" "${target} is a link; remove it"
	[ -d "${target%/*}" ] || fail "${FAILED}" "${target%/*} is no directory; everest-state makes it"
	lacking >"${work}/lacking"
	if [ -s "${work}/lacking" ]; then
		awk -F '\t' -v target="${target}" '$2 == target' "${work}/facts" | cat - "${work}/lacking" | pem >"${work}/new" ||
			fail "${UNSOUND}" "${target} holds what cannot be read; 'everest-cert check' says more"
		make_new "${target}" <"${work}/new"
		keep_new "${target}"
		store_files | grep "^root${tab}" >"${work}/files"
		read_certificates
		[ -z "$(lacking)" ] || fail "${FAILED}" "EVerest wrote ${target} at the same moment; call it again"
	fi
	awk -F '\t' -v target="${target}" '{ printf "%s: root \047%s\047, SHA-256 %s\n", target, $17, $5 }' "${work}/judgement"
}

# Prints the roots of $work/judgement that the bundle does not hold, each once.
lacking() {
	awk -F '\t' -v bundle="${bundle}" '
		FILENAME == ARGV[1] { if (index($2 "/", bundle "/") == 1) held[$5] = 1; next }
		!held[$5]++
	' "${work}/facts" "${work}/judgement"
}

# Adds a chain, and the key that came with it: first the key, without which the chain is nothing.
put_chain() {
	public=$(cut -f 16 "${work}/judgement" | head -n 1)
	target=${target}_$(cut -f 5 "${work}/judgement" | head -c 16)
	[ -d "${target%/*}" ] || fail "${FAILED}" "${target%/*} is no directory; everest-state makes it"
	find_key
	if [ -n "${offered_key}" ]; then
		put_key
	elif [ -z "${key}" ]; then
		refuse "${given}" no-key "no key in ${keys} is that of the certificate; 'everest-tpm csr ${kind}' requests one for the key that is there"
	else
		prove_key "${key}" "${key}"
	fi
	pem <"${work}/judgement" >"${work}/new"
	make_new "${target}.pem" <"${work}/new"
	keep_new "${target}.pem"
	judge_with_roots "${target}.pem"
	if [ -s "${work}/faults" ]; then
		rm -f "${target}.pem"
		fail "${FAILED}" "the storage does not hold what was written to ${target}.pem; the chain is not installed"
	fi
	find_key
	[ -n "${key}" ] || fail "${FAILED}" "${keys} does not hold the key of ${target}.pem any more"
	awk -F '\t' -v key="${key}" '$3 == 1 { printf "%s: \047%s\047, SHA-256 %s, for the key %s\n", $2, $17, $5, key }' "${work}/judgement"
	say_longer
}

# EVerest takes the chain that is valid longest.
say_longer() {
	until=$(cut -f 8 "${work}/judgement" | head -n 1)
	certificate_files "${target%/*}" >"${work}/files"
	read_certificates
	awk -F '\t' -v until="${until}" '$3 == 1 && $5 != "" && $8 > until {
		print $2 ": is valid longer, and EVerest goes on with it as long as it is there"
		exit
	}' "${work}/facts"
}

# Sets $key to the key file for $public, or to nothing.
find_key() {
	key=$(keys_in "${keys}" | awk -F '\t' -v public="${public}" '$1 "" == public "" && public != "" { print $2; exit }')
}

# Ends unless a key file is what is wanted: prove_key FILE NAME
prove_key() {
	if [ "$(head -n 1 "$1")" = "${TPM_KEY}" ]; then
		check_in_tpm "$1"
		refuse_faults "$2"
	elif wants_tpm "${kind}"; then
		refuse "$2" software-key 'the key lies in a file, where one in the TPM is wanted'
	fi
}

put_key() {
	take 4 key "${offered_key}"
	grep -q 'PRIVATE KEY-----' "${work}/key" || refuse "${offered_key}" no-key 'it holds no private key'
	case $(head -n 1 "${work}/key") in
	"${TPM_KEY}") suffix=tkey ;;
	*)
		prove_key "${work}/key" "${offered_key}"
		suffix=key
		;;
	esac
	[ "$(public_key "${work}/key")" = "${public}" ] || refuse "${offered_key}" key-mismatch 'it is not the key of the certificate'
	# The key may be there already.
	if [ -n "${key}" ]; then
		prove_key "${key}" "${key}"
		return
	fi
	key=${keys}/${target##*/}.${suffix}
	make_new "${key}" <"${work}/key"
	prove_key "${new}" "${offered_key}"
	ln "${new}" "${key}" || fail "${FAILED}" "${key} is there already and is another key"
	rm -f "${new}"
	new=''
	sync "${keys}"
}

# The work of revoke. Keys go first: a chain that a power cut leaves is found again, and is of no use meanwhile.
take_out() {
	make_work
	know_store
	lock
	store_files >"${work}/files"
	if [ -n "${given}" ]; then
		take 3 offered "${given}"
		printf 'offered\t%s\n' "${work}/offered" >>"${work}/files"
	fi
	read_certificates
	if [ -n "${given}" ]; then
		grep "^offered${tab}" "${work}/facts" >"${work}/named" || fail "${UNSOUND}" "${given} holds no certificate"
		wanted=$(cut -f 5 "${work}/named" | head -n 1)
		[ -n "${wanted}" ] || fail "${UNSOUND}" "${given} holds a certificate that cannot be read"
		[ "$(wc -l <"${work}/named")" -eq 1 ] || [ "$(cut -f 12 "${work}/named" | head -n 1)" != ca ] ||
			fail "${UNSOUND}" "${given} holds several authorities; name one by its serial number or SHA-256"
	fi
	# As text: awk takes what looks like numbers for numbers, and long ones for equal.
	awk -F '\t' -v wanted="${wanted}" '$1 != "offered" && $5 != "" && ($5 "" == wanted "" || $6 "" == wanted "")' "${work}/facts" >"${work}/revoked"
	[ -s "${work}/revoked" ] || fail "${UNSOUND}" "the store does not hold ${given:-a certificate with the serial number or SHA-256 ${wanted}}"
	[ "$(cut -f 5 "${work}/revoked" | sort -u | wc -l)" -eq 1 ] ||
		fail "${UNSOUND}" "several certificates have the serial number ${wanted}: name one by its SHA-256, which 'everest-cert list' shows"
	digest=$(cut -f 5 "${work}/revoked" | head -n 1)
	cut -f 17 "${work}/revoked" | head -n 1 | sed "s/^/revoked '/; s/\$/', SHA-256 ${digest}/"
	take_out_keys
	awk -F '\t' '$1 != "root" { print $2 }' "${work}/revoked" | sort -u | while IFS= read -r each; do
		take_out_answers "${each}"
		rm -f "${each}" || fail "${FAILED}" "${each} cannot be removed"
		sync "${each%/*}"
		echo "${each}: removed"
	done
	awk -F '\t' '$1 == "root" { print $2 }' "${work}/revoked" | sort -u | while IFS= read -r each; do
		take_out_root "${each}"
	done
	store_files >"${work}/files"
	read_certificates
	! cut -f 5 "${work}/facts" | grep -q -x "${digest}" || fail "${FAILED}" "EVerest wrote the certificate again at the same moment; call it again"
}

# Removes the keys of the chains that go, but for those that another chain needs.
take_out_keys() {
	awk -F '\t' '
		FILENAME == ARGV[1] { goes[$2] = $1 != "root"; next }
		$1 == "root" || $1 == "offered" || $3 != 1 || $5 == "" { next }
		goes[$2] { lost[$16] = 1; next }
		{ kept[$16] = $2 }
		END { for (public in lost) print public, public in kept ? kept[public] : "" }
	' "${work}/revoked" "${work}/facts" >"${work}/keys"
	printf '%s\n' "${csms_keys}" "${secc_keys}" | sort -u | while IFS= read -r directory; do
		keys_in "${directory}" | while IFS=${tab} read -r public key; do
			grep "^${public} " "${work}/keys" >"${work}/goes" || continue
			read -r _ user_of <"${work}/goes"
			if [ -n "${user_of}" ]; then
				echo "${key}: kept, as ${user_of} is of the same key"
			else
				rm -f "${key}" || fail "${FAILED}" "${key} cannot be removed"
				sync "${key%/*}"
				echo "${key}: removed"
			fi
		done
	done
}

# Removes what OCSP responders said of a chain's certificates; EVerest names them in a file beside each (algorithm, issuer's hashes, serial number).
take_out_answers() {
	for answer in "${1%/*}"/ocsp/*.hash; do
		[ -f "${answer}" ] || continue
		serial=$(tr '[:space:]' '\n' <"${answer}" | grep . | sed -n 4p)
		awk -F '\t' -v file="$1" -v serial="${serial}" '$2 == file && $6 "" == serial "" { found = 1 } END { exit !found }' "${work}/revoked" ||
			continue
		rm -f "${answer}" "${answer%.hash}.der"
	done
}

# Writes a bundle without the root; a file that holds nothing else is empty then, as EVerest leaves it.
take_out_root() {
	awk -F '\t' -v target="$1" -v digest="${digest}" '$2 == target && $5 "" != digest ""' "${work}/facts" | pem >"${work}/new" ||
		fail "${FAILED}" "$1 holds what cannot be read; remove it by hand"
	make_new "$1" <"${work}/new"
	keep_new "$1"
	echo "$1: written without it"
}
