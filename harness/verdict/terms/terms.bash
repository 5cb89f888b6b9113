# shellcheck shell=bash
# terms: whose expectations a sitting is judged by, and what in it is not as the commit has it. Both are in its verdict.
# See expectations.py and terms.py.

UNOFFICIAL=()     # what is otherwise than in the scenario as committed, with the build of this commit: a line each
EXPECTATIONS=     # JSON of expectations.py; empty: what is judged by was named by whoever calls

# terms_take ARGUMENT...: SCENARIOS and BASELINES become what the base of this change has of them. Call it before a scenario is
# loaded; it takes the lock.
terms_take() {
	[[ -z ${BENCH_SCENARIOS:-}${BENCH_BASELINES:-} ]] || return 0
	sitting_lock "$@"
	terms_take_into "$STATE/expected"
}

# terms_take_into FOLDER
terms_take_into() {
	local folder=$1
	[[ -z ${BENCH_SCENARIOS:-}${BENCH_BASELINES:-} ]] || return 0
	EXPECTATIONS=$(python harness.verdict.terms.expectations take "$folder" ${BASE_ASKED:+"$BASE_ASKED"}) || exit "$?"
	SCENARIOS=$folder/scenario BASELINES=$folder/baselines
}

# terms_default OPTION VALUE DEFAULT: an option that changes what a verdict means is one of the differences.
terms_default() {
	[[ $2 == "$3" ]] || UNOFFICIAL+=("$1 $2 instead of $3")
}

# terms_differences: beside what the command itself has found.
terms_differences() {
	local key variable
	[[ $RELAY == "$BUILD/mcrelay" ]] || printf -- '--relay %s\n' "$RELAY"
	[[ $BUILD == "$ROOT/build" ]] || printf 'the programs of %s\n' "$BUILD"
	[[ $COMMIT != unknown ]] || printf 'the files are of no commit\n'
	[[ $DIRTY == false ]] || printf 'the files have changes that are in no commit\n'
	terms_flags
	for key in "${!OVERRIDES[@]}"; do
		printf '%s = %s\n' "$key" "${OVERRIDES[$key]}"
	done | sort
	for variable in BENCH_SCENARIOS BENCH_BASELINES BENCH_FAULT BENCH_CLOCK BENCH_COMPARE_SAME; do
		[[ -z ${!variable:-} ]] || printf '%s=%s\n' "$variable" "${!variable}"
	done
	((${#UNOFFICIAL[@]} == 0)) || printf '%s\n' "${UNOFFICIAL[@]}"
}

# A build with other flags is not the one of this commit.
terms_flags() {
	local flags default
	[[ $BUILD == "$ROOT/build" && -f $BUILD/flags ]] || return 0
	default="gcc $(sed -n 's/^CFLAGS *?= *//p' "$ROOT/Makefile")"
	read -r flags <"$BUILD/flags" # without the blanks at its end
	[[ $flags == "$default" ]] || printf 'built by: %s\n' "$flags"
}

# terms_save: SITTING.partial/terms.json.
terms_save() {
	local differences none='{"base": null, "unproven": null, "sha256": null, "changed": [], "new": [], "retired": []}'
	differences=$(terms_differences)
	save "$SITTING.partial/terms.json" gojq -n --arg differences "$differences" --argjson expectations "${EXPECTATIONS:-$none}" \
		'($differences | split("\n") | map(select(. != ""))) as $all
		| {schema: 1, official: ($all == []), unofficial: $all, expectations: $expectations}'
}
