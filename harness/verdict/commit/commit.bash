# shellcheck shell=bash
# commit: the verb `verdict`.

command_verdict() {
	local dirty=()
	! host_dirty || dirty=(--dirty)
	exec /usr/bin/python3 "$HARNESS/start.py" harness.verdict.commit.commit --commit "$(host_commit)" "${dirty[@]}" "$@"
}
