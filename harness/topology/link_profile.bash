# shellcheck shell=bash
# profile: in what shape packets enter a hop. Whatever the profile, segmentation offload is off at each
# sending end, so that every packet crosses its link as one.
#
#   wire    one by one, as from a network card without offloads
#   gro     the receiving end of a link puts neighbours together: aggregates reach the hop, and the
#           sink, where the next hop would do the same
#   plain   one by one, and they leave one by one: the shape that PHASE4 was measured in

# name|options of the relay
readonly PROFILES='
wire|
gro|--gro
plain|--ingress uring --gso off'

readonly AGGREGATION='rx-udp-gro-forwarding generic-receive-offload'

# profile_relay_options [HOP]: what the relay is told: by the scenario, by the scenario for this profile and
# for this hop in it, by the profile.
profile_relay_options() {
	local profile=${SCENARIO[profile]} name options words=() tuning=()
	while IFS='|' read -r name options; do
		[[ $name == "$profile" ]] || continue
		read -ra words <<<"${SCENARIO[relay_options]:-} ${SCENARIO[relay_options_$profile]:-} ${SCENARIO[relay_options_${profile}_${1:-}]:-} $options"
	done <<<"$PROFILES"
	read -ra tuning < <(tuning_relay_options) || true
	words+=("${tuning[@]}")
	[[ -z ${SCENARIO[workers]:-} ]] || words+=(--num-workers "${SCENARIO[workers]}")
	profile_without "${words[@]}"
}

RELAY_LEFT_OUT= # options that the program at hand does not know, see reference_known_options

# profile_without WORD...: the words, but for the options in RELAY_LEFT_OUT and their values.
profile_without() {
	local word kept=() keep=1
	for word in "$@"; do
		[[ $word != --* ]] || keep=1
		[[ " $RELAY_LEFT_OUT " != *" ${word%%=*} "* ]] || keep=0
		((!keep)) || kept+=("$word")
	done
	printf '%s' "${kept[*]}"
}

# The receiving ends (NODE:INTERFACE) that aggregate while traffic flows: of all hops and sinks.
profile_aggregating() {
	[[ ${SCENARIO[profile]} != gro ]] || printf '%s\n' "${INTERFACES[@]}" | grep ':in'
}

# profile_begin KIND: a relay turns aggregation on where it receives, and off when it ends; this does
# so everywhere else.
profile_begin() {
	local end
	for end in $(profile_aggregating); do
		[[ $1 != relay || $SYSTEM != relay || " $topology_hops " != *" ${end%%:*} "* ]] || continue
		undo_push profile_aggregate "$end" off
		run profile_aggregate "$end" on
		PROFILE_BEGUN+=("$end")
	done
}

profile_end() {
	local end
	for end in "${PROFILE_BEGUN[@]}"; do
		run profile_aggregate "$end" off
	done
	PROFILE_BEGUN=()
}

PROFILE_BEGUN=()

# profile_aggregate NODE:INTERFACE on|off; as an undo it may find that the node is no more.
profile_aggregate() {
	local ns feature
	ns=$(namespace "${1%%:*}")
	[[ -e /run/netns/$ns ]] || return 0
	for feature in $AGGREGATION; do
		ip netns exec "$ns" ethtool -K "${1##*:}" "$feature" "$2" || return 1
	done
}
