#!/bin/sh
# The password goes from its Secret into a file that only the store reads, never into argv.
set -eu
umask 077
# Not cp: it would keep the mode of the read-only ConfigMap file, and a restart could not write.
{
  cat /etc/liveconnect/presence/valkey.conf
  printf 'requirepass %s\n' "$(cat /etc/liveconnect/secret/password)"
} > /run/liveconnect/valkey.conf
server=$(command -v valkey-server || command -v redis-server)
exec "$server" /run/liveconnect/valkey.conf
