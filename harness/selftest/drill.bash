# shellcheck shell=bash
# drill: the verb `drill`.

command_drill() {
	exec /usr/bin/python3 "$HARNESS/start.py" harness.selftest.drill "$@"
}
