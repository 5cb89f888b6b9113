# shellcheck shell=bash
# host: what a measurement needs of the machine, and what the machine is.

host_require_root() {
	((EUID == 0)) || die "$EXIT_INCONCLUSIVE" \
		"making network namespaces needs root; run: sudo harness/bench $*"
}

# The lock lasts until the last process that has the file open has ended: the guard, whose fd this is.
host_lock_open() {
	state_root_make
	{ exec {lock_fd}>>"$STATE_ROOT/lock"; } 2>/dev/null || die "$EXIT_INCONCLUSIVE" \
		"cannot write $STATE_ROOT/lock, which keeps two measurements apart; make ${STATE_ROOT%/*} writable"
}

# Two measurements at a time would measure each other.
host_lock() {
	[[ -n ${lock_fd:-} ]] || host_lock_open
	flock --nonblock "$lock_fd" || die "$EXIT_INCONCLUSIVE" \
		"another bench is measuring on this machine; wait for it to end"
}

# host_set NAME=VALUE: where it has that value nothing is written: the change may be what has failed.
host_set() {
	[[ $(sysctl -n "${1%%=*}") == "${1#*=}" ]] || sysctl -qw "$1"
}

# The CPUs this process may use, one a line.
host_cpus() {
	local range list
	list=$(sed -n 's/^Cpus_allowed_list:\s*//p' /proc/self/status)
	for range in ${list//,/ }; do
		seq "${range%-*}" "${range#*-}"
	done
}

# The name of this machine in baselines and history: amd-epyc-25.1.1-l3.32768k-kvm-2c-linux6.18; see identity.py.
host_id() {
	python harness.host.identity id
}

# host_profile [measure]: JSON on stdout. Figures of different profiles are never compared. `id` names the machine; the whole
# object, the conditions. With "measure", a machine that was not calibrated since its boot is. What
# cannot be told ends it: two that are not known are not the same. A build of somebody else's may say neither compiler nor flags.
host_profile() {
	local facts governor compiler flags='' generator topology keep=(--keep "$STATE_ROOT/calibration.json")
	[[ ${1:-} != measure ]] || keep+=(--trafficgen "$BUILD/trafficgen")
	facts=$(python harness.host.identity facts "${keep[@]}") || die "$EXIT_INCONCLUSIVE" "this machine cannot be described"
	governor=$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null || echo none)
	compiler=$({ readelf -p .comment "$RELAY" 2>/dev/null || true; } | sed -n '0,/.*GCC: /s///p')
	[[ ! -e $BUILD/flags ]] || flags=$(<"$BUILD/flags")
	generator=$(sha256sum "$BUILD/trafficgen" | cut -c1-16)
	topology=$(topology_version)
	gojq -n --argjson facts "$facts" --arg governor "$governor" --arg compiler "$compiler" \
		--arg flags "$flags" \
		--arg generator "$generator" --arg topology "$topology" \
		'$facts + {governor: $governor, compiler: $compiler, flags: $flags, generator_sha256: $generator,
		  topology_sha256: $topology}'
}

# Commit of the tree, and whether it has been changed since (results and builds do not count).
host_commit() {
	host_git rev-parse --short=12 HEAD 2>/dev/null || echo unknown
}

host_dirty() {
	local changes
	[[ -e $ROOT/.git ]] || return 1
	changes=$(host_git status --porcelain -- . ':!results' 2>&1) || {
		[[ ! -f $ROOT/.git ]] || changes="$ROOT is a worktree of a repository that is gone"
		die "$EXIT_INCONCLUSIVE" "git cannot tell whether the files have been changed: ${changes%%$'\n'*}; restore it, or clone it anew"
	}
	[[ -n $changes ]]
}

# We are root and the tree may be somebody else's: git has to be told that this is intended, and must
# not leave files of root in it. A tree without git has no commits, whatever repository it may lie in.
host_git() {
	git --no-optional-locks -c safe.directory="$ROOT" --git-dir="$ROOT/.git" --work-tree="$ROOT" -C "$ROOT" "$@"
}
