# shellcheck shell=bash
# compare: two builds of the relay, made alike, run in turn on the same links in the same minutes.

declare -A COMPARED=() # base, head -> program
declare -A SOURCE=()   # base, head -> what it was built from
declare -A SHA256=()   # base, head -> of the program
declare -A BUILD_OPTIONS=() # base, head -> options besides those of the scenario
readonly COMPARE_WINDOW_MS=2000 COMPARE_CONTROL_MS=1000

# The commit that a change is compared with unless another one is named: where its branch left the main
# one; on the main branch itself, the commit before, or the last one while there are changes on top.
compare_default_base() {
	local branch base
	for branch in main master origin/main origin/master HEAD; do
		base=$(host_git rev-parse -q --verify "$branch^{commit}") && break
	done
	base=$(host_git merge-base "$base" HEAD)
	if [[ $base != "$(host_git rev-parse HEAD)" ]] || host_dirty; then
		printf '%s' "$base"
	else
		host_git rev-parse -q --verify 'HEAD~1^{commit}' || refuse "there is no commit before HEAD; name a BASE"
	fi
}

# compare_build WHO COMMIT: into COMPARED and SOURCE. A commit is built from a copy of its own, once; the
# same compiler and flags for both. (A git worktree would leave files of root in .git.)
compare_build() {
	local commit=$2 tree=$STATE/tree-$1 build=$ROOT/build/compare/$2 log=$STATE/build-$1.log
	progress "building $1, ${commit:0:12}"
	if [[ ! -x $build/mcrelay ]]; then
		mkdir "$tree"
		host_git archive "$commit" 2>"$log" | tar -x -C "$tree" ||
			die "$EXIT_INVALID" "cannot check out $commit: $(tail -1 "$log")"
		compare_make "$tree" "$build" "$log" "$1"
		rm -rf "$tree"
	fi
	COMPARED[$1]=$build/mcrelay
	SOURCE[$1]=${commit:0:12}
}

# compare_build_tree WHO: from the files as they are.
compare_build_tree() {
	local build=$ROOT/build/compare/worktree
	progress "building $1, the files as they are"
	compare_make "$ROOT" "$build" "$STATE/build-$1.log" "$1"
	COMPARED[$1]=$build/mcrelay
	SOURCE[$1]="$(host_git rev-parse --short=12 HEAD) with changes"
}

# compare_make TREE BUILD LOG WHO
compare_make() {
	local owner
	make -C "$1" BUILD="$2" "$2/mcrelay" >"$3" 2>&1 ||
		die "$EXIT_INVALID" "$4 cannot be built: $(grep -m1 -i 'error' "$3" || tail -1 "$3")"
	owner=$(stat -c %u:%g "$ROOT")
	chown -R "$owner" "$ROOT/build/compare"
}

# compare_scenario NAME: pairs until there is a verdict on this scenario, in SITTING/NAME/verdict.json.
compare_scenario() {
	local name=$1 dir=$SITTING.partial/$1 plan block number who count=0 common
	scenario_load "$name"
	common=${SCENARIO[relay_options]:-}
	compare_shape
	topology_ready
	mkdir -p "$dir"
	while true; do
		plan=$(compare_ask "$dir") || die "$EXIT_INVALID" "the pairs of $name could not be judged"
		[[ -n $plan ]] || break
		while read -r block number who; do
			compare_in_time || break 2
			compare_progress "$name" "$block" "$number" "$plan" "$count"
			((count % 2)) || measure control "$dir/$block/$number/control"
			count=$((count + 1))
			for who in $who; do
				RELAY=${COMPARED[$who]} RELAY_SHA256=${SHA256[$who]}
				SCENARIO[relay_options]="$common ${BUILD_OPTIONS[$who]}"
				measure relay "$dir/$block/$number/$who"
			done
		done <<<"$plan"
	done
	progress_end
}

# More pairs tell more than longer ones, and a control only has to show what the generator can do.
compare_shape() {
	local ms
	scenario_as_compared
	((SCENARIO[window_ms] <= COMPARE_WINDOW_MS)) || SCENARIO[window_ms]=$COMPARE_WINDOW_MS
	ms=${SCENARIO[control_window_ms]:-${SCENARIO[window_ms]}}
	SCENARIO[control_window_ms]=$((ms <= COMPARE_CONTROL_MS ? ms : COMPARE_CONTROL_MS))
}

compare_ask() {
	"$HARNESS/compare.py" ask "$1" --metric "${SCENARIO[compare]}" \
		--base "${SHA256[base]}" --head "${SHA256[head]}"
}

compare_in_time() {
	local tenths=${BUDGET/./}
	[[ $BUDGET == *.* ]] || tenths+=0
	[[ -z $BUDGET ]] || ((SECONDS - COMPARE_BEGUN < 10#$tenths * 6))
}

# compare_progress SCENARIO BLOCK NUMBER PLAN PAIRS-SO-FAR: what the pairs so far took, the next ones will take.
compare_progress() {
	local last pair_ms=8000
	last=$(tail -1 <<<"$4")
	last=${last#* } last=${last%% *}
	(($5 == 0)) || pair_ms=$(((SECONDS - COMPARE_BEGUN) * 1000 / $5))
	progress "$1: $2 block, pair $3 of $last for the next look, $(seconds $(((10#$last - 10#$3 + 1) * pair_ms / 1000 * 1000))) to go"
}

command_compare() {
	local status=0 name asked=()
	parse_options '--scenario --budget --builds --base-options --head-options' "$@"
	baseline_check
	compare_choose_scenarios
	compare_find_base
	FREE_MB=200
	sitting_open compare compare "$@"
	compare_programs
	for name in base head; do
		SHA256[$name]=$(sut_sha256 "${COMPARED[$name]}")
		SOURCE[$name]+=${BUILD_OPTIONS[$name]:+ with ${BUILD_OPTIONS[$name]}}
	done
	for name in "${CHOSEN[@]}"; do
		COMPARE_BEGUN=$SECONDS
		compare_scenario "$name"
	done
	for name in "${CHOSEN[@]}"; do
		asked+=(--scenario "$name")
	done
	"$HARNESS/compare.py" finish "$SITTING.partial" --base "${SOURCE[base]}" --head "${SOURCE[head]}" \
		"${asked[@]}" --waivers "$BASELINES/waivers.json" || status=$?
	[[ -s $SITTING.partial/compare.json ]] || die "$EXIT_INVALID" "no verdict was reached"
	sitting_keep
	compare_summarize "$SITTING/compare.md"
	say $'\n'"results: $SITTING"
	exit "$status"
}

# compare_summarize FILE: to --markdown and to the job's summary, once should both be the same file.
compare_summarize() {
	local summary
	while IFS= read -r summary; do
		[[ -z $summary ]] || cat "$1" >>"$summary" || note "could not write $summary"
	done < <(printf '%s\n' "$MARKDOWN" "${GITHUB_STEP_SUMMARY:-}" | sort -u)
}

# The scenarios that say what to compare, unless some were named.
compare_choose_scenarios() {
	local name
	if ((${#CHOSEN[@]} == 0)); then
		for name in $(scenario_names); do
			scenario_load "$name"
			[[ -z ${SCENARIO[compare]:-} ]] || CHOSEN+=("$name")
		done
	fi
	((${#CHOSEN[@]})) || refuse "no scenario in $SCENARIOS says what to compare (key 'compare')"
	for name in "${CHOSEN[@]}"; do
		scenario_load "$name"
		[[ -n ${SCENARIO[compare]:-} ]] || refuse "scenario $name does not say what to compare (key 'compare')"
	done
}

# The commit to compare with, in BASE; none with --builds.
compare_find_base() {
	BASE=
	if ((${#BUILDS[@]})); then
		((${#ARGUMENTS[@]} == 0)) || refuse "a commit and --builds exclude each other"
		return
	fi
	((${#ARGUMENTS[@]} <= 1)) || refuse "compare takes one commit at most"
	BASE=${ARGUMENTS[0]:-$(compare_default_base)}
	BASE=$(host_git rev-parse -q --verify "$BASE^{commit}") || refuse "no commit '${ARGUMENTS[0]:-HEAD}'"
	[[ -n ${BENCH_SCENARIOS:-} ]] || compare_check_scenarios
}

# What was compared at BASE still is: a change that takes a scenario out of the comparison has not passed it.
compare_check_scenarios() {
	local file
	while IFS= read -r file; do
		[[ $file == *.conf ]] || continue
		host_git show "$BASE:$file" | grep '^compare *=' >/dev/null || continue # to its end: no broken pipe
		grep -qs '^compare *=' "$SCENARIOS/${file##*/}" || die "$EXIT_INVALID" \
			"INVALID: scenario $(basename "$file" .conf) is compared at ${BASE:0:12} and gone here; restore $file"
	done < <(host_git ls-tree --name-only "$BASE" harness/scenarios/)
}

# What is compared, built where it has to be.
compare_programs() {
	local who
	if ((${#BUILDS[@]})); then
		for who in base head; do
			SOURCE[$who]=${BUILDS[$([[ $who == base ]] && echo 0 || echo 1)]}
			COMPARED[$who]=$(readlink -e "${SOURCE[$who]}") || refuse "--builds: no file '${SOURCE[$who]}'"
			[[ -x ${COMPARED[$who]} ]] || refuse "--builds: '${SOURCE[$who]}' is not a program"
		done
		return
	fi
	compare_build base "$BASE"
	if host_dirty; then
		compare_build_tree head
	else
		compare_build head "$(host_git rev-parse HEAD)"
	fi
	progress_end
}

# The same program again and again: what `harness/power` replays.
command_noise() {
	local runs number
	parse_options '--relay-options' "$@"
	[[ ${#ARGUMENTS[@]} == 2 && ${ARGUMENTS[1]} =~ ^([2-9]|[1-9][0-9]{1,3})$ ]] ||
		refuse "noise takes the name of a scenario and a number of runs from 2 to 9999"
	runs=${ARGUMENTS[1]}
	FREE_MB=500
	sitting_begin "${ARGUMENTS[0]}" noise "$@"
	[[ -n ${SCENARIO[compare]:-} ]] || refuse "scenario ${SCENARIO[name]} does not say what to compare (key 'compare')"
	compare_shape
	for ((number = 1; number <= runs; number++)); do
		progress "${SCENARIO[name]}: run $number of $runs"
		# as often as compare does: beside every second pair
		((number % 4 != 1)) || measure control "$SITTING.partial/runs/$(printf '%04d' "$number")/control"
		measure relay "$SITTING.partial/runs/$(printf '%04d' "$number")/relay"
		find "$SITTING.partial/runs" -name raw -prune -exec rm -r {} +
	done
	progress_end
	"$HARNESS/compare.py" noise "$SITTING.partial" --metric "${SCENARIO[compare]}"
	sitting_keep
	say "noise: $SITTING/noise.json"
}
