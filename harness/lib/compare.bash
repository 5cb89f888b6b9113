# shellcheck shell=bash
# compare: two builds of the relay, made alike, run in turn on the same links in the same minutes.

declare -A COMPARED=() # base, head -> program
declare -A SOURCE=()   # base, head -> what it was built from
declare -A SHA256=()   # base, head -> of the program
declare -A BUILD_OPTIONS=() # base, head -> options besides those of the scenario
COMPARE_NOTES=()            # what the verdict has to say about how it came to be
readonly COMPARE_WINDOW_MS=2000 COMPARE_CONTROL_MS=1000

# The commit that a change is compared with unless another one is named: where its branch left the main
# one, as others have it, if a remote is known: commits that were not pushed are one change. On the main branch
# itself, the commit before, or the last one while there are changes on top.
compare_default_base() {
	local branch base
	for branch in origin/main origin/master main master HEAD; do
		base=$(host_git rev-parse -q --verify "$branch^{commit}") && break
	done
	base=$(host_git merge-base "$base" HEAD)
	if [[ $base != "$(host_git rev-parse HEAD)" ]] || host_dirty; then
		printf '%s' "$base"
	else
		host_git rev-parse -q --verify 'HEAD~1^{commit}' || refuse "there is no commit before HEAD; name a BASE"
	fi
}

# compare_build WHO COMMIT: into COMPARED and SOURCE. A commit is built from a copy of its own, once for each
# toolchain; the same compiler and flags for both. (A git worktree would leave files of root in .git.)
compare_build() {
	local commit=$2 tree=$STATE/tree-$1 build log=$STATE/build-$1.log
	build=$ROOT/build/compare/$(compare_toolchain)/$commit
	progress "building $1, ${commit:0:12}"
	if [[ ! -x $build/mcrelay ]]; then
		mkdir "$tree"
		rm -rf "$build.partial"
		host_git archive "$commit" 2>"$log" | tar -x -C "$tree" ||
			die "$EXIT_INVALID" "cannot check out $commit: $(tail -1 "$log")"
		compare_make "$tree" "$build.partial" "$log" "$1"
		mv -T "$build.partial" "$build"
		rm -rf "$tree"
	fi
	COMPARED[$1]=$build/mcrelay
	SOURCE[$1]=${commit:0:12}
}

# What a build depends on besides its sources, in short: a program made by another compiler, or for other flags, is
# another program.
compare_toolchain() {
	{
		gcc -v 2>&1
		dpkg-query -W -f '${Package} ${Version}\n' 'lib*-dev' 2>/dev/null || true
		printf '%s\n' "${CFLAGS:-}" "${LDFLAGS:-}" "${SANITIZE:-}"
	} | sha256sum | cut -c1-12
}

# compare_build_tree WHO: from the files as they are.
compare_build_tree() {
	local build
	build=$ROOT/build/compare/$(compare_toolchain)/worktree
	progress "building $1, the files as they are"
	compare_make "$ROOT" "$build" "$STATE/build-$1.log" "$1"
	COMPARED[$1]=$build/mcrelay
	SOURCE[$1]="$(host_git rev-parse --short=12 HEAD) with changes"
}

# compare_make TREE BUILD LOG WHO
compare_make() {
	compare_run_make "$1" "$2" "$2/mcrelay" >"$3" 2>&1 ||
		die "$EXIT_INVALID" "$4 cannot be built: $(grep -m1 -iE 'error|\*\*\*' "$3" || tail -1 "$3")"
}

# What measures the builds is made, too, when it has to be. Programs elsewhere are taken as they are.
compare_make_generator() {
	local said
	[[ $BUILD == "$ROOT/build" ]] || return 0
	[[ ! -x $RELAY || ! -x $BUILD/trafficgen ]] || ! programs_fresh || return 0
	progress "building the generator"
	said=$(compare_run_make "$ROOT" build build/trafficgen build/mcrelay 2>&1) || die "$EXIT_INVALID" \
		"the generator cannot be built: $(grep -m1 -iE 'error|\*\*\*' <<<"$said" || tail -1 <<<"$said")"
}

# compare_run_make TREE BUILD TARGET...: what is built belongs to whom the files belong to.
compare_run_make() {
	local owner status=0
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$1" -j"$(nproc)" BUILD="$2" "${@:3}" || status=$?
	owner=$(stat -c %u:%g "$ROOT")
	[[ ! -d $ROOT/build ]] || chown -Rh "$owner" "$ROOT/build"
	return "$status"
}

# compare_scenario NAME: pairs until there is a verdict on this scenario, in SITTING/NAME/verdict.json.
compare_scenario() {
	local name=$1 dir=$SITTING.partial/$1 plan block number who count=0
	scenario_load "$name"
	COMPARE_COMMON=${SCENARIO[relay_options]:-}
	compare_shape
	topology_ready
	mkdir -p "$dir"
	while true; do
		plan=$(compare_ask "$dir") || die "$EXIT_INVALID" "the pairs of $name could not be judged"
		[[ -n $plan ]] || break
		while read -r block number who; do
			if ! compare_in_time; then
				compare_ask "$dir" >/dev/null || true # the pairs since the last look are kept, too
				break 2
			fi
			compare_progress "$name" "$block" "$number" "$plan" "$count"
			((count % 2)) || measure control "$dir/$block/$number/control"
			count=$((count + 1))
			COMPARE_PAIR=$dir/$block/$number
			# shellcheck disable=SC2086 # two words
			if [[ ${SCENARIO[twin]:-no} == yes ]]; then
				twins_measure compare_run $who
			else
				for who in $who; do
					compare_run "$who"
				done
			fi
			compare_pair_valid || break # which the next look says
		done <<<"$plan"
	done
	progress_end
}

# A run that does not count makes the whole comparison invalid; more of them would not change that.
compare_pair_valid() {
	jq -es 'all(.valid)' "$COMPARE_PAIR"/*/result.json >/dev/null
}

# compare_run base|head: one run of COMPARE_PAIR.
compare_run() {
	RELAY=${COMPARED[$1]} RELAY_SHA256=${SHA256[$1]}
	SCENARIO[relay_options]="$COMPARE_COMMON ${BUILD_OPTIONS[$1]}"
	measure relay "$COMPARE_PAIR/$1"
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
	compare_find_commits
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
	for name in "${COMPARE_NOTES[@]}"; do
		asked+=(--note "$name")
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

# The commits to compare, in BASE and HEAD; no BASE with --builds, no HEAD for the files as they are.
compare_find_commits() {
	BASE='' HEAD=''
	if ((${#BUILDS[@]})); then
		((${#ARGUMENTS[@]} == 0)) || refuse "a commit and --builds exclude each other"
		return
	fi
	((${#ARGUMENTS[@]} <= 2)) || refuse "compare takes two commits at most"
	BASE=${ARGUMENTS[0]:-$(compare_default_base)}
	BASE=$(host_git rev-parse -q --verify "$BASE^{commit}") || refuse "no commit '${ARGUMENTS[0]:-HEAD}'"
	if ((${#ARGUMENTS[@]} == 2)); then
		HEAD=$(host_git rev-parse -q --verify "${ARGUMENTS[1]}^{commit}") || refuse "no commit '${ARGUMENTS[1]}'"
	elif ! host_dirty; then
		HEAD=$(host_git rev-parse -q --verify 'HEAD^{commit}')
	fi
	[[ $BASE != "$HEAD" ]] || refuse "base and head are both ${BASE:0:12}, which is no change; name an older commit"
	compare_check_scenarios
}

# Where a commit has its scenarios: where the last one has them, then where older ones had them.
readonly COMPARE_SCENARIO_PLACES=(harness/scenario/ harness/scenarios/)

# What was compared at BASE still is: a change that takes a scenario out of the comparison has not passed it. A base
# that does not tell is invalid. Scenarios from outside the tree are whoever calls's own, which no commit declares:
# the verdict says that they were not held against BASE.
compare_check_scenarios() {
	local file files text name scenarios root
	scenarios=$(realpath -m "$SCENARIOS") || die "$EXIT_INVALID" "cannot tell where $SCENARIOS is"
	root=$(realpath "$ROOT") || die "$EXIT_INVALID" "cannot tell where $ROOT is"
	if [[ $scenarios/ != "$root"/* ]]; then
		COMPARE_NOTES+=("the scenarios of $SCENARIOS are not those of the source tree: whether all that is compared at ${BASE:0:12} still is was not checked")
		note "${COMPARE_NOTES[-1]}"
		return
	fi
	files=$(compare_base_scenarios) || die "$EXIT_INVALID" \
		"INVALID: git cannot tell which scenarios there are at ${BASE:0:12}; is the clone complete?"
	[[ -n $files ]] || die "$EXIT_INVALID" "INVALID: there is no scenario at ${BASE:0:12}, in none of" \
		"${COMPARE_SCENARIO_PLACES[*]}: what has to be compared is not known; name another BASE"
	for file in $files; do
		name=$(basename "$file" .conf)
		text=$(host_git show "$BASE:$file") || die "$EXIT_INVALID" "INVALID: git cannot read $file at ${BASE:0:12}"
		grep -q '^compare *=' <<<"$text" || continue
		grep -qs '^compare *=' "$SCENARIOS/$name.conf" || die "$EXIT_INVALID" \
			"INVALID: scenario $name is compared at ${BASE:0:12} and gone here; restore $(compare_scenario_path "$name")"
		[[ $text == "$(<"$SCENARIOS/$name.conf")" ]] ||
			note "scenario $name is another one than at ${BASE:0:12}; both builds are measured as it is now"
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
	realpath -m --relative-to="$ROOT" "$SCENARIOS/$1.conf"
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
	if [[ -n $HEAD ]]; then
		compare_build head "$HEAD"
	else
		compare_build_tree head
	fi
	progress_end
}

noise_run() {
	measure relay "$SITTING.partial/runs/$(printf '%04d' "$1")/relay"
}

# The same program again and again, in pairs as compare has them: what `harness/power` replays.
command_noise() {
	local runs number
	parse_options '--relay-options' "$@"
	[[ ${#ARGUMENTS[@]} == 2 && ${ARGUMENTS[1]} =~ ^([2468]|[1-9][0-9]{0,2}[02468])$ ]] ||
		refuse "noise takes the name of a scenario and an even number of runs from 2 to 9998"
	runs=${ARGUMENTS[1]}
	FREE_MB=500
	sitting_begin "${ARGUMENTS[0]}" noise "$@"
	[[ -n ${SCENARIO[compare]:-} ]] || refuse "scenario ${SCENARIO[name]} does not say what to compare (key 'compare')"
	compare_shape
	for ((number = 1; number <= runs; number += 2)); do
		progress "${SCENARIO[name]}: runs $number and $((number + 1)) of $runs"
		# as often as compare does: beside every second pair
		((number % 4 != 1)) || measure control "$SITTING.partial/runs/$(printf '%04d' "$number")/control"
		if [[ ${SCENARIO[twin]:-no} == yes ]]; then
			twins_measure noise_run "$number" "$((number + 1))"
		else
			noise_run "$number"
			noise_run "$((number + 1))"
		fi
		find "$SITTING.partial/runs" -name raw -prune -exec rm -r {} +
	done
	progress_end
	"$HARNESS/compare.py" noise "$SITTING.partial" --metric "${SCENARIO[compare]}"
	sitting_keep
	say "noise: $SITTING/noise.json"
}
