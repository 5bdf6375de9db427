module liveconnect.io/e2e/broker

go 1.25.0

require (
	github.com/mochi-mqtt/server/v2 v2.7.9
	github.com/pires/go-proxyproto v0.8.1
	go.etcd.io/bbolt v1.5.0
)

require (
	github.com/gorilla/websocket v1.5.0 // indirect
	github.com/rs/xid v1.4.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
)
