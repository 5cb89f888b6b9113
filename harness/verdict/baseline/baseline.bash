# shellcheck shell=bash
# baseline: what this machine did when somebody looked and accepted it, in BASELINES/PROFILE-ID/SCENARIO.json. What
# is right and complete there is a matter of stored.py; what a capture is worth, of captures.py.

# baseline_check: before anything that is judged. A baseline that is not sound, or whose scenario is gone, is invalid.
baseline_check() {
	local faults fault status=0
	faults=$(baseline_faults) || status=$?
	((status)) || return 0
	while IFS= read -r fault; do
		note "$fault"
	done <<<"$faults"
	exit "$status" # 5, unless it crashed
}

# baseline_names: the scenarios that were named, in CHOSEN; when none was, all but those with a `loss`, which are about what arrives and not
# about a rate. Named ones have to be there.
baseline_names() {
	local name
	CHOSEN=("${ARGUMENTS[@]}")
	if ((${#CHOSEN[@]} == 0)); then
		name=$(scenario_names)
		[[ -n $name ]] || die "$EXIT_USAGE" "no scenario in $SCENARIOS"
		for name in $name; do
			scenario_value loss <"$SCENARIOS/$name.conf" >/dev/null || CHOSEN+=("$name")
		done
	fi
	name=$(printf '%s\n' "${CHOSEN[@]}" | sort | uniq -d | sed -n 1p)
	[[ -z $name ]] || refuse "scenario $name stands twice"
	for name in "${CHOSEN[@]}"; do
		scenario_load "$name"
	done
}

command_baseline() {
	local what=${1:-}
	[[ $what =~ ^(capture|show|diff|accept)$ ]] || refuse "baseline takes capture, show, diff or accept"
	shift
	"baseline_$what" "$@"
}

# Round by round, each scenario in turn: what changes on the machine changes for all of them.
baseline_capture() {
	local name round dir status=0
	parse_options '--rounds' "$@"
	ROUNDS=${ROUNDS:-6}
	baseline_names
	baseline_check
	FREE_MB=200
	sitting_open baseline baseline capture "$@"
	for ((round = 1; round <= ROUNDS; round++)); do
		dir=$SITTING.partial/rounds/$(printf '%02d' "$round")
		for name in "${CHOSEN[@]}"; do
			progress "round $round of $ROUNDS: $name"
			scenario_load "$name"
			measure control "$dir/$name/control"
			measure relay "$dir/$name/relay"
		done
	done
	progress_end
	python harness.verdict.baseline.baseline capture "$SITTING.partial" "$RESULTS/baseline" || status=$?
	[[ -s $SITTING.partial/captures.json ]] || no_verdict "$status"
	sitting_keep
	say $'\n'"results: $SITTING"
	exit "$status"
}

baseline_show() {
	local profile
	parse_options '' "$@"
	((${#ARGUMENTS[@]} <= 1)) || refuse "baseline show takes the name of one scenario at most"
	((${#ARGUMENTS[@]} == 0)) || baseline_names
	programs_check
	baseline_check
	profile=$(host_profile)
	baseline_print show "$BASELINES" "$profile" "${ARGUMENTS[@]}"
}

baseline_diff() {
	local captured=() folder
	parse_options --base "$@"
	((${#ARGUMENTS[@]})) || captured=(--captured)
	folder=$(mktemp -d)
	# shellcheck disable=SC2064 # as it is now
	trap "rm -rf ${folder@Q}" EXIT
	terms_take_into "$folder"
	baseline_names
	baseline_check
	[[ -z $MARKDOWN ]] || python harness.verdict.baseline.baseline diff "$BASELINES" "$RESULTS/baseline" "${CHOSEN[@]}" \
		"${captured[@]}" --expectations "$EXPECTATIONS" --markdown >>"$MARKDOWN" 2>/dev/null || true # the same is said below
	baseline_print diff "$BASELINES" "$RESULTS/baseline" "${CHOSEN[@]}" "${captured[@]}" --expectations "$EXPECTATIONS"
}

baseline_accept() {
	local captured=()
	parse_options '--reason' "$@"
	[[ $REASON =~ [^[:space:]] ]] ||
		refuse "baseline accept needs --reason TEXT: why is this what we expect from now on?"
	((${#ARGUMENTS[@]})) || captured=(--captured)
	baseline_names
	baseline_check
	baseline_print accept "$BASELINES" "$RESULTS/baseline" "${CHOSEN[@]}" "${captured[@]}" \
		--reason="$REASON" --by="$(baseline_person)"
}

baseline_faults() {
	python harness.verdict.baseline.baseline check "$BASELINES" "$SCENARIOS" 2>&1
}

# baseline_print ARGUMENT...: baseline.py, whose exit status is ours unless it is 0; what it refuses is said as bench
# says it.
baseline_print() {
	local status=0 complaint
	{ complaint=$(python harness.verdict.baseline.baseline "$@" 2>&1 >&3) || status=$?; } 3>&1
	[[ -z $complaint ]] || die "$status" "${complaint#baseline.py: }"
	((status == 0)) || exit "$status"
}

# Who accepts: as git knows him, else as the host does.
baseline_person() {
	host_git config user.name 2>/dev/null || printf '%s' "${SUDO_USER:-$(id -un)}"
}
