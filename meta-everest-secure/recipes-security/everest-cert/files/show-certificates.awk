# Prints certificates, or what is wrong with them (CERT-08); everest-cert starts it with `what`, one of list, expiry and faults, and `json`, yes or no; for
# expiry with `soon` as well. Input: what read-certificates.awk makes; for faults, with tabs between: file, reason, sentence.
BEGIN {
	FS = "\t"
	if (json == "yes")
		printf "["
}

# A string of JSON. What OpenSSL and everest-cert say is ASCII; names of files need not be.
function quoted(text) {
	gsub(/\\/, "\\\\", text)
	gsub(/"/, "\\\"", text)
	gsub(/[^ -~]/, "?", text)
	return "\"" text "\""
}

function object(pairs) {
	printf "%s\n  {%s}", shown++ ? "," : "", pairs
}

function pair(name, value) {
	return quoted(name) ": " quoted(value)
}

what == "faults" {
	if (json == "yes")
		object(pair("file", $1) ", " pair("reason", $2) ", " pair("what", $3))
	else
		printf "%s: %s [%s]\n", $1, $3, $2
	next
}

what == "expiry" && $5 != "" && $8 >= soon { next }

json == "yes" {
	place = pair("file", $2) ", \"number\": " $3 ", " pair("use", $1)
	if ($5 == "")
		object(place ", \"readable\": false")
	else
		object(place ", \"readable\": true, " pair("subject", $17) ", " pair("issuer", $18) ", " pair("serial", $6) ", " pair("sha256", $5) ", " \
			pair("from", $7) ", " pair("until", $8) ", " pair("key", $9 " " $10))
	next
}

what == "expiry" {
	printf "%s (%s) ", $2, $5 == "" ? "cannot be read" : substr($8, 1, 10)
	print $17
	next
}

$2 != file {
	file = $2
	print file
}

$5 == "" {
	print "  cannot be read"
	next
}

{ printf "  until %s  %s\n    serial %s  sha256 %s\n", substr($8, 1, 10), $17, $6, $5 }

END {
	if (json == "yes")
		print shown ? "\n]" : "]"
}
