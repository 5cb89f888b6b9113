# shellcheck shell=bash
# fastpath: the verb `fastpath`: the table of targets.

# Each row's variants in turn, round by round; see fastpath.py.
command_fastpath() {
	local targets plan status=0
	parse_options '--rounds --only --base' "$@"
	ROUNDS=${ROUNDS:-7}
	terms_default --rounds "$ROUNDS" 7
	((${#ONLY[@]} == 0)) || UNOFFICIAL+=("${ONLY[*]}")
	((${#ARGUMENTS[@]} == 0)) || refuse "unexpected argument '${ARGUMENTS[0]}'"
	terms_take fastpath "$@"
	targets=$SCENARIOS/fastpath.json
	plan=$(python harness.verdict.fastpath.fastpath plan "$targets" --rounds "$ROUNDS" "${ONLY[@]}" 2>&1) ||
		die "$?" "${plan#fastpath.py: }; see 'harness/bench help'" # 64, unless it crashed
	variants_check "$plan"
	FREE_MB=200
	sitting_open fastpath fastpath "$@"
	variants_measure "$plan"
	python harness.verdict.fastpath.fastpath judge "$targets" "$SITTING.partial" --rounds "$ROUNDS" "${ONLY[@]}" || status=$?
	sitting_finish fastpath - "$status"
}
