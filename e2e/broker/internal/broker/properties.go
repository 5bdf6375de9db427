package broker

import (
	"bytes"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// encodeProperties gives the properties of a message as another node gets them: all that its
// receivers are to see, with what is left of its expiry interval.
func encodeProperties(pk packets.Packet) []byte {
	p := pk.Properties
	p.TopicAlias, p.TopicAliasFlag, p.SubscriptionIdentifier = 0, false, nil
	if p.MessageExpiryInterval > 0 && pk.Expiry > 0 {
		p.MessageExpiryInterval = uint32(max(pk.Expiry-time.Now().Unix(), 1))
	}
	var buf bytes.Buffer
	p.Encode(packets.Publish, packets.Mods{AllowResponseInfo: true}, &buf, 0)
	return buf.Bytes()
}

// decodeProperties reads what encodeProperties wrote.
func decodeProperties(encoded []byte) packets.Properties {
	var p packets.Properties
	_, _ = p.Decode(packets.Publish, bytes.NewBuffer(encoded))
	return p
}
