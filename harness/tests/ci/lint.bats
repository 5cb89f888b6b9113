#!/usr/bin/env bats
# ci/lint includes: each folder of relay/ includes what stands behind it, and nothing else. ci/lint bash: what shellcheck does
# not ask. ci/lint python: names.

bats_load_library bats-support
bats_load_library bats-assert

ROOT=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)

setup() {
	COPY=$BATS_TEST_TMPDIR/copy
	mkdir "$COPY"
	cp -r "$ROOT/ci" "$ROOT/relay" "$ROOT/trafficgen" "$COPY"
}

# plant FILE LINE: as the first line of a copied source.
plant() {
	[[ -e $COPY/$1 ]] || fail "there is no $1"
	sed -i "1i $2" "$COPY/$1"
}

@test "the sources as they are" {
	run "$COPY/ci/lint" includes
	assert_success
	assert_output --regexp '^lint: includes: [0-9]+ files$'
}

@test "an include against the table is refused, whatever it is written like" {
	local file header
	while read -r file header; do
		cp "$ROOT/$file" "$COPY/$file"
		plant "$file" "#include $header"
		run "$COPY/ci/lint" includes
		assert_failure 1
		assert_output --partial "$file:1: "
		assert_output --partial "$(tr -d '<>"' <<<"$header")"
		cp "$ROOT/$file" "$COPY/$file"
	done <<-'END'
		relay/common/log.c "contract/rules.h"
		relay/contract/plan.c "worker/worker.h"
		relay/worker/worker.c "supervisor/supervisor.h"
		relay/worker/worker.h <supervisor/supervisor.h>
		relay/worker/packet.c "../supervisor/supervisor.h"
		relay/supervisor/workers.c "worker/worker.h"
		relay/supervisor/supervisor.c "control/control.h"
		relay/control/report.c "worker/worker.h"
		relay/ctl/mcrelayctl.c "control/control.h"
		relay/worker/forward.c "send.h"
		trafficgen/main.c "contract/rules.h"
	END
}

@test "what may include all: main.c, tests, fuzzers" {
	plant relay/main.c '#include "worker/worker.h"'
	plant relay/tests/supervisor/test_config.c '#include "worker/worker.h"'
	plant relay/fuzz/fuzz_packet.c '#include "supervisor/supervisor.h"'
	run "$COPY/ci/lint" includes
	assert_success
}

@test "a folder that the table does not know includes nothing of ours" {
	mkdir "$COPY/relay/fastpath"
	echo '#include "contract/rules.h"' >"$COPY/relay/fastpath/new.c"
	run "$COPY/ci/lint" includes
	assert_failure 1
	assert_output --partial 'relay/fastpath/new.c:1: '
}

@test "a program in bash that goes on behind what fails in \$( )" {
	git -C "$COPY" init -q
	run "$COPY/ci/lint" bash
	assert_success
	printf '#!/bin/bash\nset -euo pipefail\n' >"$COPY/ci/new"
	sed -i '/inherit_errexit/d' "$COPY/ci/gate"
	run "$COPY/ci/lint" bash
	assert_failure 1
	assert_line 'ci/gate: no line "shopt -s inherit_errexit" behind its "set -e"'
	assert_line 'ci/new: no line "shopt -s inherit_errexit" behind its "set -e"'
}

@test "a name in Python that nothing uses, and one that is none" {
	git -C "$COPY" init -q
	run "$COPY/ci/lint" python
	assert_success
	printf 'import json\n\n\nprint(jsn)\n' >"$COPY/ci/new.py"
	run "$COPY/ci/lint" python
	assert_failure 1
	assert_line --regexp "^ci/new.py:1:.*'json' imported but unused"
	assert_line --regexp "^ci/new.py:4:.*undefined name 'jsn'"
}
