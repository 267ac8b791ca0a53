#!/bin/sh
# Runs after all tests, with gotestsum's counts in the environment: a skipped test proves nothing, so it fails
# the run like a failed one.
if [ "$TESTS_TOTAL" -eq 0 ]; then
	echo "no test ran" >&2
	exit 1
fi
if [ "$TESTS_SKIPPED" -gt 0 ]; then
	echo "$TESTS_SKIPPED tests were skipped: see 'Skipped' above; let each say what it needs, or give it that" >&2
	exit 1
fi
