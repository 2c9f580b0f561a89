# Finds security events in the journal (LOG-03); everest-security-monitor starts it.
#
# Input: `rule` and the four fields of a row of the tables, `seen` and the position of an entry that was looked at before, if any, then entries of
# `journalctl --all --output=json`, in which a value cannot look like a field, since its quotes are escaped; one of root's that names a security event itself
# needs no rule. Output, with tabs between: time since the machine started in seconds, start, event, severity, position in the journal, what was said; and
# about once a minute `at` and the position up to which everything was looked at.
# A line is shorter than what a pipe takes at once, so that it stays in one piece beside those of others.
#
# It runs for every line that anybody writes: an awk makes an expression anew when it differs from that of the line before, so that there is one for all
# rules of a unit, and fields are found without any.
BEGIN {
	JUMP = 10
	MARK = 60
	LONGEST = 300
	SHORT = 512
	PART = 4096
	FS = "\t"
	# Of a byte that is not printed, what stands for it; a backslash would look like an escape of JSON.
	for (number = 0; number < 256; number++)
		character[number] = number >= 32 && number < 127 && number != 92 ? sprintf("%c", number) : "?"
	character[27] = sprintf("%c", 27)
}

function without_colours(text) {
	gsub(/\033\[[0-9;]*m/, "", text)
	return text
}

# Returns the text of a list of numbers, from `at` to before `end` of the line: so journalctl gives what has bytes that are not printed, as the colours of
# EVerest's lines are. It is read in parts: an array of a million numbers would take more memory than the monitor may have, and an awk more
# time for twice the text than twice the time.
function bytes(at, end,	each, count, number, part, next_at, text) {
	for (; at < end; at = next_at) {
		next_at = at + PART
		next_at = next_at < end ? next_at + index(substr($0, next_at, 4), ",") : end + 1
		count = split(substr($0, at, next_at - 1 - at), each, ",")
		part = ""
		for (number = 1; number <= count; number++)
			part = part character[each[number]]
		text = text without_colours(part)
	}
	# Those that lie in two parts.
	return without_colours(text)
}

# Returns the position of the first `mark`, a quote or a bracket, from `at` on that is not escaped; 0 when there is none.
function closing(at, mark,	size, part, found) {
	for (size = 128; length(part = substr($0, at, size)) > 1; size = size < PART ? 2 * size : size) {
		gsub(/\\./, "..", part)
		if (found = index(part, mark))
			return at + found - 1
		# A backslash at the end belongs to what follows.
		at += size - (substr(part, size) == "\\")
	}
	return 0
}

# Reads the value at `at`, a string or a list of numbers, into `value`; returns the position behind it. Of one that is too long for it, journalctl without
# `--all` says `null`.
function read_value(at,	string, end) {
	if (substr($0, at, 4) == "null") {
		value = ""
		left_out = 1
		return at + 4
	}
	string = substr($0, at, 1) == "\""
	end = closing(at + 1, string ? "\"" : "]")
	value = string ? substr($0, at + 1, end - at - 1) : bytes(at + 1, end)
	return end + 1
}

# Reads the next one of a list of values, of which one ended before `at`; 0 when there is no other.
function next_value(at) {
	return at && substr($0, at, 1) == "," ? read_value(at + 1) : 0
}

# Returns the first value of a field. Whoever gives a field several times makes a list of it, in no order; `behind` is where that goes on for next_value(),
# and 0 when there is one value. Fields with an underscore in front are journald's own, and no sender can give them.
function field(name,	start, short) {
	behind = 0
	# Most values are short strings without anything escaped.
	if (start = index($0, "\"" name "\":\"")) {
		short = substr($0, start + length(name) + 4, SHORT)
		short = substr(short, 1, index(short, "\"") - 1)
		if (short != "" && !index(short, "\\"))
			return short
	}
	return any_field(name)
}

function any_field(name,	start, several) {
	if (!(start = index($0, "\"" name "\":")))
		return ""
	start += length(name) + 3
	if (!index("\"[n", substr($0, start, 1)))
		return ""
	several = substr($0, start, 2) ~ /^\[["[n]/
	start = read_value(start + several)
	behind = several ? start : 0
	return value
}

function plain(text) {
	# No escape of JSON is longer than six characters.
	text = substr(text, 1, 6 * LONGEST)
	gsub(/\\u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]/, "?", text)
	gsub(/\\[nrt]/, " ", text)
	gsub(/\\"/, "\"", text)
	gsub(/\\\//, "/", text)
	gsub(/\\\\/, "\\", text)
	gsub(/[^ -~]/, "?", text)
	return substr(text, 1, LONGEST)
}

function happened(event, severity, text) {
	say("-")
	waiting = sprintf("%d\t%s\t%s\t%s", uptime, boot, event, severity)
	what = text
}

# Of several events of one entry the last alone has its position: who goes on behind that has seen them all.
function say(position) {
	if (waiting == "")
		return
	printf "%s\t%s\t%s\n", waiting, position, what
	fflush()
	waiting = ""
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

# Puts all values of a field into `found` and returns how many.
function values(name, found,	count, rest) {
	found[count = 1] = field(name)
	rest = behind
	while (rest = next_value(rest))
		found[++count] = value
	return count
}

# Returns the gravest severity that an entry gives itself; that of a notice when it gives none.
function own_severity(	given, number, gravest) {
	gravest = 8
	for (number = values("PRIORITY", given); number; number--)
		if (given[number] ~ /^[0-7]$/ && given[number] < gravest)
			gravest = given[number]
	return gravest == 8 ? 5 : gravest
}

# Says each event that an entry names itself, and returns how many.
function names_itself(	name, number, severity, text, said) {
	severity = own_severity()
	text = plain(field("MESSAGE"))
	for (number = values("SECURITY_EVENT", name); number; number--)
		if (name[number] ~ /^[a-z][a-z-]*$/) {
			happened(name[number], severity, text)
			said++
		}
	return said
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

$1 == "seen" {
	seen = $2
	next
}

# The first entry is the one that was looked at before, unless the journal has lost it: it says how the clock stood.
seen != "" {
	looked_at = field("__CURSOR") == seen
	seen = ""
	if (looked_at) {
		read_time()
		next
	}
}

{
	look()
	if (waiting != "")
		say(field("__CURSOR"))
	if (boot != marked_in || uptime - marked >= MARK) {
		marked_in = boot
		marked = uptime
		printf "at\t%s\n", field("__CURSOR")
		fflush()
	}
}

# Reads when an entry was made; returns by how many seconds the clock has moved since the entry before, in the same start.
function read_time(	earlier, before) {
	earlier = boot
	before = offset
	boot = field("_BOOT_ID")
	uptime = field("__MONOTONIC_TIMESTAMP") / 1000000
	offset = field("__REALTIME_TIMESTAMP") / 1000000 - uptime
	return boot == earlier ? offset - before : 0
}

function look(	jump) {
	jump = read_time()
	if (jump > JUMP || jump < -JUMP)
		happened("time-jumped", 5, sprintf("the clock jumped by %d s", jump))
	unit = index($0, "\"_TRANSPORT\":\"kernel\"") ? "kernel" : field("_SYSTEMD_UNIT")
	# What the log says is not said again; journald may not know the unit of a program that has ended.
	if (unit == "everest-security-monitor.service" || index($0, "\"SECURITY_EVENT_NUMBER\":") && field("_UID") == "0")
		return
	if (index($0, "\"SECURITY_EVENT\":") && field("_UID") == "0" && names_itself())
		return
	left_out = 0
	text = field("MESSAGE")
	rest = behind
	judge(unit, text)
	while (rest = next_value(rest))
		judge(unit, value)
	if (left_out)
		happened("messages-dropped", 4, "what " unit " said is too long to be looked at")
}
