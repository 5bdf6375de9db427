package broker

import (
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"liveconnect.io/e2e/broker/internal/cluster"
)

// takeOverDelay is how late the old node's *gone* comes after a take-over by another node.
const takeOverDelay = 250 * time.Millisecond

// Deliver gives a routed message to this node's own subscribers.
func (b *Broker) Deliver(m cluster.Message) {
	b.Counters.QueueIn.Add(1)
	inline, _ := b.server.Clients.Get(mqtt.InlineClientId)
	_ = b.server.InjectPacket(inline, packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: m.Qos, Retain: m.Retain},
		TopicName:   m.Topic, Payload: m.Payload, Properties: decodeProperties(m.Props),
		PacketID: uint16(m.Qos), // nobody acknowledges it, but it has to have one
	})
}

// Release hands a client's session to the node that it has just connected to.
func (b *Broker) Release(clientID string, clean bool) cluster.Session {
	cl, ok := b.server.Clients.Get(clientID)
	if !ok || cl.Net.Inline {
		return cluster.Session{}
	}
	online := !cl.Closed()
	session := export(cl)
	if clean {
		session.Queue, session.Subscriptions = nil, nil
	}
	if online {
		b.timers.Store(cl, "taken")
		_ = b.server.DisconnectClient(cl, packets.ErrSessionTakenOver)
	}
	b.forget(cl)
	return session
}

// Import makes an offline session of what another node had.
func (b *Broker) Import(session cluster.Session) {
	b.touch()
	cl := b.server.NewClient(nil, "cluster", session.ClientID, false)
	cl.Properties.Clean = session.Clean
	cl.Properties.ProtocolVersion = session.Version
	cl.Properties.Props.SessionExpiryInterval = session.Expiry
	cl.Properties.Props.SessionExpiryIntervalFlag = session.Version == 5
	cl.Stop(packets.ErrServerShuttingDown)
	b.server.Clients.Add(cl)
	for _, s := range session.Subscriptions {
		sub := packets.Subscription{Filter: s.Filter, Qos: s.Qos}
		b.server.Topics.Subscribe(cl.ID, sub)
		cl.State.Subscriptions.Add(s.Filter, sub)
	}
	for _, m := range session.Queue {
		id, err := cl.NextPacketID()
		if err != nil {
			b.Counters.QueueDrop.Add(1)
			continue
		}
		cl.State.Inflight.Set(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: m.Qos, Retain: m.Retain},
			TopicName:   m.Topic, Payload: m.Payload, PacketID: uint16(id), Created: time.Now().Unix(),
			ProtocolVersion: session.Version, Properties: decodeProperties(m.Props),
		})
	}
}

// Export lists the persistent sessions, to be migrated.
func (b *Broker) Export() []cluster.Session {
	var sessions []cluster.Session
	for _, cl := range b.server.Clients.GetAll() {
		if !cl.Net.Inline && persistent(cl) {
			sessions = append(sessions, export(cl))
		}
	}
	return sessions
}

// CutAll ends every connection and waits until the hooks were told.
func (b *Broker) CutAll() {
	for _, cl := range b.server.Clients.GetAll() {
		if !cl.Net.Inline && !cl.Closed() {
			reset(cl)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for b.Online() > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
}

// Rows lists this node's sessions.
func (b *Broker) Rows() []cluster.Row {
	var rows []cluster.Row
	for _, cl := range b.server.Clients.GetAll() {
		if cl.Net.Inline {
			continue
		}
		host, port := remote(cl)
		mountpoint, clientID := outside(cl.ID)
		row := cluster.Row{
			ClientID: clientID, Mountpoint: mountpoint, Node: b.node.Name, Online: !cl.Closed(), Clean: !persistent(cl),
			User: string(cl.Properties.Username), PeerHost: host, PeerPort: port, Protocol: int(cl.Properties.ProtocolVersion),
		}
		if !row.Online {
			row.Offline = cl.State.Inflight.Len()
		}
		for filter := range cl.State.Subscriptions.GetAll() {
			_, plain := outside(filter)
			row.Topics = append(row.Topics, plain)
		}
		rows = append(rows, row)
	}
	return rows
}

func persistent(cl *mqtt.Client) bool {
	if cl.Properties.ProtocolVersion == 5 {
		return cl.Properties.Props.SessionExpiryInterval > 0
	}
	return !cl.Properties.Clean
}

func export(cl *mqtt.Client) cluster.Session {
	session := cluster.Session{
		ClientID: cl.ID, Exists: true, Clean: cl.Properties.Clean, Version: cl.Properties.ProtocolVersion,
		Expiry: cl.Properties.Props.SessionExpiryInterval,
	}
	for _, sub := range cl.State.Subscriptions.GetAll() {
		session.Subscriptions = append(session.Subscriptions, cluster.Subscription{Filter: sub.Filter, Qos: sub.Qos})
	}
	for _, pk := range cl.State.Inflight.GetAll(false) {
		if pk.FixedHeader.Type == packets.Publish {
			session.Queue = append(session.Queue, cluster.Message{
				Topic: pk.TopicName, Payload: pk.Payload, Qos: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain,
				Props: encodeProperties(pk),
			})
		}
	}
	return session
}
