#!/usr/bin/env bats
# The Makefile, wherever the sources lie.

bats_load_library bats-support
bats_load_library bats-assert

ROOT=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)

# build FOLDER: the smallest of the programs, from a copy of the sources.
build() {
	mkdir -p "$1/relay"
	cp -r "$ROOT"/relay/{common,contract,ctl} "$1/relay"
	cp "$ROOT/Makefile" "$1"
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u BUILD make -C "$1" BUILD=build build/mcrelayctl
}

@test "make: a folder with blanks, quotes and what means something to make, shell or compiler; none of it is in the program" {
	local odd="$BATS_TEST_TMPDIR/it's a \"copy\": #1 of \$HOME = 100% [x] * (\`y\`); & \\ z"
	build "$odd"
	build "$BATS_TEST_TMPDIR/plain"
	cmp "$odd/build/mcrelayctl" "$BATS_TEST_TMPDIR/plain/build/mcrelayctl"
}

@test "make: a BUILD with a blank is refused, and why" {
	run make -C "$ROOT" BUILD='my build' --question all
	assert_failure 2
	assert_output --partial "BUILD='my build': make takes a blank for the end of a name"
}

@test "make: the unit starts the program below a PREFIX with a blank" {
	local tree="$BATS_TEST_TMPDIR/the tree"
	mkdir -p "$tree/relay"
	cp -r "$ROOT/relay/dist" "$tree/relay"
	cp "$ROOT/Makefile" "$tree"
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u BUILD make -C "$tree" BUILD=build PREFIX='/opt/my apps' build/mcrelay.service
	run grep '^ExecStart=' "$tree/build/mcrelay.service"
	assert_output --partial 'ExecStart="/opt/my apps/bin/mcrelay" --config'
}
