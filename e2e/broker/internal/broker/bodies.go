package broker

import (
	"encoding/base64"
	"net"
	"strconv"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// body is a hook's JSON: the fields are exactly the recorded ones.
type body map[string]any

func orNull(s string, set bool) any {
	if !set {
		return nil
	}
	return s
}

func suffix(cl *mqtt.Client) string {
	if cl.Properties.ProtocolVersion == 5 {
		return "_m5"
	}
	return ""
}

func username(cl *mqtt.Client) any {
	return orNull(string(cl.Properties.Username), cl.Properties.Username != nil)
}

func registerBody(cl *mqtt.Client, pk packets.Packet) body {
	host, port := remote(cl)
	var password any
	if pk.Connect.PasswordFlag {
		password = string(pk.Connect.Password)
	}
	mountpoint, clientID := outside(cl.ID)
	b := body{"peer_addr": host, "peer_port": port, "mountpoint": mountpoint, "client_id": clientID, "username": username(cl), "password": password}
	if cl.Properties.ProtocolVersion == 5 {
		b["clean_start"] = pk.Connect.Clean
		b["properties"] = properties(pk.Properties)
	} else {
		b["clean_session"] = pk.Connect.Clean
	}
	return b
}

func registeredBody(cl *mqtt.Client, pk packets.Packet) body {
	host, port := remote(cl)
	mountpoint, clientID := outside(cl.ID)
	b := body{"peer_addr": host, "peer_port": port, "mountpoint": mountpoint, "client_id": clientID, "username": username(cl)}
	if cl.Properties.ProtocolVersion == 5 {
		b["properties"] = properties(pk.Properties)
	}
	return b
}

func clientBody(id string) body {
	mountpoint, clientID := outside(id)
	return body{"mountpoint": mountpoint, "client_id": clientID}
}

func publishBody(cl *mqtt.Client, topic string, payload []byte, qos byte, retain bool, props *packets.Properties) body {
	mountpoint, clientID := outside(cl.ID)
	b := body{
		"username": username(cl), "mountpoint": mountpoint, "client_id": clientID, "qos": qos, "topic": topic,
		"payload": base64.StdEncoding.EncodeToString(payload), "retain": retain,
	}
	if cl.Properties.ProtocolVersion == 5 {
		b["properties"] = body{}
		if props != nil {
			b["properties"] = properties(*props)
		}
	}
	return b
}

// subscribeBody lists the topics in the reverse order of the packet, as recorded.
func subscribeBody(cl *mqtt.Client, filters packets.Subscriptions) body {
	topics := make([]body, 0, len(filters))
	for i := len(filters) - 1; i >= 0; i-- {
		topic := body{"topic": filters[i].Filter, "qos": filters[i].Qos}
		if cl.Properties.ProtocolVersion == 5 {
			topic["no_local"] = filters[i].NoLocal
			topic["rap"] = filters[i].RetainAsPublished
			topic["retain_handling"] = retainHandlings[filters[i].RetainHandling%3]
		}
		topics = append(topics, topic)
	}
	mountpoint, clientID := outside(cl.ID)
	b := body{"username": username(cl), "mountpoint": mountpoint, "client_id": clientID, "topics": topics}
	if cl.Properties.ProtocolVersion == 5 {
		b["properties"] = body{}
	}
	return b
}

// retainHandlings are the words for MQTT 5's numbers.
var retainHandlings = [...]string{"send_retain", "send_if_new_sub", "dont_send"}

func retainHandling(word string) byte {
	for number, known := range retainHandlings {
		if word == known {
			return byte(number)
		}
	}
	return 0
}

func properties(p packets.Properties) body {
	b := body{}
	if p.SessionExpiryIntervalFlag {
		b["p_session_expiry_interval"] = p.SessionExpiryInterval
	}
	if p.ContentType != "" {
		b["p_content_type"] = p.ContentType
	}
	if len(p.CorrelationData) > 0 {
		b["p_correlation_data"] = string(p.CorrelationData)
	}
	if p.MessageExpiryInterval > 0 {
		b["p_message_expiry_interval"] = p.MessageExpiryInterval
	}
	if p.ResponseTopic != "" {
		b["p_response_topic"] = p.ResponseTopic
	}
	if len(p.User) > 0 {
		var pairs []body
		for _, u := range p.User {
			pairs = append(pairs, body{"key": base64.StdEncoding.EncodeToString([]byte(u.Key)), "val": base64.StdEncoding.EncodeToString([]byte(u.Val))})
		}
		b["p_user_property"] = pairs
	}
	return b
}

func remote(cl *mqtt.Client) (string, int) {
	host, port, err := net.SplitHostPort(cl.Net.Remote)
	if err != nil {
		return cl.Net.Remote, 0
	}
	n, _ := strconv.Atoi(port)
	return host, n
}
