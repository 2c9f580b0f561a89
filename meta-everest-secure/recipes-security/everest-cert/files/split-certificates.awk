# Takes files of certificates apart (CERT-08); everest-cert starts it with `place`, a directory, and `most`, a number.
#
# Input, with a tab between: what a file is for, its path. Output: the same, which certificate of the file it is, and the file below `place` that holds it
# alone, which is not written where it is no PEM but begins as DER does: EVerest reads PEM alone. Text around certificates is passed over, as OpenSSL does; a certificate without an end
# is one that cannot be read.
BEGIN { FS = OFS = "\t" }

{
	first = 1
	number = inside = 0
	while ((getline line < $2) > 0) {
		if (first && substr(line, 1, 1) == "0")
			print $0, ++number, place "/" (++parts) ".pem"
		first = 0
		if (line ~ /^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/ && !inside) {
			inside = 1
			part = place "/" (++parts) ".pem"
			print $0, ++number, part
			if (parts > most)
				exit 1
		}
		if (inside)
			print line > part
		if (line ~ /^-----END (X509 |TRUSTED )?CERTIFICATE-----/ && inside) {
			inside = 0
			close(part)
		}
	}
	if (inside)
		close(part)
	close($2)
}
