// Package cluster makes several brokers one: member list, routing, session take-over, migration.
package cluster

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/rpc"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"liveconnect.io/e2e/broker/internal/config"
)

// ErrNonEmpty is why a node with any state cannot join (operations.md).
var ErrNonEmpty = errors.New("non_empty_node")

const (
	pingEvery = 500 * time.Millisecond
	// VerneMQ gives a node that is silent 70 s (operations.md). Here the others go on without it sooner,
	// but not as soon as a busy machine stands still: a session's queue that it did not hand over is lost.
	askTimeout = 4 * time.Second
	// A member that was removed is not taken from another's list for so long: that list may be
	// older than the removal. VerneMQ's list knows by itself which is the newer.
	removedFor = 5 * time.Second
)

// Node is this node and what it knows of the others.
type Node struct {
	Name            string
	cookie, address string
	file, keysFile  string
	joinDelay       time.Duration
	local           Local
	log             *slog.Logger
	onLeft          func()

	mu      sync.Mutex
	members map[string]bool
	removed map[string]time.Time
	peers   map[string]*peer
	left    bool
	synced  atomic.Bool
	syncing sync.Once

	Detected, Resolved, Sent, Received, Dropped atomic.Int64
}

// New reads the member list from disk; a fresh node knows only itself.
func New(conf *config.Config, data string, log *slog.Logger) (*Node, error) {
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	n := &Node{
		Name: conf.NodeName, cookie: conf.Cookie, joinDelay: conf.JoinDelay, log: log,
		file: filepath.Join(data, "members.json"), keysFile: filepath.Join(data, "api-keys.json"), members: map[string]bool{}, removed: map[string]time.Time{}, peers: map[string]*peer{},
	}
	for _, listener := range conf.Listeners {
		if listener.Type == "vmq" {
			n.address = listener.Address
		}
	}
	var names []string
	if raw, err := os.ReadFile(n.file); err == nil {
		if err := json.Unmarshal(raw, &names); err != nil {
			return nil, err
		}
	}
	for _, name := range append(names, n.Name) {
		n.members[name] = true
	}
	_, err := os.Stat(n.file + ".synced")
	n.synced.Store(err == nil)
	return n, nil
}

// Synced says whether this node takes part in everything: after a join VerneMQ first reads the
// others' metadata, tells nobody of its own subscriptions meanwhile, and hears of nobody's.
func (n *Node) Synced() bool { return n.synced.Load() }

// sync ends that phase some time after the first link to a member is up; the disk remembers it.
func (n *Node) sync() {
	n.syncing.Do(func() {
		time.AfterFunc(n.joinDelay, func() {
			if err := os.WriteFile(n.file+".synced", nil, 0o644); err != nil {
				n.log.Error("sync not noted", "error", err)
			}
			n.synced.Store(true)
			n.log.Info("initial sync finished")
		})
	})
}

// Attach gives the node its sessions.
func (n *Node) Attach(local Local) { n.local = local }

// OnLeft is called once the node has left.
func (n *Node) OnLeft(f func()) { n.onLeft = f }

// Listen serves the peers and begins to look for the members.
func (n *Node) Listen() error {
	listener, err := net.Listen("tcp", n.address)
	if err != nil {
		return err
	}
	server := rpc.NewServer()
	if err := server.Register(&Service{node: n}); err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(conn)
		}
	}()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.connect()
	return nil
}

// connect starts a link to every member that has none; the lock is held.
func (n *Node) connect() {
	for name := range n.members {
		if name != n.Name && n.peers[name] == nil {
			n.peers[name] = newPeer(n, name)
		}
	}
}

// Members lists the names, sorted.
func (n *Node) Members() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := make([]string, 0, len(n.members))
	for name := range n.members {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Running says of every member whether it answers.
func (n *Node) Running() map[string]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	running := map[string]bool{}
	for name := range n.members {
		running[name] = name == n.Name || n.peers[name] != nil && n.peers[name].up.Load()
	}
	return running
}

// Whole says whether every member answers.
func (n *Node) Whole() bool {
	for _, up := range n.Running() {
		if !up {
			return false
		}
	}
	return true
}

func (n *Node) save() {
	names := make([]string, 0, len(n.members))
	for name := range n.members {
		names = append(names, name)
	}
	raw, _ := json.Marshal(names)
	if err := os.WriteFile(n.file, raw, 0o644); err != nil {
		n.log.Error("member list not saved", "error", err)
	}
}

func (n *Node) add(names ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	changed := false
	for _, name := range names {
		delete(n.removed, name)
		if !n.members[name] {
			n.members[name], changed = true, true
		}
	}
	if changed {
		n.save()
		n.connect()
	}
}

func (n *Node) remove(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name == n.Name || !n.members[name] {
		return
	}
	delete(n.members, name)
	n.removed[name] = time.Now()
	if p := n.peers[name]; p != nil {
		p.stop()
		delete(n.peers, name)
	}
	n.save()
}

// gossip brings a member with an empty disk back: the others still list it and tell it who they are.
func (n *Node) gossip(from string, members []string) {
	n.mu.Lock()
	lone, left := len(n.members) == 1, n.left
	n.mu.Unlock()
	mine := false
	for _, name := range members {
		mine = mine || name == n.Name
	}
	members = n.current(members)
	if mine && lone && !left && !n.nonEmpty() {
		n.add(members...)
	} else if mine && n.knows(from) {
		n.add(members...)
	}
}

// current leaves out who was removed a moment ago.
func (n *Node) current(members []string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	kept := make([]string, 0, len(members))
	for _, name := range members {
		if at, gone := n.removed[name]; !gone || time.Since(at) > removedFor {
			kept = append(kept, name)
		}
	}
	return kept
}

func (n *Node) knows(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.members[name]
}

// Join asks a member to take this node in. It says so before the lists agree, as VerneMQ does.
func (n *Node) Join(discovery string) error {
	if discovery == n.Name {
		return errors.New("self_join")
	}
	if len(n.Members()) > 1 || n.nonEmpty() {
		return ErrNonEmpty
	}
	client, err := n.dial(discovery)
	if err != nil {
		return err
	}
	defer client.Close()
	var reply Reply
	if err := call(client, "Ping", n.request(Call{}), &reply, askTimeout); err != nil {
		return err
	}
	go func() {
		time.Sleep(n.joinDelay)
		client, err := n.dial(discovery)
		if err != nil {
			return
		}
		defer client.Close()
		var reply Reply
		if call(client, "Add", n.request(Call{Node: n.Name}), &reply, askTimeout) == nil {
			n.add(reply.Members...)
			n.tell("Add", Call{Node: n.Name})
		}
	}()
	return nil
}

// Leave is `cluster leave`: suspend a live node, or let it go with its sessions, or forget a dead one.
func (n *Node) Leave(name string, kill bool) error {
	if !n.knows(name) {
		return nil // says Done too, as recorded
	}
	if name == n.Name {
		if !kill {
			n.local.Suspend()
			return nil
		}
		return n.evacuate()
	}
	p := n.peer(name)
	if p == nil || !p.up.Load() {
		n.tell("Remove", Call{Node: name})
		n.remove(name)
		return nil
	}
	method := "Suspend"
	if kill {
		method = "Evacuate"
	}
	var reply Reply
	return p.ask(method, Call{}, &reply, 60*time.Second)
}

// evacuate cuts the clients, gives the queues away, and ends the node.
func (n *Node) evacuate() error {
	n.mu.Lock()
	n.left = true
	n.mu.Unlock()
	n.local.Suspend()
	n.local.CutAll()
	names := []string{}
	for name, up := range n.Running() {
		if up && name != n.Name {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return errors.New("no other node is running")
	}
	sort.Strings(names)
	for i, session := range n.local.Export() {
		var reply Reply
		target := n.peer(names[i%len(names)])
		if target == nil {
			return errors.New("a node went away during the migration: retry")
		}
		if err := target.ask("Import", Call{Session: session}, &reply, 10*time.Second); err != nil {
			return err
		}
	}
	n.tell("Remove", Call{Node: n.Name})
	n.mu.Lock()
	n.members = map[string]bool{n.Name: true}
	n.save()
	n.mu.Unlock()
	go func() {
		time.Sleep(time.Second)
		n.onLeft()
	}()
	return nil
}

// Route sends a message to every other member; what a member cannot get now waits for it. Whoever is
// not in sync knows of no subscription there, so that the message is acknowledged and lost.
func (n *Node) Route(message Message) {
	if !n.Synced() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.peers {
		p.send(message)
	}
}

// Lists are the member lists of this node and of all that answer, by name.
func (n *Node) Lists() map[string]map[string]bool {
	lists := map[string]map[string]bool{n.Name: n.Running()}
	for _, p := range n.running() {
		var reply Reply
		if p.ask("Ping", Call{}, &reply, askTimeout) != nil {
			continue
		}
		theirs := map[string]bool{}
		for _, name := range reply.Members {
			theirs[name] = true
		}
		lists[p.name] = theirs
	}
	return lists
}

// Fetch takes a client's session over from whoever has it.
func (n *Node) Fetch(clientID string, clean bool) Session {
	found := Session{ClientID: clientID}
	for _, p := range n.running() {
		var reply Reply
		if p.ask("Release", Call{ClientID: clientID, Clean: clean}, &reply, askTimeout) == nil && reply.Session.Exists {
			found = reply.Session
		}
	}
	return found
}

// Disconnect ends a client's connection on whatever node it is.
func (n *Node) Disconnect(clientID string, cleanup bool) {
	n.local.Disconnect(clientID, cleanup)
	n.tell("Disconnect", Call{ClientID: clientID, Clean: cleanup})
}

// Rows lists the sessions of all nodes.
func (n *Node) Rows() []Row {
	rows := n.local.Rows()
	for _, p := range n.running() {
		var reply Reply
		if p.ask("Rows", Call{}, &reply, askTimeout) == nil {
			rows = append(rows, reply.Rows...)
		}
	}
	return rows
}

func (n *Node) running() []*peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	var up []*peer
	for _, p := range n.peers {
		if p.up.Load() {
			up = append(up, p)
		}
	}
	return up
}

func (n *Node) peer(name string) *peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.peers[name]
}

func (n *Node) tell(method string, request Call) {
	for _, p := range n.running() {
		var reply Reply
		if err := p.ask(method, request, &reply, askTimeout); err != nil {
			n.log.Warn("peer not told", "method", method, "peer", p.name, "error", err)
		}
	}
}

func (n *Node) request(c Call) Call {
	c.From, c.Cookie, c.Members = n.Name, n.cookie, n.Members()
	return c
}
