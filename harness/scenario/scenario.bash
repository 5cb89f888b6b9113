# shellcheck shell=bash
# scenario: reads $SCENARIOS/NAME.conf ("key = value" lines) into the associative array
# SCENARIO, and refuses what it does not understand. A file is data: nothing in it is executed.

declare -A SCENARIO=()

# What a file consists of, besides blank lines and comments. Blanks at the end (of another system, \r) mean nothing.
readonly SCENARIO_LINE='^([a-z0-9_-]+) *= *(.*[^[:space:]])?[[:space:]]*$'

# key, pattern its value must match, what is expected in words
readonly SCENARIO_KEYS='
description|.+|a sentence
topology|[a-z0-9-]+|the name of a file in harness/topology
baseline|[a-z0-9-]+|the name of a file in baselines
profile|wire\|gro\|plain|wire, gro or plain
fanout|([1-9]|[1-5][0-9]|6[0-4])|1 to 64 outputs
payload_bytes|(imix|1[89]|[2-9][0-9]|[1-9][0-9]{2}|[1-7][0-9]{3}|8[0-8][0-9]{2}|89[0-6][0-9]|897[0-2])|a size from 18 to 8972 bytes, or imix
rate_pps|[1-9][0-9]{0,8}|packets per second
flows|[1-9][0-9]{0,3}|a number of flows
streams|([1-9]|[1-9][0-9]{1,2}|1000)|1 to 1000 streams
workers|([1-9]|[1-5][0-9]|6[0-4])|1 to 64 workers
rule_changes_per_s|[1-9][0-9]{0,3}|changes of a rule per second, up to 9999
gso_segments|([1-9]|[1-5][0-9]|6[0-4])|1 to 64 packets a send
burst_packets|[1-9][0-9]{0,5}|1 to 999999 packets at once
batch_messages|[1-9][0-9]{0,2}|1 to 999 sends a system call
warmup_ms|[1-9][0-9]{2,4}|milliseconds, 100 to 99999
window_ms|[1-9][0-9]{2,6}|milliseconds, 100 to 9999999
control_window_ms|[1-9][0-9]{2,6}|milliseconds, 100 to 9999999
report_interval_ms|[1-9][0-9]{1,4}|milliseconds, 10 to 99999
generator_first|yes\|no|yes or no
two_cores|[a-z0-9]+=[01]( [a-z0-9]+=[01])*|NODE=0 or NODE=1 for each process
sink|count\|receive|count or receive
twin|yes\|no\|mirrored|yes, no or mirrored
when|commit\|night|commit or night
tuning|tuned\|untuned\|wmem_max\|wmem_default\|rmem_max\|netdev_max_backlog\|txqueuelen\|socket_sndbuf|tuned, untuned, or a setting of bench tuning
loss|none\|full-buffers|none or full-buffers
holds|[1-9][0-9]?|1 to 99 percent
each|[a-z_]+( [^ ]+)+|a key, and the values that it takes in turn
compare|egress_pps\|cpu_ns_per_packet\|latency|egress_pps, cpu_ns_per_packet or latency
also|[a-z0-9-]+|the name of a scenario
capacity_share|[1-9][0-9]?|1 to 99 percent
relay_options|.*|options of mcrelay
relay_options_wire|.*|options of mcrelay
relay_options_gro|.*|options of mcrelay
relay_options_plain|.*|options of mcrelay
relay_options_gro_r1|.*|options of mcrelay
relay_options_gro_r2|.*|options of mcrelay
offload_tx-udp-segmentation|on\|off|on or off
offload_generic-receive-offload|on\|off|on or off
offload_rx-udp-gro-forwarding|on\|off|on or off'

readonly SCENARIO_OPTIONAL=' profile fanout baseline control_window_ms sink batch_messages two_cores generator_first report_interval_ms '\
' compare twin when also capacity_share streams workers burst_packets rule_changes_per_s tuning loss holds each '\
' relay_options relay_options_wire relay_options_gro relay_options_plain relay_options_gro_r1 relay_options_gro_r2 '

scenario_names() {
	local file
	for file in "$SCENARIOS"/*.conf; do
		[[ ! -e $file && ! -L $file ]] || basename "$file" .conf
	done
}

# scenario_load NAME
scenario_load() {
	local file=$SCENARIOS/$1.conf
	[[ $1 =~ ^[a-z0-9-]+$ ]] || die "$EXIT_USAGE" \
		"no scenario '$1' in $SCENARIOS: a name consists of a-z, 0-9 and '-'; there are: $(scenario_names | paste -sd' ')"
	[[ -e $file || -L $file ]] || die "$EXIT_USAGE" \
		"no scenario '$1' in $SCENARIOS; there are: $(scenario_names | paste -sd' ')"
	[[ -f $file && -r $file ]] || die "$EXIT_USAGE" \
		"$file cannot be read: it is no file, or a link to none, or not readable; restore it"
	scenario_parse "$file"
	SCENARIO[profile]=${SCENARIO[profile]:-wire}
	[[ ${SCENARIO[topology]:-} != fanout ]] || SCENARIO[fanout]=${SCENARIO[fanout]:-3}
	scenario_check "$file"
	SCENARIO[name]=$1
}

# scenario_set WHERE KEY VALUE: WHERE is what a complaint begins with. compare_KEY takes what KEY does.
scenario_set() {
	local name rest pattern='' expected=''
	while IFS='|' read -r name rest; do
		[[ $name == "${2#compare_}" ]] || continue
		pattern=${rest%|*} expected=${rest##*|}
	done <<<"$SCENARIO_KEYS"
	[[ -n $pattern ]] || die "$EXIT_USAGE" "${1%: *}: unknown key '$2'"
	[[ $3 =~ ^(${pattern//\\|/|})$ ]] || die "$EXIT_USAGE" "$1: found ${3@Q}, expected $expected"
	SCENARIO[$2]=$3
}

# What `bench compare` changes about the scenario: compare_KEY instead of KEY.
scenario_as_compared() {
	local key
	for key in "${!SCENARIO[@]}"; do
		[[ $key != compare_* ]] || SCENARIO[${key#compare_}]=${SCENARIO[$key]}
	done
}

# scenario_aside FUNCTION ARGUMENT...: what FUNCTION changes about the scenario is forgotten.
scenario_aside() {
	local scenario_key
	local -A scenario_kept=()
	for scenario_key in "${!SCENARIO[@]}"; do
		scenario_kept[$scenario_key]=${SCENARIO[$scenario_key]}
	done
	"$@"
	SCENARIO=()
	for scenario_key in "${!scenario_kept[@]}"; do
		# shellcheck disable=SC2004 # a name, of an associative array
		SCENARIO[$scenario_key]=${scenario_kept[$scenario_key]}
	done
}

# scenario_override WHERE KEY VALUE: what a command line, or a table of variants, asks for instead.
scenario_override() {
	scenario_set "$@"
	[[ $2 != fanout ]] || scenario_fan_out "$1"
}

declare -A OVERRIDES=() # key -> value, from the command line

scenario_override_all() {
	local key
	for key in "${!OVERRIDES[@]}"; do
		# options come on top of those that the scenario has
		[[ $key != relay_options ]] || OVERRIDES[$key]="${SCENARIO[$key]:-} ${OVERRIDES[$key]}"
		scenario_override "--${key%_bytes}" "$key" "${OVERRIDES[$key]}"
	done
	scenario_check_reports "${SCENARIO[name]}, as it is asked for"
}

# Any number of outputs instead of the one that a single hop has.
scenario_fan_out() {
	[[ ${SCENARIO[topology]} =~ ^(single|fanout)$ ]] || die "$EXIT_USAGE" \
		"$1: scenario ${SCENARIO[name]}: topology ${SCENARIO[topology]} has no number of outputs;" \
		"single and fanout have"
	SCENARIO[topology]=fanout
}

# The MTU that the links need; the largest payload of IMIX is that of a full Ethernet frame.
scenario_mtu() {
	if [[ ${SCENARIO[payload_bytes]} != imix ]] && ((SCENARIO[payload_bytes] > 1472)); then
		printf 9000
	else
		printf 1500
	fi
}

scenario_parse() {
	local file=$1 line number=0 key value
	SCENARIO=()
	while IFS= read -r line || [[ -n $line ]]; do
		number=$((number + 1))
		[[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
		[[ $line =~ $SCENARIO_LINE ]] || die "$EXIT_USAGE" \
			"$file:$number: found ${line@Q}, expected 'key = value'"
		key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
		[[ -z ${SCENARIO[$key]+set} ]] || die "$EXIT_USAGE" "$file:$number: '$key' stands twice"
		scenario_set "$file:$number: $key" "$key" "$value"
	done <"$file"
}

# scenario_value KEY: what the file on standard input says of KEY, whatever else may be wrong with it; fails when it says
# nothing.
scenario_value() {
	local line
	while IFS= read -r line || [[ -n $line ]]; do
		[[ $line =~ $SCENARIO_LINE && ${BASH_REMATCH[1]} == "$1" ]] || continue
		printf '%s\n' "${BASH_REMATCH[2]}"
		return
	done
	return 1
}

scenario_check() {
	local file=$1 name
	while IFS='|' read -r name _; do
		[[ -z $name || -n ${SCENARIO[$name]+set} || $SCENARIO_OPTIONAL == *" $name "* ]] ||
			die "$EXIT_USAGE" "$file: '$name' is missing"
	done <<<"$SCENARIO_KEYS"
	[[ -z ${SCENARIO[fanout]:-} || ${SCENARIO[topology]} == fanout ]] || die "$EXIT_USAGE" \
		"$file: fanout: topology ${SCENARIO[topology]} has no number of outputs; fanout has"
	scenario_check_reports "$file"
	scenario_check_each "$file"
	topology_exists "${SCENARIO[topology]}" || die "$EXIT_USAGE" \
		"$file: topology: no topology in harness/topology/${SCENARIO[topology]}.bash"
	[[ -z ${SCENARIO[baseline]:-} || -r $BASELINES/${SCENARIO[baseline]}.json ]] ||
		die "$EXIT_INVALID" "$file: baseline: no file ${BASELINES##*/}/${SCENARIO[baseline]}.json"
}

# scenario_check_each FILE: the values that a key is to take are some that it can have.
scenario_check_each() {
	local key values value
	[[ -n ${SCENARIO[each]:-} ]] || return 0
	read -r key values <<<"${SCENARIO[each]}"
	for value in $values; do
		scenario_aside scenario_set "$1: each: $key" "$key" "$value"
	done
}

# scenario_variants: a line for each value that a key takes in turn, KEY=VALUE; '-' when there is none.
scenario_variants() {
	local key values value
	read -r key values <<<"${SCENARIO[each]:--}"
	[[ -n $values ]] || printf '%s\n' -
	for value in $values; do
		printf '%s=%s\n' "$key" "$value"
	done
}

# scenario_check_reports WHERE: also of a scenario that has been changed since it was read.
scenario_check_reports() {
	((${SCENARIO[report_interval_ms]:-100} * 10 <= SCENARIO[window_ms])) || die "$EXIT_USAGE" "$1: report_interval_ms: found" \
		"${SCENARIO[report_interval_ms]:-100}, expected a tenth of window_ms at most: a rate is one of samples that cover the window"
}

# The scenario, and what was asked for instead of its file's values, as JSON objects of strings.
scenario_json() {
	local key
	for key in "${!SCENARIO[@]}"; do
		printf '%s\t%s\n' "$key" "${SCENARIO[$key]}"
	done | strings_json
}

scenario_overrides_json() {
	local key
	for key in "${!OVERRIDES[@]}"; do
		printf '%s\t%s\n' "$key" "${OVERRIDES[$key]}"
	done | strings_json
}

strings_json() {
	sort | gojq -Rn '[inputs | split("\t") | {key: .[0], value: .[1]}] | from_entries'
}

# "tx-udp-segmentation=off ...": the offloads that it declares.
scenario_offloads() {
	local key
	for key in "${!SCENARIO[@]}"; do
		[[ $key != offload_* ]] || printf '%s=%s\n' "${key#offload_}" "${SCENARIO[$key]}"
	done | sort | paste -sd' '
}

command_list() {
	local name names
	(($# == 0)) || refuse "unexpected argument '$1'"
	names=$(scenario_names)
	[[ -n $names ]] || die "$EXIT_USAGE" "no scenario in $SCENARIOS"
	for name in $names; do
		scenario_load "$name"
		print '%-26s %s; %s bytes, %s pps, %s\n' "$name" "${SCENARIO[description]}" \
			"${SCENARIO[payload_bytes]}" "${SCENARIO[rate_pps]}" "${SCENARIO[profile]}"
	done
}
