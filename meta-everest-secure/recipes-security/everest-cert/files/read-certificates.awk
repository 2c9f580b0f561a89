# Makes a line of what OpenSSL says of a certificate (CERT-08); everest-cert starts it.
#
# Input: for each certificate `certificate`, a tab and the file that holds it alone, then what `openssl x509` prints, or `unreadable`; then what
# split-certificates.awk says of all files. Output, with tabs between:
#  1 what the file is for, 2 file, 3 number, 4 file that holds it alone, 5 SHA-256, empty when it cannot be read, 6 serial number, 7 valid from, 8 until,
#  9 kind of key, 10 its bits, 11 algorithm of the signature, 12 `ca` for an authority, 13 how many authorities it allows below it,
# 14 `sign` when it may sign, 15 `client` when it is for TLS clients, 16 public key in hexadecimal, 17 subject, 18 issuer
BEGIN { FS = OFS = "\t" }

function finish() {
	signs = (usage == "" || usage ~ /Digital Signature/) ? "sign" : "-"
	clients = (purpose == "" || purpose ~ /TLS Web Client Authentication/) ? "client" : "-"
	issues = (ca && (usage == "" || usage ~ /Certificate Sign/)) ? "ca" : "-"
	if (unreadable)
		facts[part] = ""
	else
		facts[part] = digest OFS serial OFS from OFS until OFS kind OFS bits OFS algorithm OFS issues OFS below OFS signs OFS clients OFS key OFS subject OFS issuer
}

function after(text) {
	return substr($0, length(text) + 1)
}

FILENAME == ARGV[2] {
	if (FNR == 1)
		finish()
	print $0, facts[$4]
	next
}

$1 == "certificate" && NF == 2 {
	finish()
	part = $2
	unreadable = ca = 0
	digest = serial = from = until = kind = bits = algorithm = usage = purpose = key = subject = issuer = section = ""
	below = "-"
	next
}

/^[^ ]/ { section = "" }
/^unreadable/ { unreadable = 1 }
/^subject=/ { subject = after("subject=") }
/^issuer=/ { issuer = after("issuer=") }
/^serial=/ {
	serial = tolower(after("serial="))
	sub(/^0+/, "", serial)
	if (serial == "")
		serial = "0"
}
/^[Ss][Hh][Aa]256 Fingerprint=/ {
	digest = tolower(after("sha256 Fingerprint="))
	gsub(/:/, "", digest)
}
/^notBefore=/ { from = after("notBefore=") }
/^notAfter=/ { until = after("notAfter=") }
/^X509v3 (Basic Constraints|Key Usage|Extended Key Usage):/ {
	section = $0
	next
}
section ~ /^X509v3 Basic/ && /CA:TRUE/ { ca = 1 }
section ~ /^X509v3 Basic/ && match($0, /pathlen:[0-9]+/) { below = substr($0, RSTART + 8, RLENGTH - 8) }
section ~ /^X509v3 Key/ { usage = usage $0 }
section ~ /^X509v3 Extended/ { purpose = purpose $0 }
/^ +(Signature|Hash) Algorithm: / {
	sub(/^ +(Signature|Hash) Algorithm: /, "")
	algorithm = algorithm (algorithm == "" ? "" : " ") $0
}
/^ +Public Key Algorithm: / {
	sub(/^ +Public Key Algorithm: /, "")
	kind = $0 == "id-ecPublicKey" ? "EC" : $0 ~ /^rsa/ ? "RSA" : $0
}
/Public-Key:/ { bits = match($0, /[0-9]+ bit/) ? substr($0, RSTART, RLENGTH - 4) : "" }
/^ +(pub|Modulus):$/ {
	section = "key"
	next
}
section == "key" {
	if ($0 !~ /^ +[0-9a-f:]+$/)
		section = ""
	else {
		gsub(/[ :]/, "")
		key = key $0
	}
}
