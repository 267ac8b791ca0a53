#!/bin/sh
# Sees to the programs of a PostgreSQL server, from which tests start servers of their own: installs them where that
# can be done, and says what to install where not.
present() {
	command -v initdb >/dev/null && command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}
present && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql
	present && exit 0
fi
echo "the tests need the programs initdb and postgres of a PostgreSQL server, on the PATH or in /usr/lib/postgresql/*/bin:" \
	"install them, for example with 'sudo apt-get install postgresql' or 'brew install postgresql'" >&2
exit 1
