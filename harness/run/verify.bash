# shellcheck shell=bash
# verify: the scenario at hand once, at a rate at which nothing needs to be lost, with receivers behind the last hop that read
# each packet: payload, order, number. What is made of it: verdict/arrival.py.

# At which a relay that stands still for 20 ms loses nothing: the smallest ring of a scenario has 1024 slots.
readonly VERIFY_PPS=50000

# verify_measure DIR: leaves DIR/raw and DIR/result.json, and the scenario as it was.
verify_measure() {
	progress "${SCENARIO[name]}: reading what arrives"
	scenario_aside verify_run "$1"
}

verify_run() {
	SCENARIO[sink]=receive SCENARIO[twin]=no
	((SCENARIO[rate_pps] <= VERIFY_PPS)) || SCENARIO[rate_pps]=$VERIFY_PPS
	measure relay "$1"
}
