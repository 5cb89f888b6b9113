# shellcheck shell=bash
# routes: who sends, what each relay passes on, and who receives: tables, a line for each. From them come the generators, the relays'
# rule files, the receivers, and in result/routes.py how often each packet has to arrive where. A topology may have functions of its own
# for them, here as that of the file NAME.bash:
#
#   NAME_sources     NODE GROUP [PORTS]             sends to GROUP through its out0
#   NAME_routes      HOP RULE IN GROUP OUT GROUP    what comes to IN for the first group, HOP sends through OUT to the second one
#   NAME_receivers   NAME NODE IN GROUP [PORTS]     a program that reads what comes to IN for GROUP
#
# GROUP is ADDRESS:PORT; of PORTS the first. OUT is '-' where a rule receives and counts. Without such functions a topology is a row: `gen`
# sends, each hop passes on to the next one, and a receiver is behind each output of the last.

# routes_table sources|routes|receivers
routes_table() {
	local own=${SCENARIO[topology]}_$1
	if declare -F "$own" >/dev/null; then
		"$own"
	else
		"row_$1"
	fi
}

# routes_in_a_row: whether the topology at hand is a row of hops, `gen` before it.
routes_in_a_row() {
	! declare -F "${SCENARIO[topology]}_routes" >/dev/null
}

# In a row each stream has a port, and a rule in every hop.
row_streams() {
	printf '%d' "${SCENARIO[streams]:-1}"
}

# row_group NUMBER [I]: what the nth hop receives. The kernel sends a group on as it is.
row_group() {
	if [[ $SYSTEM == kernel ]]; then
		sut_group 1
	else
		sut_group "$@"
	fi
}

row_sources() {
	local group streams
	group=$(row_group 1)
	streams=$(row_streams)
	printf 'gen %s:%d %d\n' "$group" "$PORT" "$streams"
}

row_routes() {
	local hop out i stream streams rule from port number=0
	local -A to=()
	streams=$(row_streams)
	for hop in $topology_hops; do
		number=$((number + 1))
		from=$(row_group "$number")
		for ((i = 1; i <= topology_groups; i++)); do
			to[$i]=$(row_group $((number + 1)) "$i")
		done
		for ((stream = 0; stream < streams; stream++)); do
			rule=bench port=$((PORT + stream))
			((streams == 1)) || rule=bench-$stream
			for out in ${HOP_OUTS[$hop]:--}; do
				for ((i = 1; i <= topology_groups; i++)); do
					printf '%s %s in0 %s:%d %s %s:%d\n' "$hop" "$rule" "$from" "$port" "$out" "${to[$i]}" "$port"
				done
			done
		done
	done
}

# Behind the last hop's outputs.
row_receivers() {
	local last=${topology_hops##* } out end group streams hops
	read -ra hops <<<"$topology_hops"
	group=$(row_group $((${#hops[@]} + 1)))
	streams=$(row_streams)
	for out in ${HOP_OUTS[$last]}; do
		end=${PEER[$last:$out]}
		printf '%s %s %s %s:%d %d\n' "${end%%:*}" "${end%%:*}" "${end##*:}" "$group" "$PORT" "$streams"
	done
}

# routes_receivers relay|control: without a relay there is one, where the first hop would be: how long the way to it takes.
routes_receivers() {
	local node group ports end
	if [[ $1 == relay ]]; then
		routes_table receivers
		return
	fi
	read -r node group ports < <(routes_table sources)
	end=${PEER[$node:out0]}
	printf '%s %s %s %s %s\n' "${end%%:*}" "${end%%:*}" "${end##*:}" "$group" "$ports"
}

# routes_rules HOP: its rule file.
routes_rules() {
	routes_table routes | gojq -Rn --arg hop "$1" '
		def group: split(":") | {group: .[0], port: (.[1] | tonumber)};
		[inputs | split(" ") | select(.[0] == $hop)] | reduce .[] as $line ({}; .[$line[1]] += [$line])
		| {rules: [.[] | {id: .[0][1], input: ({interface: .[0][2]} + (.[0][3] | group)),
			outputs: [.[] | select(.[4] != "-") | {interface: .[4]} + (.[5] | group) + {ttl: 4}]}]}'
}

# routes_save relay|control: all of it, as result/routes.py reads it.
routes_save() {
	local end
	routes_table sources | sed 's/^/source /'
	routes_table routes | sed 's/^/route /'
	! sink_reads || routes_receivers "$1" | sed 's/^/receiver /'
	for end in "${!PEER[@]}"; do
		printf 'link %s %s\n' "$end" "${PEER[$end]}"
	done | sort
}

# The nodes that send.
routes_sources() {
	routes_table sources | cut -d' ' -f1
}
