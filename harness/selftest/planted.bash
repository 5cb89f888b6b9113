# shellcheck shell=bash
# planted: the verb `planted`.

command_planted() {
	exec /usr/bin/python3 "$HARNESS/start.py" harness.selftest.planted "$@"
}
