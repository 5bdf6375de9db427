#!/bin/sh
# The password goes from its Secret into a file that only the store reads, never into argv.
set -eu
umask 077
cp /etc/liveconnect/presence/valkey.conf /run/liveconnect/valkey.conf
printf 'requirepass %s\n' "$(cat /etc/liveconnect/secret/password)" >> /run/liveconnect/valkey.conf
server=$(command -v valkey-server || command -v redis-server)
exec "$server" /run/liveconnect/valkey.conf
