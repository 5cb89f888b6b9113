# shellcheck shell=bash
# shellcheck disable=SC2030,SC2031 # what the process of the twin changes for itself is meant to stay there
# twins: two runs at the same time, on the same cores, in two of a topology that are alike but for the names of their
# namespaces. Whatever the machine does meanwhile, it does to both: what differs is what is measured.

TWIN=              # non-empty in the process that measures the twin
COMPANION=         # while two runs are made, the identity of the process that makes the other one
twins_stand=''     # the topology that the twin is one of
twins_nodes=()

# twins_measure FUNCTION FIRST SECOND: calls FUNCTION with FIRST and with SECOND, each of which measures one run; the
# second one in the twin.
twins_measure() {
	local status=0
	topology_ready
	twins_ready
	stop_at twins
	rm -f "$STATE"/meet-*
	(
		RUN_ID+=-twin TWIN=yes COMPANION=$(process_identity $$)
		[[ ${SCENARIO[twin]} != mirrored ]] || SCENARIO[two_cores]=$(twins_mirrored)
		# shellcheck disable=SC2317 # called by what measures
		progress_detail() { :; }
		"$1" "$3"
	) {lock_fd}>&- &
	COMPANION=$(process_identity $!) || COMPANION=$!:gone
	"$1" "$2"
	wait "${COMPANION%%:*}" || status=$?
	COMPANION=
	((status == 0)) || exit "$status" # it has said why
}

# twins_mirrored: the placement with both cores exchanged: whoever stands still then keeps the other generator waiting, and not the
# other relay, which would share what is to be told apart.
twins_mirrored() {
	local pair mirrored=()
	for pair in ${SCENARIO[two_cores]:-$topology_two_cores}; do
		mirrored+=("${pair%=*}=$((1 - ${pair#*=}))")
	done
	printf '%s' "${mirrored[*]}"
}

# The twin of the topology that stands: what is known of its nodes and links is known already.
twins_ready() {
	local NODES=() INTERFACES=() name RUN_ID=$RUN_ID-twin
	local -A HOP_OUTS=() HOP_INS=() PEER=()
	[[ $twins_stand != "$topology_stands" ]] || return 0
	for name in "${twins_nodes[@]}"; do
		run namespace_remove "$(namespace "$name")"
	done
	topology_build
	twins_nodes=("${NODES[@]}") twins_stand=$topology_stands
}

# twins_meet: both send from here on. Alone: at once.
twins_meet() {
	[[ -n $COMPANION ]] || return 0
	: >"$STATE/meet-${TWIN:-no}"
	poll 20 twins_met_or_alone || true
	twins_met || die "$EXIT_INVALID" "the run beside this one did not begin"
}

twins_met() {
	[[ -e $STATE/meet-$([[ -n $TWIN ]] && echo no || echo yes) ]]
}

twins_met_or_alone() {
	twins_met || process_dead "$COMPANION"
}

# twins_rate: what the generator is to send. Generators that kept step would meet each other's bursts in the same place
# all the time: pairs of twins varied by 8 % then, and by 0.7 % with rates that are 1 % apart.
twins_rate() {
	printf '%s' $((SCENARIO[rate_pps] * (${#TWIN} ? 101 : 100) / 100))
}
