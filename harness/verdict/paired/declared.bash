# shellcheck shell=bash
# declared: the scenarios that are compared: those that say so here, and all that did at BASE.

# The scenarios that say what to compare, and that it is to be compared WHEN, unless some were named.
compare_choose_scenarios() {
	local name
	if ((${#CHOSEN[@]} == 0)); then
		for name in $(scenario_names); do
			scenario_load "$name"
			[[ -z ${SCENARIO[compare]:-} || ${SCENARIO[when]:-commit} != "$WHEN" ]] || CHOSEN+=("$name")
		done
	fi
	((${#CHOSEN[@]})) || refuse "no scenario in $SCENARIOS says what to compare, of a $WHEN (keys 'compare' and 'when')"
	compare_choose_others
	for name in "${CHOSEN[@]}"; do
		scenario_load "$name"
		shape_scenario
		[[ -n ${SCENARIO[compare]:-} ]] || refuse "scenario $name does not say what to compare (key 'compare')"
	done
}

# Behind each scenario the one that it names (key 'also'): the same load at another rate.
compare_choose_others() {
	local name named=("${CHOSEN[@]}")
	CHOSEN=()
	for name in "${named[@]}"; do
		[[ " ${CHOSEN[*]} " == *" $name "* ]] || CHOSEN+=("$name")
		scenario_load "$name"
		[[ -z ${SCENARIO[also]:-} || " ${named[*]} " == *" ${SCENARIO[also]} "* ]] || CHOSEN+=("${SCENARIO[also]}")
	done
}

# Where a commit has its scenarios: where the last one has them, then where older ones had them.
readonly COMPARE_SCENARIO_PLACES=(harness/scenario/ harness/scenarios/)

# What was compared at BASE still is: a change that takes a scenario out of the comparison has not passed it. A base
# that does not tell is invalid. Scenarios from outside the tree are whoever calls's own, which no commit declares:
# the verdict says that they were not held against BASE.
compare_check_scenarios() {
	local file files text name scenarios root
	scenarios=$(realpath -m "$OWN_SCENARIOS") || die "$EXIT_INVALID" "cannot tell where $OWN_SCENARIOS is"
	root=$(realpath "$ROOT") || die "$EXIT_INVALID" "cannot tell where $ROOT is"
	if [[ $scenarios/ != "$root"/* ]]; then
		COMPARE_NOTES+=("the scenarios of $OWN_SCENARIOS are not those of the source tree: whether all that is compared at ${BASE:0:12} still is was not checked")
		note "${COMPARE_NOTES[-1]}"
		return
	fi
	files=$(compare_base_scenarios) || die "$EXIT_INCONCLUSIVE" \
		"git cannot tell which scenarios there are at ${BASE:0:12}; is the clone complete? Try: git fsck, git fetch"
	[[ -n $files ]] || die "$EXIT_INVALID" "INVALID: there is no scenario at ${BASE:0:12}, in none of" \
		"${COMPARE_SCENARIO_PLACES[*]}: what has to be compared is not known; name another BASE"
	for file in $files; do
		name=$(basename "$file" .conf)
		text=$(host_git show "$BASE:$file") || die "$EXIT_INCONCLUSIVE" \
			"git cannot read $file at ${BASE:0:12}; is the clone complete? Try: git fsck, git fetch"
		scenario_value compare <<<"$text" >/dev/null || continue
		{ scenario_value compare <"$OWN_SCENARIOS/$name.conf" >/dev/null; } 2>/dev/null || die "$EXIT_INVALID" \
			"INVALID: scenario $name is compared at ${BASE:0:12} and gone here; restore $(compare_scenario_path "$name")"
	done
}

# compare_base_scenarios: the files of the scenarios at BASE, one a line. A place that is not there is none of them.
compare_base_scenarios() {
	local listed
	listed=$(host_git ls-tree --name-only "$BASE" -- "${COMPARE_SCENARIO_PLACES[@]}") || return
	sed -n '/^[a-z0-9/-]*[.]conf$/p' <<<"$listed"
}

# compare_scenario_path NAME: of a scenario's file, as seen from the root of the tree.
compare_scenario_path() {
	realpath -m --relative-to="$ROOT" "$OWN_SCENARIOS/$1.conf"
}
