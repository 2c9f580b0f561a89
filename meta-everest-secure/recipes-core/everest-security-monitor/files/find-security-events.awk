# Finds security events in the journal (LOG-03); everest-security-monitor starts it.
#
# Input: `rule` and the four fields of a row of the tables, then entries of `journalctl --all --output=json`, in which a value cannot look like a field, since
# its quotes are escaped; one of root's that names a security event itself needs no rule. Output, with tabs between: time since the machine started in
# seconds, start, event, severity, position in the journal, what was said.
# A line is shorter than what a pipe takes at once, so that it stays in one piece beside those of others.
#
# It runs for every line that anybody writes: an awk makes an expression anew when it differs from that of the line before, so that there is one for all
# rules of a unit, and fields are found without any.
BEGIN {
	JUMP = 10
	LONGEST = 300
	FS = "\t"
	# Of a byte that is not printed, what stands for it; a backslash would look like an escape of JSON.
	for (number = 0; number < 256; number++)
		character[number] = number >= 32 && number < 127 && number != 92 ? sprintf("%c", number) : "?"
	character[27] = sprintf("%c", 27)
}

# journalctl gives what has bytes that are not printed, as the colours of EVerest's lines are, as a list of numbers.
function bytes(list,	each, count, number, text) {
	count = split(list, each, ",")
	for (number = 1; number <= count; number++)
		text = text character[each[number]]
	gsub(/\033\[[0-9;]*m/, "", text)
	return text
}

function field(name,	start, rest, short) {
	if (!(start = index($0, "\"" name "\":")))
		return ""
	rest = substr($0, start + length(name) + 3)
	if (substr(rest, 1, 1) == "\"") {
		short = substr(rest, 2, index(substr(rest, 2), "\"") - 1)
		if (!index(short, "\\"))
			return short
	}
	if (match(rest, /^"([^"\\]|\\.)*"/))
		return substr(rest, 2, RLENGTH - 2)
	return match(rest, /^\[[0-9,]+\]/) ? bytes(substr(rest, 2, RLENGTH - 2)) : ""
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

# Returns one expression for all rules that a unit's lines are held against.
function any_of(unit,	number, all) {
	for (number = 1; number <= rules; number++)
		if (source[number] == "*" || source[number] == unit)
			all = all (all == "" ? "" : "|") "(" pattern[number] ")"
	return all
}

function judge(unit, text,	number) {
	# Units without rules share one expression.
	if (!(unit in known))
		unit = "*"
	if (!(unit in any))
		any[unit] = any_of(unit)
	if (any[unit] == "" || text !~ any[unit])
		return
	for (number = 1; number <= rules; number++)
		if ((source[number] == "*" || source[number] == unit) && text ~ pattern[number]) {
			happened(event[number], severity[number], plain(text))
			return
		}
}

$1 == "rule" {
	rules++
	event[rules] = $2
	severity[rules] = $3
	source[rules] = $4
	pattern[rules] = $5
	known[$4]
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
	unit = index($0, "\"_TRANSPORT\":\"kernel\"") ? "kernel" : field("_SYSTEMD_UNIT")
	# What the log says is not said again; journald may not know the unit of a program that has ended.
	if (unit == "everest-security-monitor.service" || index($0, "\"SECURITY_EVENT_NUMBER\":"))
		next
	text = field("MESSAGE")
	named = index($0, "\"SECURITY_EVENT\":") && field("_UID") == "0" ? field("SECURITY_EVENT") : ""
	if (named ~ /^[a-z][a-z-]*$/)
		happened(named, field("PRIORITY"), plain(text))
	else
		judge(unit, text)
}
