package broker

import (
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// mounted begins client ids and topics of listeners with a mountpoint, inside this server: VerneMQ
// separates both by it (configuration.md), mochi knows nothing like it. Nobody outside sees it.
const mounted = "$mount/"

// inside is what a client id or a topic is called within the server.
func inside(mountpoint, name string) string {
	if mountpoint == "" {
		return name
	}
	return mounted + mountpoint + "/" + name
}

// outside is the mountpoint, and what clients and hooks call it.
func outside(name string) (mountpoint, plain string) {
	rest, found := strings.CutPrefix(name, mounted)
	if !found {
		return "", name
	}
	mountpoint, plain, _ = strings.Cut(rest, "/")
	return mountpoint, plain
}

// mountpoint is that of the listener that a client came by.
func (b *Broker) mountpoint(cl *mqtt.Client) string {
	for _, l := range b.conf.Listeners {
		if l.Name == cl.Net.Listener {
			return l.Mountpoint
		}
	}
	return ""
}

// OnSelectSubscribers keeps messages within their mountpoint: `#` means everything in its own.
func (e *events) OnSelectSubscribers(subs *mqtt.Subscribers, pk packets.Packet) *mqtt.Subscribers {
	here, _ := outside(pk.TopicName)
	for id := range subs.Subscriptions {
		if there, _ := outside(id); there != here {
			delete(subs.Subscriptions, id)
		}
	}
	return subs
}

// OnUnsubscribe names the filters as they are called inside.
func (e *events) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	mountpoint, _ := outside(cl.ID)
	for i := range pk.Filters {
		pk.Filters[i].Filter = inside(mountpoint, pk.Filters[i].Filter)
	}
	return pk
}

// OnPacketEncode names the topic as the client knows it.
func (e *events) OnPacketEncode(_ *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type == packets.Publish {
		_, pk.TopicName = outside(pk.TopicName)
	}
	return pk
}
