// Package broker is the MQTT side of the stand-in, on mochi-mqtt: sessions, hooks, queues.
package broker

import (
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/storage/bolt"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/pires/go-proxyproto"
	"go.etcd.io/bbolt"

	"liveconnect.io/e2e/broker/internal/cluster"
	"liveconnect.io/e2e/broker/internal/config"
	"liveconnect.io/e2e/broker/internal/webhooks"
)

// hookDelay is how long after the listeners VerneMQ registers its webhooks: until then everybody is
// refused (webhooks.md).
const hookDelay = 750 * time.Millisecond

// Counters are what /metrics shows of the broker.
type Counters struct {
	Connects4, Connects5, PublishIn, PublishOut, QueueIn, QueueOut, QueueDrop, AuthErrors atomic.Int64
}

// Broker is one node's MQTT server.
type Broker struct {
	Webhooks *webhooks.Client
	Counters Counters
	Options  *Options

	conf     *config.Config
	node     *cluster.Node
	server   *mqtt.Server
	log      *slog.Logger
	data     string
	locks    sync.Map // client id to *sync.Mutex: hooks of one client come one after the other
	timers   sync.Map // *mqtt.Client to *time.Timer
	stopping atomic.Bool
	mu       sync.Mutex
	stopped  map[string]bool // listeners that are suspended
	dirty    atomic.Bool
	pems     *pemCache
}

// New makes the server; it reads its sessions and retained messages from disk.
func New(conf *config.Config, node *cluster.Node, data string, log *slog.Logger) (*Broker, error) {
	b := &Broker{Webhooks: webhooks.New(conf.Values), Options: newOptions(conf.Values), conf: conf, node: node, log: log, data: data, stopped: map[string]bool{}, pems: newPemCache()}
	quiet := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelError}))
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumInflight = 65000
	capabilities.Compatibilities.ObscureNotAuthorized = false
	capabilities.Compatibilities.NoInheritedPropertiesOnAck = true // VerneMQ sends no properties of a message back
	b.server = mqtt.New(&mqtt.Options{Capabilities: capabilities, Logger: quiet, InlineClient: true, SysTopicResendInterval: 3600})
	if err := b.server.AddHook(&events{broker: b}, nil); err != nil {
		return nil, err
	}
	options := &bolt.Options{Path: filepath.Join(data, "sessions.db"), Options: &bbolt.Options{Timeout: 5 * time.Second, NoSync: true}}
	if err := b.server.AddHook(store{new(bolt.Hook)}, options); err != nil {
		return nil, err
	}
	if _, err := os.Stat(b.mark()); err == nil {
		b.dirty.Store(true)
	}
	return b, nil
}

func (b *Broker) mark() string { return filepath.Join(b.data, "non-empty") }

// touch notes that this node has had a client: from now on it cannot join.
func (b *Broker) touch() {
	if !b.dirty.Swap(true) {
		if err := os.WriteFile(b.mark(), nil, 0o644); err != nil {
			b.log.Error("mark not written", "error", err)
		}
	}
}

// NonEmpty says whether this node has any metadata.
func (b *Broker) NonEmpty() bool { return b.dirty.Load() }

// Start opens the listeners, then registers the hooks a moment later.
func (b *Broker) Start() error {
	for _, l := range b.conf.Listeners {
		if err := b.open(l); err != nil {
			return err
		}
	}
	if err := b.server.Serve(); err != nil {
		return err
	}
	if b.conf.WebhooksOn {
		time.AfterFunc(hookDelay, func() { b.Webhooks.Register(b.conf.Hooks) })
	}
	return nil
}

// open opens a listener, if it is one for MQTT.
func (b *Broker) open(l config.Listener) error {
	settings := listeners.Config{ID: l.Name, Address: l.Address}
	switch l.Type {
	case "tcp", "ssl":
		return b.addTCP(l)
	case "ws":
		return b.server.AddListener(listeners.NewWebsocket(settings))
	case "wss":
		settings.TLSConfig = b.pems.tlsConfig(l.TLS)
		return b.server.AddListener(listeners.NewWebsocket(settings))
	}
	return nil
}

// addTCP opens a listener that is no WebSocket's. One that expects the PROXY protocol resets who comes
// without it (recorded).
func (b *Broker) addTCP(l config.Listener) error {
	raw, err := net.Listen("tcp", l.Address)
	if err != nil {
		return err
	}
	open := bounded(raw, l.Ceiling())
	switch {
	case l.Type == "ssl":
		open = tls.NewListener(open, b.pems.tlsConfig(l.TLS))
	case l.ProxyProtocol:
		require := func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil }
		open = &proxyproto.Listener{Listener: open, ConnPolicy: require, ReadHeaderTimeout: 5 * time.Second}
	}
	return b.server.AddListener(listeners.NewNet(l.Name, open))
}

// ClearPemCache makes the next handshakes read certificates anew; connections stay.
func (b *Broker) ClearPemCache() { b.pems.Clear() }

// mqttListeners are the types that a leave suspends.
var mqttListeners = map[string]bool{"tcp": true, "ws": true, "ssl": true, "wss": true}

// Stop cuts every client at once and calls no hook, like SIGTERM to VerneMQ.
func (b *Broker) Stop() {
	b.stopping.Store(true)
	_ = b.server.Close()
}

// Suspend stops the MQTT listeners; the connections stay.
func (b *Broker) Suspend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.conf.Listeners {
		if open, ok := b.server.Listeners.Get(l.Name); ok && mqttListeners[l.Type] && !b.stopped[l.Name] {
			open.Close(func(string) {})
			b.stopped[l.Name] = true
		}
	}
}

// StopListener stops one listener by its port, as `listener stop` does; the clients stay.
func (b *Broker) StopListener(port string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.conf.Listeners {
		_, own, _ := net.SplitHostPort(l.Address)
		if open, ok := b.server.Listeners.Get(l.Name); ok && own == port {
			if !b.stopped[l.Name] {
				open.Close(func(string) {})
				b.stopped[l.Name] = true
			}
			return true // again is fine, too (recorded)
		}
	}
	return false
}

// RestartListener opens a stopped listener again, as `listener restart` does; one that runs stays as
// it is (recorded).
func (b *Broker) RestartListener(port string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.conf.Listeners {
		_, own, _ := net.SplitHostPort(l.Address)
		if own != port || !mqttListeners[l.Type] {
			continue
		}
		if !b.stopped[l.Name] {
			return true
		}
		b.server.Listeners.Delete(l.Name)
		if err := b.open(l); err != nil {
			b.log.Error("listener not opened again", "listener", l.Name, "error", err)
			return false
		}
		b.server.Listeners.Serve(l.Name, b.server.EstablishConnection)
		delete(b.stopped, l.Name)
		return true
	}
	return false
}

// Suspended lists the listeners that are stopped.
func (b *Broker) Suspended() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for name := range b.stopped {
		names = append(names, name)
	}
	return names
}

// Online counts the connections of now.
func (b *Broker) Online() int {
	count := 0
	for _, cl := range b.server.Clients.GetAll() {
		if !cl.Net.Inline && !cl.Closed() {
			count++
		}
	}
	return count
}

// PerListener counts the connections of each listener, those of suspended ones too.
func (b *Broker) PerListener() map[string]int {
	counts := map[string]int{}
	for _, cl := range b.server.Clients.GetAll() {
		if !cl.Net.Inline && !cl.Closed() {
			counts[cl.Net.Listener]++
		}
	}
	return counts
}

// Sessions counts the sessions, offline ones included.
func (b *Broker) Sessions() int {
	count := 0
	for _, cl := range b.server.Clients.GetAll() {
		if !cl.Net.Inline {
			count++
		}
	}
	return count
}

// Subscriptions counts this node's subscriptions.
func (b *Broker) Subscriptions() int64 { return atomic.LoadInt64(&b.server.Info.Subscriptions) }

// Retained counts retained messages.
func (b *Broker) Retained() int64 { return atomic.LoadInt64(&b.server.Info.Retained) }

// Disconnect ends a client's connection; with cleanup its session goes too. Nobody is fine.
func (b *Broker) Disconnect(clientID string, cleanup bool) {
	cl, ok := b.server.Clients.Get(clientID)
	if !ok {
		return
	}
	b.cut(cl)
	if cleanup {
		b.forget(cl)
	}
}

// Reauthorize asks about each subscription of a session of this node by itself, as the user that is
// named; refused ones are taken away, and the connection goes on (seen at VerneMQ 2.1.2, which does
// it for every node's sessions). It tells whether that changed anything.
func (b *Broker) Reauthorize(user, clientID string) bool {
	cl, ok := b.server.Clients.Get(clientID)
	if !ok {
		return false
	}
	changed := false
	for filter, sub := range cl.State.Subscriptions.GetAll() {
		ask := subscribeBody(cl, packets.Subscriptions{sub})
		ask["username"] = user
		if _, err := b.Webhooks.Ask("auth_on_subscribe"+suffix(cl), ask); err == nil {
			continue
		}
		if b.server.Topics.Unsubscribe(filter, cl.ID) {
			atomic.AddInt64(&b.server.Info.Subscriptions, -1)
		}
		cl.State.Subscriptions.Delete(filter)
		changed = true
	}
	return changed
}

func (b *Broker) cut(cl *mqtt.Client) {
	if !cl.Closed() {
		_ = b.server.DisconnectClient(cl, packets.ErrAdministrativeAction)
	}
}

func (b *Broker) forget(cl *mqtt.Client) {
	cl.ClearInflights()
	b.server.UnsubscribeClient(cl)
	b.server.Clients.Delete(cl.ID)
}

func (b *Broker) lock(clientID string) *sync.Mutex {
	found, _ := b.locks.LoadOrStore(clientID, &sync.Mutex{})
	lock, _ := found.(*sync.Mutex)
	return lock
}

// reset closes a connection so that the client sees a reset, not an orderly end.
func reset(cl *mqtt.Client) {
	if conn, ok := cl.Net.Conn.(interface{ SetLinger(int) error }); ok {
		_ = conn.SetLinger(0)
	}
	cl.Stop(packets.ErrNotAuthorized)
}
