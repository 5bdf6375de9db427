package cluster

import (
	"encoding/json"
	"os"
)

// The list of API keys is replicated metadata that a node reads when it starts, and not again: each
// node goes on with what it had (operations.md, "API keys"). Where there is such a list, the keys of
// advanced.config count no more (recorded on 2.1.2).

// StoredKeys reads the list from disk; false while there is none.
func (n *Node) StoredKeys() ([]string, bool) {
	raw, err := os.ReadFile(n.keysFile)
	if err != nil {
		return nil, false
	}
	var keys []string
	return keys, json.Unmarshal(raw, &keys) == nil
}

// StoreKeys replaces the list, here and on the members that run.
func (n *Node) StoreKeys(keys []string) {
	n.writeKeys(keys)
	n.tell("Keys", Call{Keys: keys})
}

func (n *Node) writeKeys(keys []string) {
	raw, _ := json.Marshal(keys)
	if err := os.WriteFile(n.keysFile, raw, 0o600); err != nil {
		n.log.Error("keys not saved", "error", err)
	}
}

// nonEmpty says whether this node has any metadata: then it cannot join.
func (n *Node) nonEmpty() bool {
	_, keys := n.StoredKeys()
	return keys || n.local.NonEmpty()
}

// Keys takes the list that another node has made.
func (s *Service) Keys(call Call, reply *Reply) error {
	if err := s.check(call); err != nil {
		return err
	}
	s.node.writeKeys(call.Keys)
	reply.Ok = true
	return nil
}
