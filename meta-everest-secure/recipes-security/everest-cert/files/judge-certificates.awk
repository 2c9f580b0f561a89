# Says what is wrong with certificates (CERT-03, CERT-04); everest-cert starts it with `now`, `soon` as OpenSSL writes time, and `development`, 1 where
# certificates for development and tests are welcome.
#
# Input: what read-certificates.awk makes of whole files, which are for `root`, `csms`, `secc`, `either` or `chain`. Output, with tabs between: `fault`,
# file, reason and sentence; or a question that only a signature answers: `root`, `chained` or `end`, file, the files that hold the certificate and its
# issuer alone, their subjects; in the place of the issuer's file, `end` has what the chain is for. The reasons are those of the checker
# (tests/vectors/certificates.yml).
BEGIN { FS = OFS = "\t" }

function fault(reason, what) {
	print "fault", file, reason, what
	faults++
}

function name(number) {
	return subject[number] == "" ? "serial number " serial[number] : subject[number]
}

# Without what is escaped in a value (RFC 4514), so that a comma is one between names.
function unescaped(text) {
	gsub(/\\./, "x", text)
	return text
}

function marked(text) {
	return unescaped("," text ",") ~ /[,+]OU=DEVELOPMENT - NOT FOR RELEASE[,+]/
}

function judge_one(number) {
	if (until[number] < now)
		fault("expired", "'" name(number) "' ended on " substr(until[number], 1, 10))
	else if (from[number] > now)
		fault("not-yet-valid", "'" name(number) "' is not valid before " substr(from[number], 1, 10))
	else if (until[number] < soon)
		fault("expires-soon", "'" name(number) "' ends on " substr(until[number], 1, 10))
	if (algorithm[number] !~ /^(.*(SHA|sha)(256|384|512|3-).*|ED25519|ED448)$/)
		fault("weak-digest", "'" name(number) "' is signed with " algorithm[number])
	if (kind[number] !~ /^(RSA|EC|ED25519|ED448)$/ || bits[number] + 0 < (kind[number] == "RSA" ? 2048 : kind[number] == "EC" ? 256 : 0))
		fault("weak-key", "the key of '" name(number) "' is " kind[number] " " bits[number])
	if (!development && (marked(subject[number]) || marked(issuer[number])))
		fault("development", "'" name(number) "' is of a PKI for development and tests")
}

function judge_root(number) {
	if (subject[number] != issuer[number])
		fault("not-a-root", "'" name(number) "' is not signed by itself")
	else if (!authority[number])
		fault("not-a-ca", "'" name(number) "' is signed by itself and is no authority")
	else
		print "root", file, part[number], part[number], name(number), name(number)
}

function judge_chain(	number, before) {
	before = faults
	if (authority[1])
		fault("leaf-is-a-ca", "the first certificate, '" name(1) "', is an authority and no leaf")
	for (number = 1; number <= count; number++)
		if (subject[number] == issuer[number])
			fault("root-in-chain", "the chain holds '" name(number) "', which is signed by itself")
	for (number = 2; number <= count; number++)
		if (issuer[number - 1] != subject[number])
			fault("wrong-order", "'" name(number) "' follows '" name(number - 1) "' but did not issue it")
		else if (!authority[number])
			fault("not-a-ca", "'" name(number) "' issued '" name(number - 1) "' and is no authority")
		else if (below[number] != "-" && number - 2 > below[number] + 0)
			fault("path-length", "'" name(number) "' allows " below[number] " authorities below it and the chain has " number - 2)
		else
			print "chained", file, part[number - 1], part[number], name(number - 1), name(number)
	if (faults == before && count > 1)
		print "end", file, part[1], purpose, name(1), name(count)
	if (faults == before && count == 1)
		alone[file] = "end" OFS file OFS part[1] OFS purpose OFS name(1) OFS name(1)
	digest[file] = sha256[1]
	if (count > 1)
		begun[directory(file) sha256[1]] = 1
	if (purpose == "csms" || purpose == "either")
		judge_charger()
}

function directory(path) {
	sub(/[^\/]*$/, "", path)
	return path
}

# The certificate towards the CSMS (OCPP security whitepaper, "Certificate properties").
function judge_charger(	names) {
	names = unescaped("," subject[1])
	if (names !~ /[,+]CN=[^,+]/)
		fault("wrong-name", "'" name(1) "' has no common name, which is the charger's")
	if (names !~ /[,+]O=[^,+]/)
		fault("wrong-name", "'" name(1) "' names no operator")
	if (signs[1] != "sign")
		fault("wrong-usage", "'" name(1) "' may not sign, as TLS asks of it")
	if (clients[1] != "client")
		fault("wrong-usage", "'" name(1) "' is for no TLS client")
}

function judge_file(	number) {
	if (!count)
		return
	for (number = 1; number <= count; number++)
		judge_one(number)
	if (purpose == "root")
		for (number = 1; number <= count; number++)
			judge_root(number)
	else
		judge_chain()
}

$2 != file {
	if (!unreadable)
		judge_file()
	file = $2
	purpose = $1
	count = unreadable = 0
}

$5 == "" {
	fault("unreadable", "certificate " $3 " of it cannot be read")
	unreadable = 1
	next
}

{
	count++
	part[count] = $4
	sha256[count] = $5
	serial[count] = $6
	from[count] = $7
	until[count] = $8
	kind[count] = $9
	bits[count] = $10
	algorithm[count] = $11
	authority[count] = $12 == "ca"
	below[count] = $13
	signs[count] = $14
	clients[count] = $15
	subject[count] = $17
	issuer[count] = $18
}

# A leaf may be there alone and with its chain in another file beside it, as EVerest installs both.
END {
	if (!unreadable)
		judge_file()
	for (each in alone)
		if (!((directory(each) digest[each]) in begun))
			print alone[each]
}
