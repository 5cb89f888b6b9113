# shellcheck shell=bash
# all: every scenario once, with each value that a key of it takes: is each run valid, and is nothing lost that is not to be? See all.py.

# A loss to full buffers, where none is to be, may be the machine's: it may have stood still. As often a run is made until it has none.
readonly ALL_TRIES=3

command_all() {
	local name names variants variant status=0 number=0 count=0
	parse_options '--only' "$@"
	((${#ARGUMENTS[@]} == 0)) || refuse "unexpected argument '${ARGUMENTS[0]}'"
	names=$(all_names)
	[[ -n $names ]] || die "$EXIT_USAGE" "no scenario in $SCENARIOS"
	for name in $names; do # everything that is asked for is understood, before anything is measured
		scenario_load "$name"
		variants=$(scenario_variants)
		count=$((count + $(wc -l <<<"$variants")))
	done
	FREE_MB=200
	sitting_open all all "$@"
	for name in $names; do
		scenario_load "$name"
		variants=$(scenario_variants)
		for variant in $variants; do
			number=$((number + 1))
			all_settle "$name" "$variant" "$number of $count: $name$(all_words "$variant")"
		done
	done
	progress_end
	python harness.verdict.all.all finish "$SITTING.partial" || status=$?
	sitting_finish all - "$status"
}

# all_words VARIANT: ", payload_bytes = 18"; nothing when there is none.
all_words() {
	[[ $1 == - ]] || printf ', %s = %s' "${1%%=*}" "${1#*=}"
}

# all_settle NAME VARIANT TEXT: measures it until it is settled, or has had its tries.
all_settle() {
	local try status
	for ((try = 1; try <= ALL_TRIES; try++)); do
		progress "$3$( ((try == 1)) || printf ', try %d' "$try")"
		MEASURE_AGAIN=
		((try == ALL_TRIES)) || MEASURE_AGAIN=yes
		all_measure "$1" "$2" "$try"
		status=0
		python harness.verdict.all.all again "$ALL_FOLDER/result.json" || status=$?
		((status == EXIT_MORE)) || break
	done
	((status == EXIT_MORE || status == EXIT_PASS)) || no_verdict "$status" "the run in $ALL_FOLDER could not be judged"
}

# all_names: a line each; those that --only names, if it does.
all_names() {
	local text
	((${#ONLY[@]})) || scenario_names
	for text in "${ONLY[@]}"; do
		[[ $text == --only ]] || printf '%s\n' "$text"
	done
}

# all_measure NAME VARIANT TRY: leaves the run in ALL_FOLDER.
all_measure() {
	local words=("$1" relay)
	ALL_FOLDER=$SITTING.partial/rounds/$(printf '%02d' "$3")/$1
	if [[ $2 != - ]]; then
		words+=("$2")
		ALL_FOLDER+=.$(tr '_=' '-.' <<<"$2")
	fi
	variant_load "${words[@]}"
	measure relay "$ALL_FOLDER"
}
