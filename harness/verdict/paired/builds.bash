# shellcheck shell=bash
# builds: which commits are compared, and the program of each, made by the same compiler with the same flags.

declare -A COMPARED=() # base, head -> program
declare -A SOURCE=()   # base, head -> what it was built from
declare -A SHA256=()   # base, head -> of the program
declare -A BUILD_OPTIONS=() # base, head -> options besides those of the scenario

# The commit that a change is compared with unless another one is named, in BASE.
compare_default_base() {
	local found
	compare_commit found default
	BASE=${found%%$'\n'*}
	found=${found:${#BASE}}
	[[ -z $found ]] || COMPARE_NOTES+=("${found#$'\n'}")
}

# compare_commit VARIABLE HOW...: a commit, as commits.py finds it; it says why there is none, and with which exit status.
compare_commit() {
	local -n compare_found=$1
	compare_found=$(python harness.verdict.paired.commits "${@:2}") || exit "$?"
}

# The commits to compare, in BASE and HEAD; no BASE with --builds, no HEAD for the files as they are.
compare_find_commits() {
	BASE='' HEAD=''
	if ((${#BUILDS[@]})); then
		((${#ARGUMENTS[@]} == 0)) || refuse "a commit and --builds exclude each other"
		return
	fi
	((${#ARGUMENTS[@]} <= 2)) || refuse "compare takes two commits at most"
	if ((${#ARGUMENTS[@]})); then
		compare_commit BASE commit "${ARGUMENTS[0]}"
	else
		compare_default_base
	fi
	if ((${#ARGUMENTS[@]} == 2)); then
		compare_commit HEAD commit "${ARGUMENTS[1]}"
	elif ! host_dirty; then
		compare_commit HEAD commit HEAD
	fi
	[[ $BASE != "$HEAD" ]] || refuse "base and head are both ${BASE:0:12}, which is no change; name an older commit"
	compare_check_scenarios
}

# What is compared, built where it has to be.
compare_programs() {
	local who reason
	if ((${#BUILDS[@]})); then
		for who in base head; do
			SOURCE[$who]=${BUILDS[$([[ $who == base ]] && echo 0 || echo 1)]}
			COMPARED[$who]=$(readlink -e "${SOURCE[$who]}") || refuse "--builds: no file '${SOURCE[$who]}'"
			[[ -f ${COMPARED[$who]} && -x ${COMPARED[$who]} ]] || refuse "--builds: '${SOURCE[$who]}' is not a program"
		done
		return
	fi
	command -v gcc >/dev/null || die "$EXIT_INCONCLUSIVE" "no gcc to build the commits with; run: ci/setup"
	reason=$(mkdir -p "$ROOT/build/compare" 2>&1 && [[ -w $ROOT/build/compare ]]) || die "$EXIT_INCONCLUSIVE" \
		"cannot build in $ROOT/build/compare${reason:+ (${reason#mkdir: })}; make it writable"
	if [[ -n $BASE ]]; then
		compare_build base "$BASE"
	else
		compare_build_tree base
	fi
	if [[ -n $HEAD ]]; then
		compare_build head "$HEAD"
	else
		compare_build_tree head
	fi
	progress_end
}

compare_describe_programs() {
	local who
	for who in base head; do
		SHA256[$who]=$(sut_sha256 "${COMPARED[$who]}")
		SOURCE[$who]+=${BUILD_OPTIONS[$who]:+ with ${BUILD_OPTIONS[$who]}}
	done
}

# compare_build WHO COMMIT: into COMPARED and SOURCE. A commit is built from a copy of its own, once for each
# toolchain; the same compiler and flags for both. (A git worktree would leave files of root in .git.) The copy lies
# where no path has a blank: an older commit's Makefile may not bear one.
compare_build() {
	local commit=$2 tree=$STATE/tree-$1 build log=$STATE/build-$1.log
	build=$(compare_toolchain)
	build=$ROOT/build/compare/$build/$commit
	progress "building $1, ${commit:0:12}"
	if [[ ! -x $build/mcrelay ]]; then
		mkdir "$tree"
		rm -rf "$build.partial"
		host_git archive "$commit" 2>"$log" | tar -x -C "$tree" ||
			die "$EXIT_INCONCLUSIVE" "cannot check out $commit: $(tail -1 "$log"); is the clone complete? Try: git fsck, git fetch"
		compare_make "$tree" build "$log" "$1"
		mkdir -p "$build.partial"
		mv "$tree/build/mcrelay" "$build.partial"
		mv -T "$build.partial" "$build"
		compare_give_away "$ROOT/build"
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
	build=$(compare_toolchain)
	build=build/compare/$build/worktree
	progress "building $1, the files as they are"
	compare_make "$ROOT" "$build" "$STATE/build-$1.log" "$1"
	COMPARED[$1]=$ROOT/$build/mcrelay
	SOURCE[$1]="$(host_git rev-parse --short=12 HEAD) with changes"
}

# compare_make TREE BUILD LOG WHO: BUILD as seen from TREE, which may have blanks in its path; make's targets may not.
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
	local status=0
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$1" -j"$(nproc)" BUILD="$2" "${@:3}" || status=$?
	[[ ! -d $ROOT/build ]] || compare_give_away "$ROOT/build"
	return "$status"
}

# compare_give_away FOLDER: to whom the sources belong.
compare_give_away() {
	chown -Rh "$(stat -c %u:%g "$ROOT")" "$1"
}
