#!/usr/bin/env bats
# bench compare, budget, profile and noise: what they need, what they refuse, what they leave behind. Whether their
# verdicts are right is a matter of test_compare.py, test_paired.py and test_budget.py, which need no traffic.

load ../lib/bench

# paired [KEY=VALUE]...: a scenario that is compared.
paired() {
	scenario paired compare=cpu_ns_per_packet compare_window_ms=200000 "$@"
}

refused() {
	run --separate-stderr "$BENCH" "$@"
	assert_failure 64
	assert_output ''
}

need_perf() {
	need_root
	perf --version >/dev/null 2>&1 || skip "needs perf"
}

@test "compare: what it cannot understand" {
	paired
	refused compare --budget soon
	assert_said "--budget: 'soon' is not a number of minutes such as 5 or 0.5"
	refused compare --scenario nowhere
	assert_said "no scenario 'nowhere'"
	refused compare --scenario short
	assert_said "scenario short does not say what to compare"
	refused compare --builds one
	assert_said '--builds needs two files'
	sed -i '/^compare = /d' "$BENCH_SCENARIOS/paired.conf"
	refused compare
	assert_said "no scenario in .* says what to compare, of a commit"
	paired
	refused compare --rounds 3
	assert_said "this command does not take '--rounds'"
	need_root
	refused compare no-such-commit --results "$RESULTS"
	assert_said "no commit 'no-such-commit'"
	refused compare HEAD no-such-commit --results "$RESULTS"
	assert_said "no commit 'no-such-commit'"
	refused compare HEAD HEAD HEAD --results "$RESULTS"
	assert_said 'compare takes two commits at most'
	refused compare --builds "$WORK/nothing" "$PROGRAMS/mcrelay" --results "$RESULTS"
	assert_said "--builds: no file '$WORK/nothing'"
	refused compare --builds "$PROGRAMS" "$PROGRAMS/mcrelay" --results "$RESULTS"
	assert_said "--builds: '$PROGRAMS' is not a program"
	refused compare HEAD --builds "$PROGRAMS/mcrelay" "$PROGRAMS/mcrelay" --results "$RESULTS"
	assert_said 'a commit and --builds exclude each other'
}

@test "compare: a build that does not run is invalid" {
	need_root
	paired
	run --separate-stderr "$BENCH" compare --builds "$PROGRAMS/mcrelay" "$(type -P true)" --results "$RESULTS"
	assert_failure 5
	[[ $stderr == *'the relay of r1 did not'* ]]
}

# sourced SCRIPT: with the functions of compare, in a shell as bench's.
sourced() {
	run --separate-stderr bash -c 'set -Eeuo pipefail
		HARNESS=$1 WORK=$2
		source "$HARNESS/host/common.bash"
		source "$HARNESS/verdict/paired/compare.bash"
		declare -A COMPARED=([base]=one [head]=other) LEFT_OUT=()
		scenario_override_all() { :; }
		'"$1" - "$HARNESS" "$WORK"
}

@test "compare: the table goes to --markdown and to the summary of the job, once if they are the same" {
	sourced '
		echo table >"$WORK/compare.md"
		echo "# mine" >"$WORK/job summary"
		MARKDOWN="$WORK/job summary" GITHUB_STEP_SUMMARY="$WORK/job summary"
		compare_summarize "$WORK/compare.md"
		MARKDOWN=$WORK/other
		compare_summarize "$WORK/compare.md"
		unset GITHUB_STEP_SUMMARY
		MARKDOWN=
		compare_summarize "$WORK/compare.md"
		MARKDOWN=$WORK
		compare_summarize "$WORK/compare.md" 2>/dev/null'
	assert_success
	assert_equal "$(cat "$WORK/job summary")" $'# mine\ntable\ntable'
	assert_equal "$(cat "$WORK/other")" table
}

# commit FOLDER NUMBER: a commit whose relay is told from another one's by its last byte.
commit() {
	export MADE_RELAY=$PROGRAMS/mcrelay MADE_GENERATOR=$BUILD/trafficgen
	printf '%s\n' '$(BUILD)/mcrelay: Makefile' \
		"	mkdir -p \$(@D) && cp \"\$\$MADE_RELAY\" \$@ && printf $2 >>\$@" '$(BUILD)/trafficgen:' \
		'	mkdir -p $(@D) && cp "$$MADE_GENERATOR" $@' >"$1/Makefile"
	git -C "$1" add .
	git -C "$1" -c user.name=test -c user.email=test@localhost commit -qm "$2"
}

measure_copy() {
	# shellcheck disable=SC2030,SC2031 # for this test
	BENCH=$copy/harness/bench measure compare "$@"
}

# assert_compared BASE HEAD: which commits' relays ran in the first pair.
assert_compared() {
	assert_equal "$(gojq -r .sut.sha256 "$RESULTS"/compare/*/paired/first/01/{base,head}/result.json)" "$(for last in "$@"; do
		{ cat "$PROGRAMS/mcrelay" && printf '%s' "$last"; } | sha256sum | cut -d' ' -f1
	done)"
	rm -r "$RESULTS"
}

@test "compare: in a fresh clone it builds base, head, and what measures them" {
	need_root
	local copy="$WORK/it's a \"copy\": #1 of \$HOME = 100% [x] *"
	paired
	mkdir "$copy"
	cp -r "$HARNESS" "$ROOT/baselines" "$ROOT/.gitignore" "$copy"
	git -C "$copy" init -q
	commit "$copy" 1
	commit "$copy" 2
	unset BUILD
	with_clock
	measure_copy --budget 0.1
	assert_equal "$status" 4 # one pair tells nothing
	# these scenarios are the test's own: the verdict says that they were not held against those of the base
	assert_equal "$(gojq '[.scenarios.paired.reasons[] | select(contains("are not those of the source tree"))] | length' \
		"$RESULTS"/compare/*/compare.json)" 1
	assert_compared 1 2
	# the base is there already; a change that is not committed is another head
	sed -i 's/printf 2/printf 3/' "$copy/Makefile"
	with_clock
	measure_copy --budget 0.1
	assert_equal "$status" 4
	assert_compared 2 3
	# what does not build is no verdict
	rm "$copy/build/trafficgen"
	printf '\tfalse\n' >>"$copy/Makefile"
	measure_copy
	assert_equal "$status" 5
	[[ $stderr == *'the generator cannot be built: '*'Error 1' ]]
	printf 'mcrelay\n' >"$copy/Makefile"
	measure_copy
	assert_equal "$status" 5
	[[ $stderr == *'head cannot be built: '*'missing separator'* ]]
}

# base_copy: the harness in a git of its own, whose first commit is the base; in `copy`, `name` is one of its scenarios that
# are compared.
base_copy() {
	copy=$WORK/copy
	mkdir "$copy"
	cp -r "$HARNESS" "$ROOT/baselines" "$copy"
	rm -rf "$copy"/baselines/*/
	unset BENCH_SCENARIOS BENCH_BASELINES
	git -C "$copy" init -q
	commit_copy one
	name=$(cd "$copy/harness/scenario" && grep -l '^compare *=' -- *.conf | head -1)
}

commit_copy() {
	commit_in "$copy" "$1"
}

# commit_in FOLDER MESSAGE
commit_in() {
	git -C "$1" add -A .
	git -C "$1" -c user.name=test -c user.email=test@localhost commit -qm "$2"
}

# invalid BASE MESSAGE: compare says it, whatever it would have measured, and leaves nothing.
invalid() {
	run --separate-stderr "$copy/harness/bench" compare "$1" --results "$RESULTS"
	assert_failure 5
	assert_output ''
	assert_said "^bench: INVALID: $2$"
	assert_nothing_left
}

@test "compare: a scenario that was compared at BASE and is gone is invalid" {
	local copy name change
	base_copy
	for change in rm 'sed -i /^compare/d'; do
		git -C "$copy" checkout -q .
		$change "$copy/harness/scenario/$name"
		invalid HEAD "scenario ${name%.conf} is compared at [0-9a-f]{12} and gone here; restore harness/scenario/$name"
	done
}

@test "compare: BENCH_SCENARIOS does not take a scenario of BASE out, from within the tree" {
	local copy name
	base_copy
	cp -r "$copy/harness/scenario" "$copy/own"
	rm "$copy/own/$name"
	BENCH_SCENARIOS=$copy/own invalid HEAD "scenario ${name%.conf} is compared at [0-9a-f]{12} and gone here; restore own/$name"
	ln -s "$copy/own" "$WORK/link"
	BENCH_SCENARIOS=$WORK/link invalid HEAD "scenario ${name%.conf} is compared at [0-9a-f]{12} and gone here; restore own/$name"
}

@test "compare: a scenario that was compared where older commits have them" {
	local copy name
	base_copy
	mkdir "$copy/harness/scenarios"
	mv "$copy"/harness/scenario/*.conf "$copy/harness/scenarios"
	commit_copy old
	mv "$copy"/harness/scenarios/*.conf "$copy/harness/scenario"
	rm "$copy/harness/scenario/$name"
	commit_copy new
	invalid HEAD~1 "scenario ${name%.conf} is compared at [0-9a-f]{12} and gone here; restore harness/scenario/$name"
}

@test "compare: a BASE that does not tell what is compared is invalid" {
	local copy name
	base_copy
	git -C "$copy" rm -rq --cached harness/scenario
	git -C "$copy" -c user.name=test -c user.email=test@localhost commit -qm 'no scenarios'
	invalid HEAD 'there is no scenario at [0-9a-f]{12}, in none of .*; name another BASE'
	# a tree or a file that git does not have, as in a clone that is not complete
	local base
	base=$(git -C "$copy" rev-parse HEAD~1)
	rm_object "$base:harness/scenario/$name"
	copy_says "$base" "git cannot read harness/scenario/$name at ${base:0:12}"
	rm_object "$base:harness"
	copy_says "$base" "git cannot tell which scenarios there are at ${base:0:12}; is the clone complete\?"
}

# refuses STATUS MESSAGE ARGUMENT...: the copy's compare, before anything is measured.
refuses() {
	run --separate-stderr "$copy/harness/bench" compare "${@:3}" --results "$RESULTS"
	assert_failure "$1"
	assert_output ''
	assert_said "^bench: $2"
	assert_nothing_left
}

@test "compare: a clone without the history says so, and how to get it" {
	local copy name full=$WORK/full
	local shallow='this clone is shallow, .* is not among the commits .*; run: git fetch --unshallow \(.*fetch-depth: 0\)$'
	base_copy
	touch "$copy/harness/new"
	commit_copy two
	mv "$copy" "$full"
	git -C "$full" checkout -qb feature
	git clone -q --depth 1 "file://$full" "$copy"
	refuses 4 "$shallow"
	refuses 4 "$shallow" HEAD~1
	refuses 4 "$shallow" "$(git -C "$full" rev-parse HEAD~1)"
	refuses 4 "$shallow" HEAD no-such-tag
	run --separate-stderr "$copy/harness/bench" bisect HEAD~1 HEAD
	assert_failure 4
	assert_said "^bench: bisect: $shallow"
	# what is there is compared
	refuses 64 'base and head are both' HEAD HEAD
	# the branch and the main one, without the commit where they parted
	git -C "$full" checkout -q --orphan other
	commit_in "$full" other
	git clone -q --depth 1 --branch other "file://$full" "$WORK/clone"
	git -C "$WORK/clone" fetch -q --depth 1 origin feature:refs/remotes/origin/main
	copy=$WORK/clone refuses 4 "this clone is shallow, and where HEAD left origin/main"
	git -C "$WORK/clone" fetch -q --unshallow
	copy=$WORK/clone refuses 4 'HEAD and origin/main have no commit in common; name a BASE$'
}

@test "compare: a base that a force-push has removed, a branch that was not fetched: what to fetch" {
	local copy name hash=0123456789abcdef0123456789abcdef01234567
	base_copy
	refuses 4 "this clone has no commit $hash: .*force-push.*; run: git fetch REMOTE $hash, or name another" "$hash"
	git -C "$copy" remote add origin "$WORK/nowhere"
	refuses 4 "this clone has no commit .*; run: git fetch origin HASH .all 40 digits of it., or name .*: git merge-base HEAD origin/main$" HEAD "${hash:0:12}"
	refuses 4 "this clone has no branch 'origin/side'; run: git fetch origin side:refs/remotes/origin/side$" origin/side
	refuses 64 "no commit 'side'; see 'harness/bench help'$" side
	refuses 4 'there is no commit before HEAD; name a BASE$'
}

@test "compare: a tree without git is none of a repository around it" {
	local copy name
	base_copy
	rm -rf "$copy/.git"
	git -C "$WORK" init -q
	commit_in "$WORK" around
	refuses 4 "$copy is no git repository, and has no commits to compare; clone it, or .*--builds BASE HEAD$"
	refuses 4 "$copy is no git repository" HEAD
}

@test "compare: a worktree whose repository is gone says so" {
	local copy name
	base_copy
	mv "$copy" "$WORK/repository"
	git -C "$WORK/repository" worktree add -q --detach "$copy"
	rm -rf "$WORK/repository"
	refuses 4 "$copy is a worktree of a repository that is gone: there is no $WORK/repository/.git/worktrees/.*; restore it" HEAD
	refuses 4 "$copy is a worktree of a repository that is gone"
}

# rm_object NAME: from the copy's git.
rm_object() {
	local hash
	hash=$(git -C "$copy" rev-parse "$1")
	rm -f "$copy/.git/objects/${hash:0:2}/${hash:2}"
}

# copy_says BASE MESSAGE: and git complains, too.
copy_says() {
	run --separate-stderr "$copy/harness/bench" compare "$1" --results "$RESULTS"
	assert_failure 4
	assert_among_said "bench: $2"
	assert_nothing_left
}

@test "compare: ends before the first pair with a run that does not count" {
	need_root
	paired
	printf '#!/bin/bash\nexec %q "$@"\n' "$PROGRAMS/mcrelay" >"$WORK/another"
	chmod +x "$WORK/another"
	measure compare --builds "$PROGRAMS/mcrelay" "$WORK/another"
	assert_equal "$status" 5
	assert_output --partial 'verified run of head: r1: the binary that ran'
	assert_equal "$(gojq .scenarios.paired.pairs "$RESULTS"/compare/*/compare.json)" 0
}

# What compare_scenario calls, but for what asks for pairs: each step says so, and for which scenario it is.
readonly STEPS='
	declare -A SCENARIO=() SHA256=([base]=1 [head]=2)
	SITTING=$WORK/sitting BUDGET= COMPARE_BEGUN=0
	scenario_load() { SCENARIO=([name]=$1 [window_ms]=100 [compare]=cpu_ns_per_packet); }
	scenario_as_compared() { :; }
	shape_scenario() { :; }
	topology_ready() { :; }
	compare_as() { :; }
	verify_measure() { echo "${SCENARIO[name]}: verified ${1##*/}"; }
	measure() { echo "${SCENARIO[name]}: control ${2##*/first/}"; }
	compare_copy() { :; }
	compare_run() { echo "${SCENARIO[name]}: $1 ${COMPARE_PAIR##*/}"; }
	compare_pair_valid() { :; }
'

@test "compare: pairs that cannot be judged end it, and are not passed over" {
	local ends
	for ends in 5 1; do
		sourced "$STEPS"'
			compare_ask() { return '$ends'; }
			compare_scenario paired
			echo "went on"'
		assert_failure "$ends"
		refute_output --partial 'went on'
		assert_said 'the pairs of paired could not be judged.*'
	done
	assert_said '.*: what was to judge it crashed .exit 1.'
}

@test "compare: after a pair that does not count it measures no other, and asks" {
	sourced "$STEPS"'
		compare_pair_valid() { return 1; }
		compare_ask() {
			echo x >>"$WORK/asked"
			(($(wc -l <"$WORK/asked") > 1)) || printf "first 01 base head\nfirst 02 head base\n"
		}
		compare_scenario paired 2>/dev/null'
	assert_success
	assert_output 'paired: verified base
paired: verified head
paired: control 01/control
paired: base 01
paired: head 01'
	assert_equal "$(wc -l <"$WORK/asked")" 2
}

# ran KEY WHO...: of the runs of pair NN, PAIR/WHO/result.json of each.
ran() {
	local which key=$1
	for which in "${@:2}"; do
		gojq -r "$key" "$folder/paired/first/$which/result.json"
	done
}

@test "compare: two builds in turn, each the one that was named, until the time is over" {
	need_root
	local folder base head
	paired
	cp "$PROGRAMS/mcrelay" "$WORK/copy"
	printf 'x' >>"$WORK/copy" # another program, which does the same
	base=$(sha256sum <"$PROGRAMS/mcrelay") head=$(sha256sum <"$WORK/copy")
	base=${base%% *} head=${head%% *}
	export GITHUB_STEP_SUMMARY="$WORK/job summary"
	printf '# mine\n' >"$GITHUB_STEP_SUMMARY"
	with_clock # a control and two runs are 18 s: the second pair begins in time, the third one does not
	run --separate-stderr "$BENCH" compare --builds "$PROGRAMS/mcrelay" "$WORK/copy" \
		--budget 0.4 --results "$RESULTS" --markdown "$WORK/summary"
	assert_failure 4
	folder=$(echo "$RESULTS"/compare/*)
	assert_schema compare "$folder/compare.json"
	run gojq -r '.verdict, (.scenarios.paired | .pairs, (.blocks_raw.first | map(.pair) | join(" ")), .builds.base, .builds.head,
		.reasons[0], .reasons[-1])' "$folder/compare.json"
	assert_output "INCONCLUSIVE
2
01 02
$base
$head
the time that --budget gave is over
how much time had passed was told by $WORK/clock"
	assert_equal "$(ran .sut.sha256 01/base 02/base 01/head 02/head)" "$base
$base
$head
$head"
	# fresh copies, of which none is left
	assert_equal "$(gojq -r .sut.path "$folder"/paired/first/{01/base,02/head}/raw/run.json)" \
		"$folder.partial/programs/base"$'\n'"$folder.partial/programs/head"
	[[ ! -e $folder/programs ]]
	# base head head base
	assert_equal "$(ran .window_ns[0] 01/base 01/head 02/head 02/base)" \
		"$(ran .window_ns[0] 01/base 01/head 02/head 02/base | sort -n)"
	[[ -e $folder/paired/first/01/control/result.json && ! -e $folder/paired/first/02/control ]]
	cmp "$folder/compare.md" "$WORK/summary"
	grep -q 'head against base' "$WORK/summary"
	assert_equal "$(cat "$GITHUB_STEP_SUMMARY")" $'# mine\n'"$(cat "$WORK/summary")"
}

@test "compare: each pair has copies of its own, made in the order of its runs" {
	sourced '
		SITTING=$WORK/sitting
		declare -A COMPARED=([base]="$WORK/old one" [head]=$WORK/new)
		mkdir "$SITTING.partial"
		echo 1 >"$WORK/old one"
		echo 2 >"$WORK/new"
		chmod +x "$WORK"/{old*,new}
		cp() {
			echo "${*: -1}" | sed "s|.*sitting||"
			command cp "$@"
		}
		compare_copy base head
		exec {kept}<"${COPIED[base]}" # as a program that runs: its file stays
		compare_copy head base
		cat "${COPIED[base]}" "${COPIED[head]}" - <&"$kept"
		[[ ! /dev/fd/$kept -ef ${COPIED[base]} ]] && echo fresh'
	assert_success
	assert_output '.partial/programs/base
.partial/programs/head
.partial/programs/head
.partial/programs/base
1
2
1
fresh'
}

@test "compare: a folder of results in which no program can run" {
	need_root
	paired
	mkdir -p "$RESULTS"
	mount -t tmpfs -o noexec,size=300m tmpfs "$RESULTS"
	MOUNTED+=("$RESULTS")
	measure compare --builds "$PROGRAMS/mcrelay" "$PROGRAMS/mcrelay" --head-options '--queue-depth 64'
	assert_equal "$status" 4
	assert_among_said 'no program can run in .*: it is mounted noexec; name another folder with --results'
}

@test "compare: the same program with the same options passes at once, and nothing is measured" {
	need_root
	paired
	cp "$PROGRAMS/mcrelay" "$WORK/copy"
	measure compare --builds "$PROGRAMS/mcrelay" "$WORK/copy" --base-options '--queue-depth 64' --head-options '--queue-depth 64'
	assert_equal "$status" 0
	assert_output --partial 'paired: same program: base and head are'
	assert_schema compare "$RESULTS"/compare/*/compare.json
	assert_equal "$(gojq -r '.verdict, .scenarios.paired.same_program, .scenarios.paired.pairs' "$RESULTS"/compare/*/compare.json)" \
		$'PASS\ntrue\n0'
	assert_equal "$(find "$RESULTS" -name result.json)" ''
	# with other options it is another matter, and so it is for the gate that measures itself
	with_clock
	measure compare --builds "$PROGRAMS/mcrelay" "$WORK/copy" --head-options '--queue-depth 64' --budget 0.1
	assert_equal "$status" 4
	with_clock
	BENCH_COMPARE_SAME=1 measure compare --builds "$PROGRAMS/mcrelay" "$PROGRAMS/mcrelay" --budget 0.1
	assert_equal "$status" 4
	assert_output --regexp 'unofficial: .*BENCH_COMPARE_SAME=1'
}

@test "compare: a comparison that is repeated says what became of it before" {
	need_root
	paired
	cp "$PROGRAMS/mcrelay" "$WORK/copy"
	printf 'x' >>"$WORK/copy"
	with_clock
	measure compare --builds "$PROGRAMS/mcrelay" "$WORK/copy" --budget 0.1
	refute_output --partial 'sitting of this comparison'
	with_clock
	measure compare --builds "$PROGRAMS/mcrelay" "$WORK/copy" --budget 0.1
	assert_output --partial 'paired: second sitting of this comparison; before: INCONCLUSIVE'
}

@test "compare: it asks for more pairs until there is a verdict, and not once more" {
	sourced "$STEPS"'
		compare_ask() {
			echo x >>"$WORK/asked"
			case $(wc -l <"$WORK/asked") in
			1) printf "first 01 base head\nfirst 02 head base\n" ;;
			2) printf "first 03 head base\n" ;;
			esac
		}
		compare_scenario paired 2>/dev/null'
	assert_success
	assert_output 'paired: verified base
paired: verified head
paired: control 01/control
paired: base 01
paired: head 01
paired: head 02
paired: base 02
paired: control 03/control
paired: head 03
paired: base 03'
	assert_equal "$(wc -l <"$WORK/asked")" 3
}

@test "compare: each scenario is compared as it is, not as the one before it" {
	sourced "$STEPS"'
		compare_ask() {
			[[ -e $1/asked ]] || printf "first 01 base head\n"
			touch "$1/asked"
		}
		for name in one other; do
			compare_scenario "$name" 2>/dev/null
		done'
	assert_success
	assert_output 'one: verified base
one: verified head
one: control 01/control
one: base 01
one: head 01
other: verified base
other: verified head
other: control 01/control
other: base 01
other: head 01'
}

@test "profile: where the time goes, and what is left of perf" {
	need_perf
	# there has to be something to see for perf: the window is a real one here
	scenario short window_ms=500 control_window_ms=500
	export BUILD=$PROGRAMS
	lock_free
	run --separate-stderr "$BENCH" profile short --results "$RESULTS"
	assert_success
	assert_line --partial 'the relay itself'
	assert_line --partial 'the generator alone'
	run gojq '[.stages[].samples] | add > 0' "$RESULTS"/short/*/profile.json
	assert_output true
}

# budgets FILTER: changes each budget.
budgets() {
	gojq ".budgets |= with_entries($1)" "$ROOT/baselines/budgets.json" >"$BENCH_BASELINES/budgets.json"
}

@test "budget: counted from outside, within it and beyond; no probe is left" {
	need_perf
	scenario budget
	budgets '.value.value = 1e6'
	measure budget --rounds 1
	assert_equal "$status" 64
	assert_among_said "packet_path.*run: make"
	ln -s "$PROGRAMS/packet_path" "$WORK/build"
	measure budget --rounds 1
	assert_equal "$status" 0
	assert_line --regexp '^ +one rule +packet +[1-9]'
	assert_line --regexp 'system calls +[1-9]'
	assert_line --regexp 'allocations +0.00 '
	assert_schema budget "$RESULTS"/budget/*/budget.json
	rm -r "$RESULTS"
	budgets '.value.value = if .key == "system calls" then 0 else 1e6 end'
	measure budget --rounds 1
	assert_equal "$status" 3
	assert_equal "$(gojq -r '.figures | map_values(.verdict) | to_entries[] | select(.value != "PASS").key' \
		"$RESULTS"/budget/*/budget.json)" 'system calls'
	run perf probe --list
	refute_output --partial mcrelay_budget
}

@test "compare_KEY changes the scenario in what bench compare measures, and nowhere else" {
	need_root
	paired compare_rate_pps=30000 compare_window_ms=200001
	measure noise paired 2
	assert_equal "$status" 0
	run gojq -r '.declared.rate_pps, .window_ns[1] - .window_ns[0]' "$RESULTS"/paired/*/runs/0001/relay/result.json
	assert_output $'30000\n200001000000'
	rm -r "$RESULTS"
	measure run paired
	assert_equal "$status" 0
	assert_equal "$(result .declared.rate_pps)" 20000
}

@test "noise: the same program again and again" {
	need_root
	paired
	refused noise paired 1 --results "$RESULTS"
	assert_said 'an even number of runs from 2 to 9998'
	measure noise paired 4
	assert_equal "$status" 0
	run gojq -r '"\(.schema) \(.scenario) \(.metric) \(.runs | length) \([.runs[] | select(.control)] | length)"' \
		"$RESULTS"/paired/*/noise.json
	assert_output '1 paired cpu_ns_per_packet 4 1'
}

@test "twins: both runs of a pair at the same time, each with an account of its own" {
	need_root
	paired compare_twin=yes
	start_twins_held
	release
	ended 0
	# the packets of the first pair had all arrived before the second pair began
	run gojq -rs '.[2].generator.samples[-1][0] > ([.[0, 1].hops[0].samples[-1][0]] | max)' \
		"$RESULTS"/paired/*/runs/000[123]/relay/result.json
	assert_output true
	run gojq -r '.valid, (.ledger | length > 0)' "$RESULTS"/paired/*/runs/0002/relay/result.json
	assert_output $'true\ntrue'
	# what the machine did meanwhile was for both
	run gojq '.machine | .busy_ns_per_packet_offered == null and (.reason | test("two runs at the same time"))' \
		"$RESULTS"/paired/*/runs/000[12]/relay/result.json
	assert_output $'true\ntrue'
	run gojq -r '.twins, (.runs | length), .runs[0].utc == .runs[1].utc' "$RESULTS"/paired/*/noise.json
	assert_output $'true\n4\ntrue'
	assert_no_namespace
}

# start_twins_held: both generators of the first pair hold at the same time, when each relay has passed its packets on.
start_twins_held() {
	rm -f "$WORK"/hold*
	mkfifo "$WORK/hold"
	GENERATOR_HOLD=$WORK/hold start noise paired 4
	hear "$WORK/hold" 2
	started 4
}

@test "twins: one that cannot run ends both, and says why" {
	need_root
	local who
	paired compare_twin=yes
	for who in '--base-options' '--head-options'; do
		measure compare --builds "$PROGRAMS/mcrelay" "$PROGRAMS/mcrelay" "$who" '--no-such-option'
		assert_equal "$status" 5
		assert_among_said "the relay of r1 did not get ready: .*no-such-option"
		rm -r "$RESULTS"
	done
	assert_no_namespace
}

@test "twins: SIGTERM and Ctrl-C end both, and the host is as before" {
	need_root
	local signal
	paired compare_twin=yes
	for signal in TERM INT; do
		start_twins_held
		if [[ $signal == INT ]]; then
			kill -INT -- "-$BENCH_PID" # as a terminal does
		else
			kill -TERM "$BENCH_PID"
		fi
		ended "$([[ $signal == INT ]] && echo 130 || echo 143)"
		assert_host_restored
		assert_nothing_left
	done
}

# Twelve pairs took a minute, and twelve are still to come until the next look.
@test "compare: the time to go is that of the pairs so far" {
	run bash -euo pipefail -c 'source "$1/host/common.bash"; source "$1/verdict/paired/compare.bash"
		progress() { echo "$1"; }
		clock_s() { echo 100; }
		COMPARE_BEGUN=40
		compare_progress short first 13 $'"'first 13 base head\nfirst 24 head base'"' 12' - "$HARNESS"
	assert_success
	assert_output 'short: first block, pair 13 of 24 for the next look, 60 s to go'
}
