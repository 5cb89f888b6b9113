# shellcheck shell=bash
# kernel: the kernel's own multicast forwarding in a hop, set up by smcroute's daemon, whose files are
# all in the run's own folder. The kernel sends each group on as it is, once per interface; a hop
# without outputs is a link that nobody listens to. There is no program to count packets: the interfaces
# do, and sampler.py reads them.

declare -A SAMPLER=() # hop -> process identity

kernel_program() {
	command -v smcrouted
}

# The kernel can send a packet twice through no interface.
kernel_check() {
	kernel_program >/dev/null || die "$EXIT_INCONCLUSIVE" "no program 'smcrouted'; run: ci/setup"
	((topology_groups == 1)) || die "$EXIT_USAGE" "the kernel sends a packet once per interface;" \
		"--sut kernel takes --fanout up to $((FANOUT_GROUPS - 1))"
	routes_in_a_row || die "$EXIT_USAGE" "scenario ${SCENARIO[name]}: --sut kernel is set up" \
		"for hops in a row only, and topology ${SCENARIO[topology]} is none"
}

kernel_config() {
	local out group source
	printf 'phyint in0 enable\n'
	for out in "$@"; do
		printf 'phyint %s enable\n' "$out"
	done
	group=$(sut_group 1)
	source=$(node_address gen out0)
	printf 'mgroup from in0 group %s\n' "$group"
	printf 'mroute from in0 source %s group %s to %s\n' "$source" "$group" "$*"
}

# kernel_start HOP RAW
kernel_start() {
	local hop=$1 raw=$2
	kernel_sample "$hop" "$raw"
	[[ -n ${HOP_OUTS[$hop]} ]] || return 0
	# shellcheck disable=SC2086 # a list of words
	save "$raw/$hop.smcroute.conf" kernel_config ${HOP_OUTS[$hop]}
	# -N: no interface but those of the configuration; of its log, errors only
	in_node "$hop" "$(kernel_program)" -n -N -l err -i "mcr-$RUN_ID-$hop" -f "$raw/$hop.smcroute.conf" \
		-P "$STATE/$hop.pid" -u "$STATE/$hop.sock" >"$raw/$hop.log" 2>&1 {lock_fd}>&- &
	sut_started "$hop" $!
	if ! poll 5 kernel_ready_or_dead "$hop" || process_dead "${SUT[$hop]}"; then
		die "$EXIT_INVALID" "the smcrouted of $hop did not get ready: $(last_words "$raw/$hop.log")"
	fi
	sut_note_program "$hop" "$raw"
}

kernel_ready_or_dead() {
	[[ $(ip -n "$(namespace "$1")" -4 mroute show table all) == *'State: resolved'* ]] ||
		process_dead "${SUT[$1]}"
}

kernel_sample() {
	in_node "$1" /usr/bin/python3 "$HARNESS/start.py" harness.run.sut.sampler "$2/$1.series.ndjson" \
		"${SCENARIO[report_interval_ms]:-100}" >"$2/$1.sampler.log" 2>&1 {lock_fd}>&- &
	SAMPLER[$1]=$(process_identity $!) || die "$EXIT_INVALID" "the sampler of $1 did not start"
	undo_push process_stop "${SAMPLER[$1]}"
	poll 5 test -s "$2/$1.series.ndjson" || die "$EXIT_INVALID" \
		"the sampler of $1 did not get ready: $(last_words "$2/$1.sampler.log")"
}

kernel_stop() {
	local hop
	for hop in "${!SAMPLER[@]}"; do
		process_stop "${SAMPLER[$hop]}"
		wait "${SAMPLER[$hop]%%:*}" || true
	done
	SAMPLER=()
}
