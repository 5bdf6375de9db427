package cluster

import (
	"errors"
	"net/rpc"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// queueLimit bounds what waits for a member that is away; beyond it messages are dropped.
const queueLimit = 100_000

// peer is the link to one member.
type peer struct {
	name   string
	node   *Node
	up     atomic.Bool
	astray atomic.Bool // it says 0.0.0.0: VerneMQ would send its messages to itself
	queue  chan Message
	ended  chan struct{}
	once   sync.Once
	mu     sync.Mutex
	client *rpc.Client
}

func newPeer(n *Node, name string) *peer {
	p := &peer{name: name, node: n, queue: make(chan Message, queueLimit), ended: make(chan struct{})}
	go p.keep()
	go p.deliver()
	return p
}

func (p *peer) stop() { p.once.Do(func() { close(p.ended) }) }

func (p *peer) send(message Message) {
	if p.astray.Load() {
		return
	}
	select {
	case p.queue <- message:
	default:
		p.node.Dropped.Add(int64(len(message.Payload)))
	}
}

// keep pings the member, and connects anew when it does not answer.
func (p *peer) keep() {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		var reply Reply
		err := p.ask("Ping", Call{}, &reply, askTimeout)
		p.astray.Store(err == nil && strings.HasPrefix(reply.Address, "0.0.0.0:"))
		if err == nil {
			p.node.sync()
		}
		if was := p.up.Swap(err == nil); was != (err == nil) {
			if err != nil {
				p.node.Detected.Add(1)
				p.node.log.Warn("netsplit detected", "node", p.name, "error", err)
			} else {
				p.node.Resolved.Add(1)
				p.node.log.Info("cluster link up", "node", p.name)
			}
		}
		select {
		case <-p.ended:
			p.reset()
			return
		case <-ticker.C:
		}
	}
}

// deliver sends what waits, in order, in batches, until the member has it.
func (p *peer) deliver() {
	for {
		var batch []Message
		select {
		case <-p.ended:
			return
		case first := <-p.queue:
			batch = append(batch, first)
		}
		for len(batch) < 256 && len(p.queue) > 0 {
			batch = append(batch, <-p.queue)
		}
		for {
			var reply Reply
			if p.ask("Deliver", Call{Messages: batch}, &reply, 10*time.Second) == nil {
				p.node.Sent.Add(int64(len(batch)))
				break
			}
			select {
			case <-p.ended:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

func (p *peer) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client != nil {
		p.client.Close()
		p.client = nil
	}
}

func (p *peer) connection() (*rpc.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil {
		client, err := p.node.dial(p.name)
		if err != nil {
			return nil, err
		}
		p.client = client
	}
	return p.client, nil
}

func (p *peer) ask(method string, request Call, reply *Reply, limit time.Duration) error {
	client, err := p.connection()
	if err != nil {
		return err
	}
	err = call(client, method, p.node.request(request), reply, limit)
	var remote rpc.ServerError
	if err != nil && !errors.As(err, &remote) {
		p.reset()
	}
	return err
}
