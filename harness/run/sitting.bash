# shellcheck shell=bash
# sitting: the runs that belong together: one lock, one journal, one description of the machine, one folder of results,
# which is there in the end or not at all.

# sitting_begin SCENARIO ARGUMENTS...: everything that the runs of one sitting share.
sitting_begin() {
	scenario_load "$1"
	scenario_override_all
	sitting_open "$@"
	topology_ready
}

# sitting_open NAME ARGUMENTS...: the same for a sitting of several scenarios.
sitting_open() {
	sitting_lock "${@:2}"
	[[ $COMMAND != compare ]] || compare_make_generator
	programs_check
	COMMIT=$(host_commit)
	DIRTY=false
	! host_dirty || DIRTY=true
	PROFILE=$(host_profile measure)
	RELAY_SHA256=$(sha256sum "$RELAY" | cut -d' ' -f1)
	sitting_open_results "$1"
	terms_save
	stop_at results
	host_tune
	stop_at tuned
}

# sitting_lock ARGUMENTS...: this machine is ours, and what is done to it is undone. Once is enough.
sitting_lock() {
	[[ -z ${STATE:-} ]] || return 0
	host_require_root "$@"
	host_lock
	stop_at locked
	undo_open "$RUN_ID" "$RUN_ID" # the guard plays it
	stop_at journal
}

programs_check() {
	[[ -f $RELAY && -x $RELAY ]] || die "$EXIT_USAGE" "no program '$RELAY' to measure; run: make"
	[[ -x $BUILD/trafficgen ]] || die "$EXIT_USAGE" "no program '$BUILD/trafficgen'; run: make"
	programs_fresh || die "$EXIT_USAGE" "the programs in $BUILD are older than their sources, or cannot be made; run: make"
}

# Results name a commit: what was built before it is not measured under its name. make knows, but for build/flags,
# which it makes each time. Programs that were named, or built elsewhere, are taken as they are; compare builds relays
# of its own.
programs_fresh() {
	local programs=(build/trafficgen) # as make knows them
	[[ $BUILD == "$ROOT/build" && -f $BUILD/flags ]] || return 0
	[[ $RELAY != "$BUILD/mcrelay" || $COMMAND == compare ]] || programs+=(build/mcrelay)
	[[ $RELAY != "$BUILD/mcrelay" || $COMMAND != budget ]] || programs+=(build/packet_path)
	env -u MAKEFLAGS -u MFLAGS make -C "$ROOT" --question --old-file=build/flags BUILD=build "${programs[@]}" \
		>/dev/null 2>&1
}

FREE_MB=32 # the longest gate leaves 5 MB

# Results grow in a folder named .partial, which gets its name when it is complete.
sitting_open_results() {
	local base reason number=1
	base=$RESULTS/$1/$(date -u +%Y%m%dT%H%M%SZ)-$COMMIT
	SITTING=$base
	while [[ -e $SITTING || -e $SITTING.partial || -e $SITTING.failed ]]; do
		number=$((number + 1)) SITTING=$base-$number
	done
	undo_push sitting_discard "$SITTING.partial"
	reason=$(mkdir -p "$SITTING.partial" 2>&1) || die "$EXIT_INCONCLUSIVE" \
		"${reason#mkdir: }; name a writable folder with --results"
	[[ $(free_mb "$RESULTS") -ge $FREE_MB ]] || die "$EXIT_INCONCLUSIVE" \
		"less than $FREE_MB MB are free in $RESULTS; make room or name another folder with --results"
}

# Runs at the end when the sitting is not complete: an interrupted one leaves nothing, a failed one its
# raw data, for whoever looks for the reason.
sitting_discard() {
	local data
	[[ -d $1 ]] || return 0
	data=$(find "$1" -type f -size +0 ! -name terms.json -print -quit) || data=perhaps
	if ((exit_status > 128)) || [[ -z $data ]]; then
		rm -rf "$1"
		rmdir --ignore-fail-on-non-empty "${1%/*}"
	else
		relay_keep "$1"
		mv -T "$1" "${1%.partial}.failed"
		note "the raw data is in ${1%.partial}.failed"
		[[ $(free_mb "${1%/*}") -gt 0 ]] || note "the disk under it is full"
	fi
}

sitting_keep() {
	mv -T "$SITTING.partial" "$SITTING"
}

# sitting_finish STEM PICTURE STATUS: of a sitting with one document, STEM.json, whose picture report/PICTURE.py draws ('-': none): keeps
# it, and ends with what its judge ended with.
sitting_finish() {
	[[ -s $SITTING.partial/$1.json ]] || no_verdict "$3"
	sitting_keep
	[[ $2 == - ]] || python "harness.report.$2" "$SITTING/$1.json" "$SITTING" || note "no picture could be drawn"
	[[ -z $MARKDOWN ]] || cat "$SITTING/$1.md" >>"$MARKDOWN" || note "could not write $MARKDOWN"
	say $'\n'"results: $SITTING"
	exit "$3"
}
