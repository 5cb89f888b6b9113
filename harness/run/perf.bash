# shellcheck shell=bash
# perf: what the two have in common that watch a relay with it (verdict/budget, report/stages).

perf_require() {
	perf --version >/dev/null 2>&1 || die "$EXIT_INCONCLUSIVE" \
		"there is no perf for this kernel; install it (Debian: linux-perf) and run this again"
}

process_children() {
	tr ' ' '\n' <"/proc/$1/task/$1/children" | grep .
}
