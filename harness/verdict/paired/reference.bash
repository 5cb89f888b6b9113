# shellcheck shell=bash
# reference: head beside the pinned commit of the relay (reference.py), or beside itself in PHASE4's shape (shape.py).

declare -A LEFT_OUT=() # base, head -> options that the program does not know, and that mean nothing when they are absent

# In BASE the reference, in HEAD the commit that was named, or what stands here.
reference_find_commits() {
	((${#BUILDS[@]} == 0)) || refuse "--reference and --builds exclude each other"
	((${#ARGUMENTS[@]} <= 1)) || refuse "compare --reference takes one commit at most"
	[[ -z $SHAPE ]] || refuse "--reference and --shape exclude each other"
	HEAD='' COMPARE_QUESTION=reference
	BASE=$(python harness.verdict.paired.reference commit "$BASELINES/reference.json") || exit "$?"
	compare_commit BASE commit "$BASE"
	if ((${#ARGUMENTS[@]})); then
		compare_commit HEAD commit "${ARGUMENTS[0]}"
	elif ! host_dirty; then
		compare_commit HEAD commit HEAD
	fi
}

# Head beside itself in PHASE4's shape, which shape.py describes.
shape_choose() {
	((${#BUILDS[@]} == 0 && ${#CHOSEN[@]} == 0)) || refuse "--shape takes neither --builds nor --scenario"
	((${#ARGUMENTS[@]} == 0)) || refuse "--shape is of the files as they are, and takes no commit"
	BASE='' HEAD='' COMPARE_QUESTION=shape
	host_dirty || compare_commit HEAD commit HEAD
	BASE=$HEAD CHOSEN=(single-hop-flood)
	BUILD_OPTIONS[base]='--ingress uring --gso off'
}

# What is compared there. At a rate that PHASE4's shape cannot carry, packets that it loses would need a price; flooded, whoever
# has the higher cost per packet sends the less, as PHASE4 itself was measured. Both at the same time: what neighbours of this
# machine do they do to both.
shape_scenario() {
	[[ $COMPARE_QUESTION == shape ]] || return 0
	SCENARIO[compare]=egress_pps SCENARIO[twin]=yes
}

# What the scenario asks of the reference that it does not know, into LEFT_OUT; said, where its absence means the same.
reference_known_options() {
	local words known line
	read -ra words <<<"$(profile_relay_options "${topology_hops%% *}")"
	known=$(python harness.verdict.paired.reference known "$BASELINES/reference.json" "${COMPARED[base]}" "${words[@]}") || exit "$?"
	LEFT_OUT[base]=
	while IFS= read -r line; do
		[[ -n $line ]] || continue
		COMPARE_NOTES+=("left out for the reference, which does not know it: $line")
		line=${line%%[:= ]*}
		LEFT_OUT[base]+=" $line"
	done < <(tail -n +2 <<<"$known")
}

command_reference() {
	local what=${1:-show}
	(($# == 0)) || shift
	case $what in
	show)
		parse_options '' "$@"
		((${#ARGUMENTS[@]} == 0)) || refuse "unexpected argument '${ARGUMENTS[0]}'"
		exec /usr/bin/python3 "$HARNESS/start.py" harness.verdict.paired.reference show "$BASELINES/reference.json"
		;;
	move)
		parse_options --reason "$@"
		((${#ARGUMENTS[@]} == 1)) || refuse "reference move takes the compare.json of a comparison with the reference"
		[[ $REASON =~ [^[:space:]] ]] || refuse "reference move needs --reason TEXT: why is this what we hold ourselves to from now on?"
		exec /usr/bin/python3 "$HARNESS/start.py" harness.verdict.paired.reference move "$BASELINES/reference.json" \
			"${ARGUMENTS[0]}" --reason "$REASON" --by "$(baseline_person)"
		;;
	*) refuse "reference takes show or move" ;;
	esac
}
