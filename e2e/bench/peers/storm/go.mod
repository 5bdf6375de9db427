module liveconnect.io/e2e/bench/peers/storm

go 1.25.0

require github.com/mochi-mqtt/server/v2 v2.7.9
