package cluster

import (
	"fmt"
	"net"
	"net/rpc"
	"strings"
	"time"
)

// Message is a published message on its way to the other nodes.
type Message struct {
	Topic   string
	Payload []byte
	Qos     byte
	Retain  bool
	Props   []byte // MQTT 5 properties, encoded by the broker
	Origin  string
}

// Subscription is one filter of a session.
type Subscription struct {
	Filter string
	Qos    byte
}

// Session is a session on its way to another node.
type Session struct {
	ClientID      string
	Exists        bool
	Clean         bool
	Version       byte
	Expiry        uint32
	Subscriptions []Subscription
	Queue         []Message
}

// Row is a session as `session show` lists it.
type Row struct {
	ClientID, Node, User, PeerHost string
	Mountpoint                     string
	PeerPort, Offline, Protocol    int
	Online, Clean                  bool
	Topics                         []string
}

// Local is what a node can do with its own sessions.
type Local interface {
	Deliver(Message)
	Release(clientID string, clean bool) Session
	Import(Session)
	Export() []Session
	CutAll()
	Suspend()
	Disconnect(clientID string, cleanup bool)
	Rows() []Row
	NonEmpty() bool
}

// Call is every request between nodes: who asks, and the cookie.
type Call struct {
	From, Cookie, ClientID, Node string
	Clean                        bool
	Members, Keys                []string
	Messages                     []Message
	Session                      Session
}

// Reply is every answer.
type Reply struct {
	Address string // where this node says that messages reach it
	Members []string
	Session Session
	Rows    []Row
	Ok      bool
}

// Service is what a node offers to its peers.
type Service struct{ node *Node }

func (s *Service) check(call Call) error {
	if call.Cookie != s.node.cookie {
		return fmt.Errorf("connection attempt from node %s rejected: invalid challenge reply", call.From)
	}
	return nil
}

// Ping keeps the link and carries the sender's member list.
func (s *Service) Ping(call Call, reply *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	s.node.gossip(call.From, call.Members)
	reply.Members, reply.Address = s.node.Members(), s.node.address
	return nil
}

// Add takes a new member in.
func (s *Service) Add(call Call, reply *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	s.node.add(call.Node)
	reply.Members = s.node.Members()
	return nil
}

// Remove takes a member out.
func (s *Service) Remove(call Call, _ *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	s.node.remove(call.Node)
	return nil
}

// Deliver hands messages over.
func (s *Service) Deliver(call Call, reply *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	if s.node.Synced() { // otherwise nobody knows of the subscriptions here: nothing would come
		for _, message := range call.Messages {
			s.node.local.Deliver(message)
		}
	}
	reply.Ok = true
	return nil
}

// Release gives a session away to the node that its client connected to.
func (s *Service) Release(call Call, reply *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	reply.Session = s.node.local.Release(call.ClientID, call.Clean)
	return nil
}

// Import takes a migrated session.
func (s *Service) Import(call Call, reply *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	s.node.local.Import(call.Session)
	reply.Ok = true
	return nil
}

// Suspend stops this node's listeners.
func (s *Service) Suspend(call Call, _ *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	s.node.local.Suspend()
	return nil
}

// Evacuate makes this node leave.
func (s *Service) Evacuate(call Call, _ *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	return s.node.evacuate()
}

// Disconnect ends one client's connection.
func (s *Service) Disconnect(call Call, _ *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	s.node.local.Disconnect(call.ClientID, call.Clean)
	return nil
}

// Rows lists this node's sessions.
func (s *Service) Rows(call Call, reply *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	reply.Rows = s.node.local.Rows()
	return nil
}

// dial connects to a node by its name; the name is resolved anew each time.
func (n *Node) dial(name string) (*rpc.Client, error) {
	_, host, _ := strings.Cut(name, "@")
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, n.portOf(host)), 2*time.Second)
	if err != nil {
		return nil, err
	}
	return rpc.NewClient(conn), nil
}

// portOf is the clustering port: the same on every node.
func (n *Node) portOf(string) string {
	_, port, _ := net.SplitHostPort(n.address)
	return port
}

// call asks a client and gives up after a while.
func call(client *rpc.Client, method string, request Call, reply *Reply, limit time.Duration) error {
	done := client.Go("Service."+method, request, reply, make(chan *rpc.Call, 1))
	select {
	case <-done.Done:
		return done.Error
	case <-time.After(limit):
		return fmt.Errorf("%s: no answer within %s", method, limit)
	}
}
