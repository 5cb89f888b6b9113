# shellcheck shell=bash
# verify: the scenario at hand once, at a rate at which nothing needs to be lost, with receivers behind the last hop that read
# each packet: payload, order, number. What is made of it: verdict/arrival.py.

# At which a relay that stands still for 20 ms loses nothing: the smallest ring of a scenario has 1024 slots.
readonly VERIFY_PPS=50000

# verify_measure DIR: leaves DIR/raw and DIR/result.json, and the scenario as it was.
verify_measure() {
	local key
	local -A kept=()
	for key in "${!SCENARIO[@]}"; do
		kept[$key]=${SCENARIO[$key]}
	done
	progress "${SCENARIO[name]}: reading what arrives"
	SCENARIO[sink]=receive SCENARIO[twin]=no
	((SCENARIO[rate_pps] <= VERIFY_PPS)) || SCENARIO[rate_pps]=$VERIFY_PPS
	measure relay "$1"
	SCENARIO=()
	for key in "${!kept[@]}"; do
		# shellcheck disable=SC2004 # a name, of an associative array
		SCENARIO[$key]=${kept[$key]}
	done
}
