# shellcheck shell=bash
# scenario: reads $SCENARIOS/NAME.conf ("key = value" lines) into the associative array
# SCENARIO, and refuses what it does not understand. A file is data: nothing in it is executed.

declare -A SCENARIO=()

# key, pattern its value must match, what is expected in words
readonly SCENARIO_KEYS='
description|.+|a sentence
topology|[a-z0-9-]+|the name of a file in harness/topologies
baseline|[a-z0-9-]+|the name of a file in baselines
payload_bytes|(1[89]|[2-9][0-9]|[1-9][0-9]{2,3}|[1-5][0-9]{4}|6[0-4][0-9]{3})|a size from 18 to 64999 bytes
rate_pps|[1-9][0-9]{0,8}|packets per second
flows|[1-9][0-9]{0,3}|a number of flows
gso_segments|([1-9]|[1-5][0-9]|6[0-4])|1 to 64 packets a send
warmup_ms|[1-9][0-9]{2,4}|milliseconds, 100 to 99999
window_ms|[1-9][0-9]{2,6}|milliseconds, 100 to 9999999
control_window_ms|[1-9][0-9]{2,6}|milliseconds, 100 to 9999999
sink|count\|receive|count or receive
relay_options|.*|options of mcrelay
offload_tx-udp-segmentation|on\|off|on or off
offload_generic-receive-offload|on\|off|on or off
offload_rx-udp-gro-forwarding|on\|off|on or off'

readonly SCENARIO_OPTIONAL=' baseline relay_options control_window_ms sink '

scenario_names() {
	local file
	for file in "$SCENARIOS"/*.conf; do
		[[ ! -e $file ]] || basename "$file" .conf
	done
}

# scenario_load NAME
scenario_load() {
	local file=$SCENARIOS/$1.conf
	[[ $1 =~ ^[a-z0-9-]+$ && -r $file ]] || die "$EXIT_USAGE" \
		"no scenario '$1' in $SCENARIOS; there are: $(scenario_names | paste -sd' ')"
	scenario_parse "$file"
	scenario_check "$file"
	SCENARIO[name]=$1
}

scenario_parse() {
	local file=$1 line number=0 key value pattern expected name rest
	SCENARIO=()
	while IFS= read -r line || [[ -n $line ]]; do
		number=$((number + 1))
		[[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
		[[ $line =~ ^([a-z_-]+)\ *=\ *(.*)$ ]] || die "$EXIT_USAGE" \
			"$file:$number: found '$line', expected 'key = value'"
		key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
		pattern='' expected=''
		while IFS='|' read -r name rest; do
			[[ $name == "$key" ]] || continue
			pattern=${rest%|*} expected=${rest##*|}
		done <<<"$SCENARIO_KEYS"
		[[ -n $pattern ]] || die "$EXIT_USAGE" "$file:$number: unknown key '$key'"
		[[ -z ${SCENARIO[$key]+set} ]] || die "$EXIT_USAGE" "$file:$number: '$key' stands twice"
		[[ $value =~ ^(${pattern//\\|/|})$ ]] || die "$EXIT_USAGE" \
			"$file:$number: $key: found '$value', expected $expected"
		SCENARIO[$key]=$value
	done <"$file"
}

scenario_check() {
	local file=$1 name
	while IFS='|' read -r name _; do
		[[ -z $name || -n ${SCENARIO[$name]+set} || $SCENARIO_OPTIONAL == *" $name "* ]] ||
			die "$EXIT_USAGE" "$file: '$name' is missing"
	done <<<"$SCENARIO_KEYS"
	[[ -r $HARNESS/topologies/${SCENARIO[topology]}.bash ]] || die "$EXIT_USAGE" \
		"$file: topology: no file harness/topologies/${SCENARIO[topology]}.bash"
	[[ -z ${SCENARIO[baseline]:-} || -r $ROOT/baselines/${SCENARIO[baseline]}.json ]] ||
		die "$EXIT_INVALID" "$file: baseline: no file baselines/${SCENARIO[baseline]}.json"
}

# The scenario as a JSON object of strings.
scenario_json() {
	local key
	for key in "${!SCENARIO[@]}"; do
		printf '%s\t%s\n' "$key" "${SCENARIO[$key]}"
	done | sort | jq -Rn '[inputs | split("\t") | {key: .[0], value: .[1]}] | from_entries'
}
