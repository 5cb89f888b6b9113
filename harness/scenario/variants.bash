# shellcheck shell=bash
# variants: many runs in one sitting, as a plan on stdin has them in order, a line each:
#   FOLDER <tab> SCENARIO <tab> relay|kernel|control [<tab> KEY=VALUE]...
# FOLDER is the run's below the sitting: rounds/NN/VARIANT.

# variants_measure PLAN
variants_measure() {
	local fields number=0 count kind
	count=$(wc -l <<<"$1")
	while IFS=$'\t' read -ra fields; do
		number=$((number + 1))
		progress "$number of $count: ${fields[0]#rounds/}"
		variant_load "${fields[@]:1}"
		kind=relay
		[[ ${fields[2]} != control ]] || kind=control
		measure "$kind" "$SITTING.partial/${fields[0]}"
	done <<<"$1"
	SYSTEM=relay
	progress_end
}

# variant_load SCENARIO relay|kernel|control [KEY=VALUE]...
variant_load() {
	local change
	scenario_load "$1"
	SYSTEM=$2 OVERRIDES=()
	[[ $SYSTEM != control ]] || SYSTEM=relay # which does not run
	for change in "${@:3}"; do
		scenario_override "$1: ${change%%=*}" "${change%%=*}" "${change#*=}"
		OVERRIDES[${change%%=*}]=${change#*=}
	done
	scenario_check_reports "$1, as the variant has it"
}

# variants_check PLAN: everything that a plan asks for is understood, before anything is measured.
variants_check() {
	local fields
	while IFS=$'\t' read -ra fields; do
		variant_load "${fields[@]:1}"
	done <<<"$1"
	SYSTEM=relay OVERRIDES=() # what the last one changes is nothing that was asked for
}
