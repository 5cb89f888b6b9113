# shellcheck shell=bash
# whole_links: loaded behind testbed, by tests whose links are as they are by default: aggregates cross them whole.

unset 'SCENARIO[offload_tx-udp-segmentation]'

# Frames that are between link and IP stack, an aggregate as the one frame that it is; in place of traffic's, which
# counts packets.
node_backlog() {
	local lines line values link=0
	mapfile -t lines <"/proc/${ANCHOR[$1]}/net/snmp"
	read -ra values <<<"${lines[1]}"
	mapfile -t lines <"/proc/${ANCHOR[$1]}/net/dev"
	for line in "${lines[@]}"; do
		[[ ! $line =~ ^\ *(in|out)[0-9]+:\ *[0-9]+\ +([0-9]+) ]] || ((link += BASH_REMATCH[2]))
	done
	printf '%s' "$((link - values[3]))" # InReceives
}
