# shellcheck shell=bash
# builds: which commits are compared, and the program of each, made by the same compiler with the same flags.

declare -A COMPARED=() # base, head -> program
declare -A SOURCE=()   # base, head -> what it was built from
declare -A SHA256=()   # base, head -> of the program
declare -A BUILD_OPTIONS=() # base, head -> options besides those of the scenario

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

compare_describe_programs() {
	local who
	for who in base head; do
		SHA256[$who]=$(sut_sha256 "${COMPARED[$who]}")
		SOURCE[$who]+=${BUILD_OPTIONS[$who]:+ with ${BUILD_OPTIONS[$who]}}
	done
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
