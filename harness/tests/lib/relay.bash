# shellcheck shell=bash
# relay: mcrelay at r1, its rules, its reports and what a test asserts of its account.

# rule ID INTERFACE:GROUP:PORT [INTERFACE:GROUP:PORT[:TTL]]...: a rule as JSON.
rule() {
	local id=$1 input output end outputs=() IFS=:
	id=${id//\\/\\\\} id=${id//\"/\\\"}
	read -ra input <<<"$2"
	for end in "${@:3}"; do
		read -ra output <<<"$end"
		outputs+=("{$(endpoint "${output[@]}"),\"ttl\":${output[3]:-1}}")
	done
	IFS=,
	printf '{"id":"%s","input":{%s},"outputs":[%s]}\n' "$id" "$(endpoint "${input[@]}")" "${outputs[*]}"
}

# endpoint INTERFACE GROUP PORT
endpoint() {
	printf '"interface":"%s","group":"%s","port":%s' "${@:1:3}"
}

# rule_file RULES: one or more of rule's JSON objects as a rule file.
rule_file() {
	local rules=${1//\]\}[[:space:]]\{/]\}\{}
	printf '{"rules": [%s]}\n' "${rules//\]\}\{/]\},\{}"
}

# relay_start RULES [OPTION]...: at r1; RULES is one or more of rule's JSON objects, or '' for no rule
# file. Reports at the end and when asked. Without a control socket, unless an option says where.
# RELAY_WRAPPER: words to put before the command.
relay_start() {
	local config=()
	if [[ -n $1 ]]; then
		rule_file "$1" >"$WORK/rules.json"
		config=(--config "$WORK/rules.json")
	fi
	rm -f "$WORK/relay.json" # each relay counts its reports anew
	RELAY_SAW=$(input_packets)
	SKEW[r1]=$(node_backlog r1)
	# shellcheck disable=SC2086 # a list of words
	spawn relay r1 taskset -c "$RELAY_CPU" ${RELAY_WRAPPER:-} "$RELAY" "${config[@]}" \
		--stats-file "$WORK/relay.json" --stats-interval-ms 0 "${NO_CONTROL[@]}" "${@:2}"
	ready relay '^\[INFO:[A-Za-z]*\] ready'
}

# Packets that have crossed the links towards the relay.
input_packets() {
	local lines line sum=0
	mapfile -t lines <"/proc/${ANCHOR[r1]}/net/dev"
	for line in "${lines[@]}"; do
		[[ ! $line =~ ^\ *in[^:]*:\ *[0-9]+\ +([0-9]+) ]] || ((sum += BASH_REMATCH[1]))
	done
	printf '%s' "$sum"
}

# A new report in $WORK/relay.json.
relay_report() {
	local before
	before=$(report_number)
	kill -USR1 "${PROCESS[relay]%%:*}"
	eventually relay_reported "$before"
}

relay_reported() {
	(($(report_number) > $1))
}

# The number of the newest report; 0: there is none.
report_number() {
	local line
	[[ -e $WORK/relay.json ]] || { printf 0 && return; }
	while read -r line; do
		[[ $line != '"sequence": '* ]] || { printf '%s' "${line//[!0-9]/}" && return; }
	done <"$WORK/relay.json"
}

# counter NAME: a total of the newest report, or any path of gojq into it (.outputs[0].sent).
counter() {
	local path=$1
	[[ -e $WORK/relay.json ]] || return 0
	[[ $path == .* ]] || path=.total.$path
	json_value "$WORK/relay.json" "$path" || gojq -r "$path" "$WORK/relay.json"
}

# json_value FILE PATH: prints what stands at PATH (.a, .a.b, .a[0].b, .a["b"]), a number, string or the
# like, in FILE, which our programs have written: indented by one space a level. Fails if it is not there.
json_value() {
	local parts lines line indent=' ' i=0 count=0 file
	[[ $2 =~ ^(\.[a-z0-9_]+|\[[0-9]+\]|\[\"[a-z0-9_-]+\"\])+$ ]] || return 1
	read -ra parts <<<"${2//[].[\"]/ }"
	exec {file}<"$1"
	# reports may be long, and what is asked for stands near their head
	while mapfile -t -n 300 -u "$file" lines && ((${#lines[@]})); do
		for line in "${lines[@]}"; do
			if [[ $line == "$indent\"${parts[i]}\": "* ]]; then
				((++i < ${#parts[@]})) || break 2
				indent+=' '
			elif [[ ${parts[i]} == [0-9]* && $line == "$indent"[\{\[]* ]]; then
				((count++ == parts[i])) || continue
				((++i < ${#parts[@]})) || break 2
				count=0 indent+=' '
			elif [[ $line == "${indent:1}"[]\}]* ]]; then
				break 2 # the end of what it should be in
			fi
		done
	done
	exec {file}<&-
	[[ $i == "${#parts[@]}" && $line == "$indent\""* && ${line#*: } != [\{\[]* ]] || return 1
	line=${line#*: } line=${line%,} line=${line#\"}
	printf '%s' "${line%\"}"
}

# relay_counts NAME N: the counter is N, now. For eventually.
relay_counts() {
	relay_report
	[[ $(counter "$1") == "$2" ]]
}

# Until the relay has seen each packet that crossed its input links since it started.
relay_settle() {
	eventually relay_saw "$(($(input_packets) - RELAY_SAW))"
}

# relay_unasked N: so many packets have been sent that no rule asks for; the relay sees none of them.
relay_unasked() {
	((RELAY_SAW += $1))
}

relay_saw() {
	relay_report
	(($(counter arrived) >= $1))
}

# Ends it; checks that it exits with 0.
relay_stop() {
	stop relay
	assert_equal "${EXIT[relay]}" 0
}

# freeze NAME: stopped, all threads of it and of its children, until `signal CONT`. What is sent to it piles up.
freeze() {
	signal STOP "$1"
	eventually frozen "$1"
}

frozen() {
	local pid
	for pid in "$(pid_of "$1")" $(children "$1"); do
		stopped "$pid" || return 1
	done
}

# relay_burst [OPTION]...: the relay finds all packets of this `send` in its ring at once.
relay_burst() {
	freeze relay
	send "$@"
	eventually node_settled r1
	signal CONT relay
}

# All that was sent so far has been relayed; then the end.
relay_finish() {
	relay_settle
	relay_stop
}

# assert_counters NAME=VALUE...: NAME as for counter.
assert_counters() {
	local pair value filter=() asked=() values
	for pair in "$@"; do
		if [[ $pair =~ [\ |\(] ]]; then
			filter+=("(${pair%=*} | tostring)") asked+=("$pair")
			continue
		fi
		value=$(counter "${pair%=*}")
		assert_equal "${pair%=*}=$value" "$pair"
	done
	((${#filter[@]})) || return 0
	mapfile -t values < <(IFS=, && gojq -r "${filter[*]}" "$WORK/relay.json")
	for pair in "${asked[@]}"; do
		assert_equal "${pair%=*}=${values[0]-}" "$pair"
		values=("${values[@]:1}")
	done
}

# assert_final KEY=VALUE...: the two FINAL lines say so, each KEY once.
assert_final() {
	local pair line
	line=$(grep -F ' FINAL]' "$WORK/relay.log")
	for pair in "$@"; do
		assert_equal "$(grep -oE "\b${pair%=*}=[0-9]+" <<<"$line")" "$pair"
	done
}

# worker N FIELD: of the newest report (pid, restarts, counters.matched).
worker() {
	counter ".workers[$1].$2"
}

# Another process than $2 is worker $1 now, and $1 has been started $3 times again.
replaced() {
	relay_report
	(($(worker "$1" pid) != 0 && $(worker "$1" pid) != $2 && $(worker "$1" restarts) == $3))
}

# kill_worker N RESTARTS: outright; returns when its successor runs.
kill_worker() {
	local pid
	relay_report
	pid=$(worker "$1" pid)
	kill -KILL "$pid"
	ready relay "starting worker $1 again \(restart $2\)"
	eventually replaced "$1" "$pid" "$2"
}

# ctl ARGUMENT...: mcrelayctl, of a relay that was started with "${CONTROL[@]}".
ctl() {
	"$MCRELAYCTL" --socket-path "$WORK/control" --timeout "$PATIENCE_S" "$@" 3>&-
}

# Every packet is accounted for: at ingress, and at egress.
assert_ledger_closed() {
	local open
	# the level of a key shows by its indentation
	open=$(awk '/^ "/ {part = $1}
		part == "\"total\":" && /^  "/ {total[$1] = $2 + 0}
		/^   "/ {key = $1}
		part == "\"rules\":" && key == "\"matched\":" && /^   "/ {matched += $2}
		part == "\"outputs\":" && key == "\"sent\":" && /^   "/ {sent += $2}
		part == "\"outputs\":" && key == "\"errors\":" && /^    "/ {errors += $2}
		function of(name) {
			if (!("\"" name "\":" in total)) print "no " name
			return total["\"" name "\":"]
		}
		END {
			if (of("arrived") != of("matched") + of("filtered") + of("drop_no_match") + of("buffer_exhaustion"))
				print "arrived"
			if (of("egress_sent") + of("egress_errors") != of("egress_queued")) print "egress_queued"
			if (of("egress_submitted") < of("egress_sent")) print "egress_submitted"
			if (sent != of("egress_sent")) print "sent by the outputs"
			if (errors != of("egress_errors")) print "errors of the outputs"
			if (matched != of("matched")) print "matched by the rules"
		}' "$WORK/relay.json") || fail 'no report'
	[[ -z $open ]] || fail "the ledger is open at: $open; $(gojq -c .total "$WORK/relay.json")"
}
