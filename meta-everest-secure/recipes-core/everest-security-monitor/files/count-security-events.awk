# Makes few words of many events (LOG-03); everest-security-monitor starts it.
#
# Input: what find-security-events.awk says, and `tick`, a tab and the time since the machine started. Output, with tabs between: event, severity, how
# often, position in the journal, what was said. The position is that of the last event so far, whatever is told: who goes on there tells nothing twice.
#
# An event is told when it happens. More of the same kind within a minute are counted, and the number is told when the minute is over; as long as they
# go on, that time doubles up to an hour. Nothing is lost but detail, and nobody can fill the log.
BEGIN {
	FIRST = 60
	LONGEST = 3600
	position = "-"
	FS = "\t"
}

function tell(event, number, text) {
	printf "%s\t%s\t%d\t%s\t%s\n", event, severity[event], number, position, text
	fflush()
}

# Ends the times that are over, and those that lie further ahead than any: they are of a start before this one.
function pass_time(	event) {
	for (event in until) {
		if (now < until[event] && until[event] <= now + LONGEST)
			continue
		if (missed[event]) {
			tell(event, missed[event], "again within " span[event] " s, at last: " last[event])
			missed[event] = 0
			span[event] = span[event] * 2 > LONGEST ? LONGEST : span[event] * 2
			until[event] = now + span[event]
		} else
			delete until[event]
	}
}

$1 == "tick" {
	now = $2 + 0
	pass_time()
	next
}

{
	# Times of another start say nothing of this one.
	if ($2 != boot)
		for (each in until)
			until[each] = 0
	boot = $2
	now = $1 + 0
	pass_time()
	severity[$3] = $4
	if ($5 != "-")
		position = $5
	if ($3 in until) {
		missed[$3]++
		last[$3] = $6
		next
	}
	span[$3] = FIRST
	until[$3] = now + FIRST
	tell($3, 1, $6)
}
