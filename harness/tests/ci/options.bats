#!/usr/bin/env bats
# Options by name: what documents, help texts and messages name does exist, and what exists is documented.

bats_load_library bats-support
bats_load_library bats-assert

setup_file() {
	ROOT=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
	export ROOT BUILD=${BUILD:-$ROOT/build}
	[[ -x $BUILD/mcrelayctl ]] || {
		echo "no programs in $BUILD; run: make"
		return 1
	}
	export OPTIONS=$BATS_FILE_TMPDIR/options
	mkdir "$OPTIONS"
	cd "$ROOT" || return 1
	help_of mcrelay "$BUILD/mcrelay"
	help_of mcrelayctl "$BUILD/mcrelayctl"
	help_of trafficgen "$BUILD/trafficgen" send
	help_of trafficgen "$BUILD/trafficgen" recv
	for command in $(commands); do
		help_of mcrelayctl "$BUILD/mcrelayctl" "$command"
	done
}

# The words that mcrelayctl takes as a command.
commands() {
	"$BUILD/mcrelayctl" --help | sed -nE '/^Commands:/,/^[^ ]/s/^  ([a-z-]+).*/\1/p' | sort -u
}

# help_of PROGRAM COMMAND...: adds what --help says to $OPTIONS/PROGRAM.help, and the options that it lists to PROGRAM.
help_of() {
	"${@:2}" --help >"$BATS_FILE_TMPDIR/help"
	cat "$BATS_FILE_TMPDIR/help" >>"$OPTIONS/$1.help"
	sed -nE 's/^  (--[a-z0-9-]+).*/\1/p' "$BATS_FILE_TMPDIR/help" >>"$OPTIONS/$1"
}

# named [FILE]...: the options that the text names, a man page's comments aside.
named() {
	sed -e '/^[.]\\"/d' -e 's/\\f[BIPR]/ /g; s/\\-/-/g' "$@" | grep -oE "(^|[^[:alnum:]-])--[a-z][a-z0-9-]*" | grep -oE -- '--.*' | sort -u
}

# assert_exist WORD...: of the options on standard input, those that no program of ours and no WORD is.
assert_exist() {
	run comm -23 - <(printf '%s\n' "$@" | sort -u - "$OPTIONS"/{mcrelay,mcrelayctl,trafficgen})
	assert_success
	assert_output ''
}

@test "each program has options" {
	local program
	for program in mcrelay mcrelayctl trafficgen; do
		(($(sort -u "$OPTIONS/$program" | wc -l) > 3)) || fail "$program has none"
	done
	assert_equal "$(commands | grep -cxE 'add|remove|list|ping')" 4
}

@test "man pages, the unit and READMEs name no option that does not exist" {
	local page
	for page in mcrelay.8 mcrelayctl.8 trafficgen.1 mcrelay.service; do
		printf 'in %s\n' "$page"
		# that of systemctl
		named "$BUILD/$page" | assert_exist --now
	done
	harness/bench help >"$BATS_TEST_TMPDIR/bench"
	for page in ci/test ci/mutants; do
		"$page" --help >>"$BATS_TEST_TMPDIR/bench"
	done
	mapfile -t others < <(named "$BATS_TEST_TMPDIR/bench")
	for page in README.md relay/README.md relay/worker/MEASURED.md; do
		printf 'in %s\n' "$page"
		named "$page" | assert_exist "${others[@]}"
	done
}

@test "man pages have every option" {
	local page
	for page in mcrelay.8 mcrelayctl.8 trafficgen.1; do
		printf 'in %s\n' "$page"
		run comm -13 <(named "$BUILD/$page") <(sort -u "$OPTIONS/${page%.*}" | grep -vxE -- '--(help|version)')
		assert_success
		assert_output ''
	done
}

@test "help texts and messages name no option that does not exist" {
	local program
	for program in mcrelay mcrelayctl trafficgen; do
		printf 'of %s\n' "$program"
		named "$OPTIONS/$program.help" | assert_exist
	done
	# with those that are not for people
	find relay trafficgen -name '*.[ch]' -not -path '*/tests/*' -not -path '*/fuzz/*' -exec cat {} + |
		grep -oE '"([^"\\]|\\.)*"' | named | assert_exist --worker --man-options --man-counters
}
