package broker

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"liveconnect.io/e2e/broker/internal/cluster"
	"liveconnect.io/e2e/broker/internal/webhooks"
)

// denied marks a filter that the auth hook refused, on its way through mochi.
const denied = "$lc-denied/"

// events turns mochi's hooks into VerneMQ's, in VerneMQ's order.
type events struct {
	mqtt.HookBase
	broker *Broker
}

// ID names the hook.
func (e *events) ID() string { return "vernemq-contract" }

// Provides says that all events are wanted.
func (e *events) Provides(byte) bool { return true }

// The store's part is not ours: mochi asks every hook.
func (e *events) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

var errRefused = errors.New("refused")

// OnConnect is CONNECT: the cluster must be whole, the auth hook must permit it.
func (e *events) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	b := e.broker
	if pk.ProtocolVersion == 5 {
		b.Counters.Connects5.Add(1)
	} else {
		b.Counters.Connects4.Add(1)
	}
	if pk.Properties.AuthenticationMethod != "" {
		// on_auth_m5 has no answer that VerneMQ would take (docs/adr/0014).
		reset(cl)
		return errRefused
	}
	if pk.Connect.ClientIdentifier == "" {
		cl.ID = "anon-" + cl.ID
	}
	if len(cl.ID) > b.Options.number("max_client_id_size") {
		_ = b.server.SendConnack(cl, packets.ErrClientIdentifierNotValid, false, nil)
		return errRefused
	}
	cl.ID = inside(b.mountpoint(cl), cl.ID)
	if !b.Options.on("allow_register_during_netsplit") && !b.node.Whole() {
		_ = b.server.SendConnack(cl, packets.ErrServerUnavailable, false, nil)
		return errRefused
	}
	if b.conf.AllowAnonymous {
		return nil
	}
	answer, err := b.Webhooks.Ask("auth_on_register"+suffix(cl), registerBody(cl, pk))
	var lifetime int
	if err == nil {
		lifetime, err = modifiers(answer.Modifiers)
	}
	if err != nil {
		return e.refuse(cl, err)
	}
	if pk.Connect.WillFlag {
		will := publishBody(cl, pk.Connect.WillTopic, pk.Connect.WillPayload, pk.Connect.WillQos, pk.Connect.WillRetain, nil)
		if _, err := b.Webhooks.Ask("auth_on_publish"+suffix(cl), will); err != nil {
			code := packets.ErrNotAuthorized
			if cl.Properties.ProtocolVersion < 5 {
				code = packets.Err3NotAuthorized
			}
			_ = b.server.SendConnack(cl, code, false, nil)
			return errRefused
		}
	}
	b.touch()
	if lifetime > 0 {
		b.timers.Store(cl, time.AfterFunc(time.Duration(lifetime)*time.Second, func() {
			if cl.Properties.ProtocolVersion == 5 {
				_ = b.server.DisconnectClient(cl, packets.ErrAdministrativeAction)
			}
			reset(cl)
		}))
	}
	return nil
}

// OnAuthPacket is AUTH, in a session that named no method: there are no others.
func (e *events) OnAuthPacket(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	reset(cl)
	return pk, errRefused
}

// refuse gives code 5 or 0x86, or nothing at all where VerneMQ's session crashes.
func (e *events) refuse(cl *mqtt.Client, err error) error {
	if errors.Is(err, webhooks.ErrCrash) {
		reset(cl)
		return errRefused
	}
	code := packets.ErrBadUsernameOrPassword
	if cl.Properties.ProtocolVersion < 5 {
		code = packets.Err3NotAuthorized
	}
	_ = e.broker.server.SendConnack(cl, code, false, nil)
	return errRefused
}

// known are the modifiers of auth_on_register that the stand-in takes; most it only accepts.
var known = map[string]bool{
	"max_message_rate": true, "max_inflight_messages": true, "max_connection_lifetime": true, "username": true,
	"max_message_size": true, "clean_session": true, "max_online_messages": true, "max_offline_messages": true,
	"queue_type": true, "retry_interval": true, "upgrade_qos": true, "shared_subscription_policy": true,
	"max_drain_time": true, "max_msgs_per_drain_step": true, "allow_register": true, "allow_publish": true,
	"allow_subscribe": true, "allow_unsubscribe": true, "properties": true, "subscriber_id": true,
	"client_id": true, "mountpoint": true,
}

func modifiers(raw json.RawMessage) (int, error) {
	if raw == nil {
		return 0, nil
	}
	var given map[string]json.RawMessage
	if json.Unmarshal(raw, &given) != nil {
		return 0, webhooks.ErrCrash
	}
	for name := range given {
		if !known[name] {
			return 0, webhooks.ErrCrash
		}
	}
	if (given["client_id"] == nil) != (given["mountpoint"] == nil) {
		return 0, webhooks.ErrRefused
	}
	for name, value := range given {
		if strings.HasPrefix(name, "max_") {
			if _, err := strconv.Atoi(string(value)); err != nil {
				return 0, webhooks.ErrRefused
			}
		}
	}
	if value := given["max_connection_lifetime"]; value != nil {
		seconds, err := strconv.Atoi(string(value))
		if err != nil {
			return 0, webhooks.ErrRefused
		}
		return seconds, nil
	}
	return 0, nil
}

// OnSessionEstablish is between authentication and CONNACK: take-over, then wakeup and register.
func (e *events) OnSessionEstablish(cl *mqtt.Client, pk packets.Packet) {
	b := e.broker
	if old, ok := b.server.Clients.Get(cl.ID); ok && !old.Closed() {
		_ = b.server.DisconnectClient(old, packets.ErrSessionTakenOver)
		deadline := time.Now().Add(2 * time.Second)
		for time.Now().Before(deadline) { // its gone or offline comes before our wakeup
			if _, done := b.timers.Load(told{old}); done {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	lock := b.lock(cl.ID)
	lock.Lock()
	defer lock.Unlock()
	if session := b.node.Fetch(cl.ID, pk.Connect.Clean); session.Exists && !pk.Connect.Clean {
		b.Import(session)
	}
	b.Webhooks.Tell("on_client_wakeup", clientBody(cl.ID))
	b.Webhooks.Tell("on_register"+suffix(cl), registeredBody(cl, pk))
}

// told marks a client whose last hook was answered.
type told struct{ client *mqtt.Client }

// OnDisconnect tells that a client has gone (its session with it) or is offline.
func (e *events) OnDisconnect(cl *mqtt.Client, _ error, expire bool) {
	b := e.broker
	if cl.Net.Conn == nil || b.stopping.Load() {
		return
	}
	mark, _ := b.timers.LoadAndDelete(cl)
	if timer, ok := mark.(*time.Timer); ok {
		timer.Stop()
	}
	hook := "on_client_offline"
	if expire {
		hook = "on_client_gone"
	}
	if mark == "taken" { // by another node: the old session's event comes last
		time.AfterFunc(takeOverDelay, func() { b.Webhooks.Tell(hook, clientBody(cl.ID)) })
		return
	}
	lock := b.lock(cl.ID)
	lock.Lock()
	defer lock.Unlock()
	b.Webhooks.Tell(hook, clientBody(cl.ID))
	b.timers.Store(told{cl}, true)
	time.AfterFunc(10*time.Second, func() { b.timers.Delete(told{cl}) })
}

// OnACLCheck denies what OnSubscribe marked; publishes are asked in OnPublish.
func (e *events) OnACLCheck(_ *mqtt.Client, topic string, _ bool) bool {
	return !strings.HasPrefix(topic, denied)
}

// OnSubscribe asks for the filters, in reverse order; the answer is by position.
func (e *events) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	b := e.broker
	if cl.Net.Inline {
		return pk
	}
	ask := subscribeBody(cl, pk.Filters)
	answer, err := b.Webhooks.Ask("auth_on_subscribe"+suffix(cl), ask)
	answered := granted(answer, cl.Properties.ProtocolVersion == 5)
	mountpoint, _ := outside(cl.ID)
	for i := range pk.Filters {
		pk.Filters[i].Filter = inside(mountpoint, pk.Filters[i].Filter)
		if err != nil {
			pk.Filters[i].Filter = denied + strconv.Itoa(i)
			continue
		}
		position := len(pk.Filters) - 1 - i
		if answered == nil || position >= len(answered) {
			continue // plain ok: everything as asked
		}
		grant := answered[position]
		if grant.Qos > 2 {
			pk.Filters[i].Filter = denied + strconv.Itoa(i)
			continue
		}
		// What the answer leaves out is VerneMQ's default, not what the client asked for.
		pk.Filters[i].Qos = byte(grant.Qos)
		pk.Filters[i].NoLocal = grant.NoLocal
		pk.Filters[i].RetainAsPublished = grant.RetainAsPublished
		pk.Filters[i].RetainHandling = retainHandling(grant.RetainHandling)
	}
	return pk
}

// grant is one topic of an answer to auth_on_subscribe.
type grant struct {
	Qos               int    `json:"qos"`
	NoLocal           bool   `json:"no_local"`
	RetainAsPublished bool   `json:"rap"`
	RetainHandling    string `json:"retain_handling"`
}

// granted reads them; the other version's shape or an empty list is a plain ok (recorded).
func granted(answer webhooks.Answer, version5 bool) []grant {
	raw := answer.Topics
	if version5 {
		var m struct {
			Topics json.RawMessage `json:"topics"`
		}
		if answer.Modifiers == nil || json.Unmarshal(answer.Modifiers, &m) != nil {
			return nil
		}
		raw = m.Topics
	}
	var topics []grant
	if raw == nil || json.Unmarshal(raw, &topics) != nil || len(topics) == 0 {
		return nil
	}
	return topics
}

// OnPublish asks whether a client may publish.
func (e *events) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	b := e.broker
	if cl.Net.Inline {
		return pk, nil
	}
	b.Counters.PublishIn.Add(1)
	if strings.HasPrefix(pk.TopicName, "$") {
		return pk, packets.ErrRejectPacket // no hook, no PUBACK (vmq_mqtt_fsm)
	}
	hook := "auth_on_publish" + suffix(cl)
	_, err := b.Webhooks.Ask(hook, publishBody(cl, pk.TopicName, pk.Payload, pk.FixedHeader.Qos, pk.FixedHeader.Retain, &pk.Properties))
	if err == nil && !b.Options.on("allow_publish_during_netsplit") && pk.FixedHeader.Qos > 0 && !b.node.Whole() {
		if cl.Properties.ProtocolVersion == 5 { // 3.1.1 has no word for it, and gets none (recorded)
			decline(cl, pk, packets.ErrImplementationSpecificError)
		}
		return pk, packets.ErrRejectPacket
	}
	if err == nil {
		mountpoint, _ := outside(cl.ID)
		pk.TopicName = inside(mountpoint, pk.TopicName)
		return pk, nil
	}
	b.Counters.AuthErrors.Add(1)
	if cl.Properties.ProtocolVersion < 5 {
		reset(cl)
		return pk, packets.ErrRejectPacket
	}
	if pk.FixedHeader.Qos > 0 {
		decline(cl, pk, packets.ErrNotAuthorized)
	}
	return pk, packets.ErrRejectPacket
}

// decline answers a PUBLISH of QoS 1 or 2 with a reason code of MQTT 5.
func decline(cl *mqtt.Client, pk packets.Packet, why packets.Code) {
	kind := packets.Puback
	if pk.FixedHeader.Qos == 2 {
		kind = packets.Pubrec
	}
	_ = cl.WritePacket(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: kind}, PacketID: pk.PacketID, ReasonCode: why.Code,
	})
}

// OnPublished routes what a client of this node published to the other nodes.
func (e *events) OnPublished(cl *mqtt.Client, pk packets.Packet) {
	if !cl.Net.Inline {
		e.broker.route(cl.ID, pk)
	}
}

// OnWillSent routes a will.
func (e *events) OnWillSent(cl *mqtt.Client, pk packets.Packet) { e.broker.route(cl.ID, pk) }

func (b *Broker) route(origin string, pk packets.Packet) {
	if pk.FixedHeader.Retain {
		b.touch()
	}
	b.node.Route(cluster.Message{Topic: pk.TopicName, Payload: pk.Payload, Qos: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain, Props: encodeProperties(pk), Origin: origin})
}

// OnPacketSent counts what goes out.
func (e *events) OnPacketSent(_ *mqtt.Client, pk packets.Packet, _ []byte) {
	if pk.FixedHeader.Type == packets.Publish {
		e.broker.Counters.PublishOut.Add(1)
		e.broker.Counters.QueueOut.Add(1)
	}
}

// OnPublishDropped counts what was lost.
func (e *events) OnPublishDropped(*mqtt.Client, packets.Packet) { e.broker.Counters.QueueDrop.Add(1) }
