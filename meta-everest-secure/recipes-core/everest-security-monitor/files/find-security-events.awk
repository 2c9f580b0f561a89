# Finds security events in the journal (LOG-03); everest-security-monitor starts it.
#
# Input: `rule` and the four fields of a row of the tables, then entries of `journalctl --output=json`, in which a value cannot look like a field, since its
# quotes are escaped; one of root's that names a security event itself needs no rule. Output, with tabs between: time since the machine started in seconds,
# start, event, severity, position in the journal, what was said.
# A line is shorter than what a pipe takes at once, so that it stays in one piece beside those of others.
BEGIN {
	JUMP = 10
	LONGEST = 300
	FS = "\t"
}

function field(name) {
	if (!match($0, "[{,]\"" name "\":\"([^\"\\\\]|\\\\.)*\""))
		return ""
	return substr($0, RSTART + length(name) + 5, RLENGTH - length(name) - 6)
}

function plain(text) {
	gsub(/\\u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]/, "?", text)
	gsub(/\\[nrt]/, " ", text)
	gsub(/\\"/, "\"", text)
	gsub(/\\\//, "/", text)
	gsub(/\\\\/, "\\", text)
	gsub(/[^ -~]/, "?", text)
	return substr(text, 1, LONGEST)
}

function happened(event, severity, text) {
	printf "%d\t%s\t%s\t%s\t%s\t%s\n", uptime, boot, event, severity, field("__CURSOR"), text
	fflush()
}

$1 == "rule" {
	rules++
	event[rules] = $2
	severity[rules] = $3
	source[rules] = $4
	pattern[rules] = $5
	next
}

{
	boot = field("_BOOT_ID")
	uptime = field("__MONOTONIC_TIMESTAMP") / 1000000
	offset = field("__REALTIME_TIMESTAMP") / 1000000 - uptime
	if (boot == earlier && (offset - before > JUMP || before - offset > JUMP))
		happened("time-jumped", 5, sprintf("the clock jumped by %d s", offset - before))
	earlier = boot
	before = offset
	unit = field("_TRANSPORT") == "kernel" ? "kernel" : field("_SYSTEMD_UNIT")
	# What the log says is not said again.
	if (unit == "everest-security-monitor.service")
		next
	text = field("MESSAGE")
	named = index($0, "\"SECURITY_EVENT\":") && field("_UID") == "0" ? field("SECURITY_EVENT") : ""
	if (named ~ /^[a-z][a-z-]*$/) {
		happened(named, field("PRIORITY"), plain(text))
		next
	}
	for (number = 1; number <= rules; number++)
		if ((source[number] == "*" || source[number] == unit) && text ~ pattern[number]) {
			happened(event[number], severity[number], plain(text))
			next
		}
}
