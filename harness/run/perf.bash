# shellcheck shell=bash
# perf: what the two have in common that watch a relay with it (verdict/budget, report/stages).

perf_require() {
	perf --version >/dev/null 2>&1 || die "$EXIT_INCONCLUSIVE" \
		"there is no perf for this kernel; install it (Debian: linux-perf) and run this again"
}

process_children() {
	tr ' ' '\n' <"/proc/$1/task/$1/children" | grep .
}

# perf_watches: WATCHER, a perf, has its events open, and waits for a signal.
perf_watches() {
	(($(find "/proc/$WATCHER/fd" -lname '*perf_event*' 2>/dev/null | wc -l) > 0)) &&
		[[ $(cat "/proc/$WATCHER/wchan" 2>/dev/null) == *nanosleep* || $(cut -d' ' -f3 "/proc/$WATCHER/stat") == S ]]
}
