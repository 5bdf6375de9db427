package broker

import (
	"strconv"
	"strings"

	"github.com/mochi-mqtt/server/v2/hooks/storage"
	"github.com/mochi-mqtt/server/v2/hooks/storage/bolt"
)

// store is the library's, which writes what waits for an offline client without its packet id: read
// back, all messages of a client would have the same one, and only one of them would be left.
type store struct{ *bolt.Hook }

// StoredInflightMessages takes the packet id from the key, which ends with it.
func (s store) StoredInflightMessages() ([]storage.Message, error) {
	messages, err := s.Hook.StoredInflightMessages()
	for i := range messages {
		key := messages[i].ID
		id, _ := strconv.ParseUint(key[strings.LastIndexByte(key, ':')+1:], 10, 16)
		messages[i].PacketID = uint16(id)
	}
	return messages, err
}
