# Takes files of certificates apart (CERT-08); everest-cert starts it with `place`, a directory, and `most`, a number.
#
# Input, with a tab between: what a file is for, its path. Output: the same, which certificate of the file it is, and the file below `place` that holds it
# alone, the same for the same certificate; it is not written where it is no PEM but begins as DER does: EVerest reads PEM alone. Text around certificates is passed over, as OpenSSL does; a certificate without an end
# is one that cannot be read.
BEGIN { FS = OFS = "\t" }

function keep() {
	inside = 0
	if (!(text in part)) {
		part[text] = place "/" (++parts) ".pem"
		printf "%s", text > part[text]
		close(part[text])
	}
	print $0, ++number, part[text]
	if (++certificates > most)
		exit 1
}

{
	first = 1
	number = inside = 0
	while ((getline line < $2) > 0) {
		if (first && substr(line, 1, 1) == "0")
			print $0, ++number, place "/" (++parts) ".pem"
		first = 0
		if (line ~ /^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/ && !inside) {
			inside = 1
			text = ""
		}
		if (inside)
			text = text line "\n"
		if (line ~ /^-----END (X509 |TRUSTED )?CERTIFICATE-----/ && inside)
			keep()
	}
	if (inside)
		keep()
	close($2)
}
