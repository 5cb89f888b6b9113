# shellcheck shell=bash
# sut: the system under test, in each hop: the relay (relay.bash) or the kernel (kernel.bash). A system
# has SYSTEM_start HOP RAW, which leaves the process of the hop, if there is one, in SUT.

SYSTEM=relay
SUT_WITHIN= # words before the command that starts a relay
declare -A SUT=() # hop -> process identity

# Where each hop's packets come from and go to: the nth hop receives the nth group.
readonly GROUP_PREFIX=239.255 FIRST_GROUP=77 PORT=5000

# sut_group NUMBER [I]: the group that the nth hop, or what is behind the last one, receives; the Ith
# one of several that are sent there on one link.
sut_group() {
	printf '%s.%d.%d' "$GROUP_PREFIX" $((FIRST_GROUP + $1 - 1)) "${2:-1}"
}

# sut_start RAW
sut_start() {
	local hop
	for hop in $topology_hops; do
		"${SYSTEM}_start" "$hop" "$1"
	done
	stop_at ready
}

# sut_started HOP PID
sut_started() {
	SUT[$1]=$(process_identity "$2") || die "$EXIT_INVALID" "the $(sut_name) of $1 did not start"
	stop_at process
	undo_push process_stop "${SUT[$1]}"
}

# The program that is measured, and what it is told.
sut_json() {
	local options path sha256
	case $SYSTEM in
	relay)
		options=$(profile_relay_options)
		gojq -n --arg path "$RELAY" --arg sha256 "$RELAY_SHA256" --arg options "$options" \
			'{name: "mcrelay", path: $path, sha256: $sha256, options: $options}'
		;;
	kernel)
		path=$(kernel_program)
		sha256=$(sut_sha256 "$path")
		gojq -n --arg path "$path" --arg sha256 "$sha256" '{name: "smcroute", path: $path, sha256: $sha256, options: ""}'
		;;
	esac
}

sut_name() {
	case $SYSTEM in
	relay) printf relay ;;
	kernel) printf smcrouted ;;
	esac
}

sut_sha256() {
	sha256sum "$1" | cut -d' ' -f1
}

# sut_note_program HOP RAW: which program runs there, whatever was started.
sut_note_program() {
	local exe=/proc/${SUT[$1]%%:*}/exe sha256
	sha256=$(sut_sha256 "$exe" 2>&1) || {
		sut_check_alive "$2"
		die "$EXIT_INCONCLUSIVE" "which program runs as the $(sut_name) of $1 cannot be told (${sha256#sha256sum: }); run this" \
			"where root may look at processes (CAP_SYS_PTRACE)"
	}
	printf '%s\n' "$sha256" >"$2/$1.sha256"
}

# sut_check_alive RAW. A relay that dies of what chaos does to it is a finding.
sut_check_alive() {
	local hop
	[[ -z $CHAOS ]] || return 0
	for hop in $topology_hops; do
		[[ -z ${SUT[$hop]:-} ]] || process_alive "${SUT[$hop]}" || die "$EXIT_INVALID" \
			"the $(sut_name) of $hop died during the run: $(last_words "$1/$hop.log")"
	done
}

# In the order of the hops, each one drained before the next: what one still sends, the next
# still receives. The exit codes go to RAW; a process that had to be killed shows up there.
sut_stop() {
	local hop status
	for hop in $topology_hops; do
		[[ -n ${SUT[$hop]:-} ]] || continue
		process_stop "${SUT[$hop]}"
		status=0
		wait "${SUT[$hop]%%:*}" || status=$?
		printf '%s\n' "$status" >"$1/$hop.exit"
	done
	if [[ $SYSTEM == kernel ]]; then
		kernel_stop
	else
		relay_keep "$1"
	fi
}
