# shellcheck shell=bash
# topology: which there are, and which version of them. A topology is a file beside this one that says what its hops are.

topology_exists() {
	grep -qs '^topology_hops=' "$HARNESS/topology/$1.bash"
}

# topology_version: a condition of every figure: who is linked to whom, and how.
topology_version() {
	local file files=()
	for file in "$HARNESS"/topology/*.bash; do
		! grep -q '^topology_hops=' "$file" || files+=("$file")
	done
	cat "${files[@]}" "$HARNESS/topology/links.bash" | sha256sum | cut -c1-16
}
