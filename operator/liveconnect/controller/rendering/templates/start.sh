#!/bin/sh
# Start of a broker pod. Membership is the operator's: nothing here joins or leaves, and a stop is
# just a stop. Secrets go from their files into files that only the broker reads, never into argv.
set -eu
umask 077
# PID 1 gets no signal that it does not ask for, and what it becomes would not ask before it has
# booted: a pod that is deleted in its first seconds would sit out its grace period.
trap 'exit 143' TERM
from=/etc/liveconnect/broker
etc=/vernemq/etc
node="VerneMQ@${POD_NAME}.${NODES_DOMAIN}"

life=$(sed -n "s|^${POD_NAME} ||p" "$from/lives")
if [ -n "$life" ]; then sh "$from/set-aside.sh" /vernemq/data "$life"; fi

sed -e "s|@NODE@|${node}|g" -e "s|@POD@|${POD_NAME}|g" -e "s|@POD_IP@|${POD_IP}|g" \
  "$from/vernemq.conf" > "$etc/vernemq.conf"

# A kubelet may still have the Secret of before a rotation: a node with the old cookie would be alone.
secret=/etc/liveconnect/secret
until [ "$(printf '"%s"' "$(cat "$secret/cookie")" | sha256sum | cut -c1-16)" = "$COOKIE_DIGEST" ]; do
  echo "waiting for the cookie that this pod was made for"
  sleep 1
done

# Erlang reads the cookie from here when no -setcookie is given: that would be seen in `ps`.
rm -f "$HOME/.erlang.cookie"
cat "$secret/cookie" > "$HOME/.erlang.cookie"
chmod 400 "$HOME/.erlang.cookie"
# Two while they are rotated.
keys=
for file in api-key api-key-next api-key-previous; do
  [ -s "$secret/$file" ] || continue
  keys="${keys:+$keys, }{<<\"$(cat "$secret/$file")\">>, \"mgmt\", undefined}"
done
cat > "$etc/vm.args" <<END
-name ${node}
+P 512000
+Q 512000
+K true
+A 64
+W w
+sbwt none
-env ERL_MAX_PORTS 512000
-env ERL_CRASH_DUMP /vernemq/log/erl_crash.dump
-kernel inet_dist_listen_min 9100
-kernel inet_dist_listen_max 9109
END
# The key is part of the node's own configuration: added at run time it would be replicated
# metadata, and a node that has any can no longer join (non_empty_node).
cat > "$etc/advanced.config" <<END
[{vmq_server, [{http_endpoint_api_keys, [${keys}]}]}].
END
unset keys
/vernemq/bin/vernemq console -noshell -noinput &
broker=$!
trap 'kill -TERM "$broker" 2> /dev/null || true' TERM
code=0
while kill -0 "$broker" 2> /dev/null; do
  code=0
  wait "$broker" || code=$?
done
if [ "$code" = 1 ]; then
  # VerneMQ does not say which of its options it cannot read, and why, until it is asked. The
  # object's status quotes this; never the log, which may hold what clients sent.
  /vernemq/bin/vernemq config generate -l debug 2>&1 |
    sed -n '/Error generating configuration/,$s/.*\[error\] /vernemq.conf: /p' |
    tail -n 3 | tee /dev/termination-log
fi
exit "$code"
