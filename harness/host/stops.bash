# shellcheck shell=bash
# stops: a test may have bench stop at one of these points, to interrupt it exactly there: BENCH_STOP_AT=POINT:FIFO. bench says
# into FIFO that it is there, waits for a line in FIFO.end, and ends as invalid. It goes no further, whatever happens: no
# result, and no verdict, comes from a bench that was stopped.

# In the order in which a comparison of twins comes to them; from `process` on, they are of runs of a relay.
readonly STOPS='locked journal results tuned twins topology process ready sending sent drained ended evaluated'

stops_check() {
	[[ ${BENCH_PATIENCE:-1} =~ ^[1-9][0-9]{0,2}$ ]] || refuse "BENCH_PATIENCE: '$BENCH_PATIENCE' is not a number from 1 to 999"
	[[ -z ${BENCH_STOP_AT:-} ]] || [[ " $STOPS " == *" ${BENCH_STOP_AT%%:*} "* && -p ${BENCH_STOP_AT#*:} ]] ||
		refuse "BENCH_STOP_AT: '$BENCH_STOP_AT' is not POINT:FIFO, with one of: $STOPS"
}

# stop_at POINT
stop_at() {
	[[ ${BENCH_STOP_AT:-} == "$1":* ]] || return 0
	printf '%s\n' "$1" >"${BENCH_STOP_AT#*:}"
	read -r <"${BENCH_STOP_AT#*:}.end" || true
	die "$EXIT_INVALID" "stopped at '$1', as BENCH_STOP_AT asks: nothing was measured"
}
