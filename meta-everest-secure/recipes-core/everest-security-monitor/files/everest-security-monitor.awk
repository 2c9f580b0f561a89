# Finds security events in the journal (LOG-03); everest-security-monitor starts it.
#
# Input, in any order: `rule` and four fields of the tables; `tick SECONDS`, the time since the machine started; entries of `journalctl --output=json`, in
# which a value cannot look like a field, since its quotes are escaped. Output, with tabs between: event, severity, how often, cursor, what was said.
#
# An event is told when it happens. More of the same kind within a minute are counted, and the number is told when the minute is over; as long as they
# go on, that time doubles up to an hour. Nothing is lost but detail, and nobody can fill the log.
BEGIN {
	FIRST = 60
	LONGEST = 3600
	JUMP = 10
	UNIT = "_SYSTEMD_UNIT"
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
	return substr(text, 1, 300)
}

function tell(event, number, at, text) {
	printf "%s\t%s\t%d\t%s\t%s\n", event, severity[event], number, at, text
	fflush()
}

function happened(event, at, text) {
	if (event in until) {
		missed[event]++
		cursor[event] = at
		last[event] = text
		return
	}
	span[event] = FIRST
	until[event] = now + FIRST
	tell(event, 1, at, text)
}

# Ends the times that are over.
function pass_time(	event) {
	for (event in until) {
		if (now < until[event])
			continue
		if (missed[event]) {
			tell(event, missed[event], cursor[event], "again within " span[event] " s, at last: " last[event])
			missed[event] = 0
			span[event] = span[event] * 2 > LONGEST ? LONGEST : span[event] * 2
			until[event] = now + span[event]
		} else
			delete until[event]
	}
}

$1 == "rule" {
	rules++
	kind[rules] = $2
	severity[$2] = $3
	source[rules] = $4
	pattern[rules] = $5
	next
}

$1 ~ /^tick / {
	now = substr($1, 6) + 0
	pass_time()
	next
}

substr($0, 1, 1) == "{" {
	at = field("__CURSOR")
	boot = field("_BOOT_ID")
	now = int(field("__MONOTONIC_TIMESTAMP") / 1000000)
	offset = field("__REALTIME_TIMESTAMP") / 1000000 - field("__MONOTONIC_TIMESTAMP") / 1000000
	if (boot != earlier) {
		# Times of another start say nothing of this one.
		for (event in until)
			until[event] = now
	} else if (offset - before > JUMP || before - offset > JUMP)
		happened("time-jumped", at, sprintf("the clock jumped by %d s", offset - before))
	earlier = boot
	before = offset
	pass_time()
	unit = field("_TRANSPORT") == "kernel" ? "kernel" : field(UNIT)
	# What the log says is not said again.
	if (unit == "everest-security-monitor.service")
		next
	text = field("MESSAGE")
	for (number = 1; number <= rules; number++)
		if ((source[number] == "*" || source[number] == unit) && text ~ pattern[number]) {
			happened(kind[number], at, plain(text))
			next
		}
}
