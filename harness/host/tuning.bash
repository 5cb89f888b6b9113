# shellcheck shell=bash
# tuning: the settings of the kernel that the relay's documentation recommends for high rates. A measurement has all of them, unless the
# scenario's `tuning` asks for others (`bench tuning`); the host's own are put back afterwards.

# name|sysctl; link: of the links; relay: an option|as a Linux that nobody has touched|as recommended
readonly TUNING='
wmem_max|net.core.wmem_max|212992|16777216
wmem_default|net.core.wmem_default|212992|4194304
rmem_max|net.core.rmem_max|212992|134217728
netdev_max_backlog|net.core.netdev_max_backlog|1000|5000
txqueuelen|link|1000|10000
socket_sndbuf|relay|212992|4194304'

tuning_names() {
	local name
	while IFS='|' read -r name _; do
		[[ -z $name ]] || printf '%s\n' "$name"
	done <<<"$TUNING"
}

# tuning_value NAME UNTOUCHED RECOMMENDED: the one that the scenario at hand has.
tuning_value() {
	case ${SCENARIO[tuning]:-tuned} in
	tuned | "$1") printf '%s' "$3" ;;
	*) printf '%s' "$2" ;;
	esac
}

# tuning_of KIND: a line for each setting of that kind: NAME VALUE. KIND: link, relay, or sysctl, whose names are the sysctls' own.
tuning_of() {
	local name kind untouched recommended
	while IFS='|' read -r name kind untouched recommended; do
		case $1 in
		sysctl) [[ $kind == net.* ]] || continue ;;
		*) [[ $kind == "$1" ]] || continue ;;
		esac
		printf '%s %s\n' "$kind" "$(tuning_value "$name" "$untouched" "$recommended")"
	done <<<"$TUNING"
}

# host_tune: everything that a measurement may change from here on is put back in the end.
host_tune() {
	local name value before settings
	settings=$(tuning_of sysctl)
	while read -r name value; do
		before=$(sysctl -n "$name" 2>&1) || die "$EXIT_INCONCLUSIVE" \
			"${before%%$'\n'*}: this host does not let its settings be read; in a container, run this on the host itself"
		undo_push host_set "$name=$before"
		run sysctl -qw "$name=$value"
	done <<<"$settings"
	tuning_stands=$settings
}

# tuning_apply: as the scenario at hand wants it.
tuning_apply() {
	local name value settings
	settings=$(tuning_of sysctl)
	[[ ${tuning_stands:-} != "$settings" ]] || return 0
	while read -r name value; do
		run sysctl -qw "$name=$value"
	done <<<"$settings"
	tuning_stands=$settings
}

# tuning_txqueuelen: packets that a link's end queues at most.
tuning_txqueuelen() {
	local found
	found=$(tuning_of link)
	printf '%s' "${found##* }"
}

# tuning_relay_options: what the relay is told, where it is not its own default.
tuning_relay_options() {
	local found
	[[ -n ${SCENARIO[tuning]:-} ]] || return 0
	found=$(tuning_of relay)
	printf -- '--socket-sndbuf %s' "${found##* }"
}
