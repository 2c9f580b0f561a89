# Makes few words of many events (LOG-03); everest-security-monitor starts it.
#
# Input: what find-security-events.awk says, and `tick`, a tab and the time since the machine started. Output, with tabs between: event, severity, how
# often, position in the journal, what was said. The event `-` is none: once in a while it says up to where everything was looked at, so that not all since
# the last event is looked at again after a restart; `first` is the time until the first one.
#
# An event is told when it happens. More of the same kind within a minute are counted, and the number is told when the minute is over, or before another
# event is told; as long as they go on, that time doubles up to an hour. Nothing is lost but detail, and nobody can fill the log.
#
# All that was counted is told together, and the last line alone has a position, that of what was looked at last: who goes on behind it after a stop or a
# power cut has told everything before it, and tells nothing of it twice.
BEGIN {
	FIRST = 60
	LONGEST = 3600
	AGAIN = 3600
	position = marked = "-"
	FS = "\t"
}

function tell(event, number, text) {
	say("-")
	waiting = sprintf("%s\t%s\t%d", event, severity[event], number)
	what = text
}

function say(at) {
	if (waiting == "")
		return
	printf "%s\t%s\t%s\n", waiting, at, what
	fflush()
	waiting = ""
}

function tell_counted(	event) {
	for (event in missed)
		if (missed[event]) {
			tell(event, missed[event], "again within " span[event] " s, at last: " last[event])
			missed[event] = 0
		}
}

# Whether the time of an event has ended, or lies further ahead than any: that one is of a start before this.
function is_over(event) {
	return now >= until[event] || until[event] > now + LONGEST
}

# Ends the times that are over.
function pass_time(	event, any) {
	for (event in until)
		if (is_over(event)) {
			if (again[event])
				any = 1
			else
				delete until[event]
		}
	if (!any)
		return
	tell_counted()
	say(position)
	for (event in until)
		if (is_over(event)) {
			again[event] = 0
			span[event] = span[event] * 2 > LONGEST ? LONGEST : span[event] * 2
			until[event] = now + span[event]
		}
}

function is_counted(	event) {
	for (event in missed)
		if (missed[event])
			return 1
	return 0
}

# Says once in a while up to where there is nothing more to tell.
function mark() {
	if (due == "")
		due = now + first
	if (now < due || position == marked || is_counted())
		return
	printf "-\t-\t-\t%s\t-\n", position
	fflush()
	marked = position
	due = now + AGAIN
}

$1 == "tick" {
	now = $2 + 0
	pass_time()
	mark()
	next
}

$1 == "at" {
	position = $2
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
		again[$3] = 1
		missed[$3]++
		last[$3] = $6
		next
	}
	tell_counted()
	span[$3] = FIRST
	until[$3] = now + FIRST
	tell($3, 1, $6)
	say(position)
}
