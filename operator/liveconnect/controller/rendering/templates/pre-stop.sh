#!/bin/sh
# Before a broker is stopped, whoever asked for it: its listeners close and its clients are cut with
# their hooks. SIGTERM cuts them without a word (recorded), and they would stay online in presence.
# Never a leave: the pod comes back with its disk. Whatever fails here, the stop goes on.
key=$(cat /etc/liveconnect/secret/api-key)
for port in $MQTT_PORTS; do
  printf 'user = "%s:"\n' "$key" | curl -fsS -m 5 -o /dev/null -K - \
    "http://127.0.0.1:8888/api/v1/listener/stop?address=0.0.0.0&port=$port&--kill_sessions" || true
done
# The hooks of the last clients are on their way.
sleep 1
