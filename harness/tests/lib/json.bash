# shellcheck shell=bash
# json: reports of programs, asked many things at once: each process takes longer to start than most of what is tested.

# assert_json FILE FILTER=VALUE...: what gojq's FILTER finds in FILE is VALUE, as compact JSON with its keys in order. The last "="
# parts them.
assert_json() {
	local pair text filters=() found i=0
	for pair in "${@:2}"; do
		filters+=("(${pair%=*})")
	done
	text=$(IFS=, && gojq -c "${filters[*]}" "$1") || fail "cannot read $1"
	mapfile -t found <<<"$text"
	assert_equal "${#found[@]} values" "${#filters[@]} values"
	for pair in "${@:2}"; do
		assert_equal "${pair%=*}=${found[i]}" "$pair"
		i=$((i + 1))
	done
}
