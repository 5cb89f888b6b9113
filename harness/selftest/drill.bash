# shellcheck shell=bash
# drill: the verb `drill`.

command_drill() {
	exec /usr/bin/python3 -m harness.selftest.drill "$@"
}
