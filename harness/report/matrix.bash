# shellcheck shell=bash
# matrix: the verb `matrix`: the modes of the relay side by side.

# name|options of the relay
readonly MODES='
ring|
ring-eager|--egress-reap eager
ring-deferred|--egress-reap deferred
ring-sendmmsg|--egress sendmmsg
ring-no-gso|--gso off
uring|--ingress uring
uring-no-gso|--ingress uring --gso off
uring-deferred|--ingress uring --egress-reap deferred
split-hybrid|--thread-model split
split-eventfd|--thread-model split --wakeup eventfd'

command_matrix() {
	local round mode options common status=0
	parse_options '--rounds --profile --payload --flows --fanout' "$@"
	ROUNDS=${ROUNDS:-3}
	((${#ARGUMENTS[@]} <= 1)) || refuse "matrix takes the name of one scenario"
	[[ ${OVERRIDES[profile]:-} != plain ]] || refuse "--profile: plain is one of the modes, uring-no-gso"
	sitting_begin "${ARGUMENTS[0]:-single-hop-flood}" matrix "$@"
	common=${SCENARIO[relay_options]:-}
	for ((round = 1; round <= ROUNDS; round++)); do
		progress "round $round of $ROUNDS: control"
		measure control "$SITTING.partial/rounds/$(printf '%02d' "$round")/control"
		while IFS='|' read -r mode options; do
			[[ -n $mode ]] || continue
			progress "round $round of $ROUNDS: $mode"
			SCENARIO[relay_options]="$common $options"
			measure relay "$SITTING.partial/rounds/$(printf '%02d' "$round")/$mode"
		done <<<"$MODES"
	done
	progress_end
	sitting_keep
	python harness.report.matrix "$SITTING" || status=$?
	say $'\n'"results: $SITTING"
	exit "$status"
}
