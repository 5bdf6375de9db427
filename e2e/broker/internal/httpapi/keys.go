package httpapi

import (
	"net/url"
	"sync"

	"liveconnect.io/e2e/broker/internal/cluster"
	"liveconnect.io/e2e/broker/internal/config"
)

// keys are the API keys that this node takes: what it read when it started, and what it was told.
type keys struct {
	mu   sync.Mutex
	list []string
	node *cluster.Node
}

func newKeys(conf *config.Config, node *cluster.Node) *keys {
	if stored, ok := node.StoredKeys(); ok {
		return &keys{list: stored, node: node}
	}
	return &keys{list: conf.APIKeys, node: node}
}

func (k *keys) index(key string) int {
	for i, known := range k.list {
		if known == key {
			return i
		}
	}
	return -1
}

func (k *keys) has(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return key != "" && k.index(key) >= 0
}

// add and remove replace the cluster's list with this node's own.
func (k *keys) add(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.index(key) >= 0 {
		return false
	}
	k.list = append([]string{key}, k.list...)
	k.node.StoreKeys(k.list)
	return true
}

func (k *keys) remove(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := k.index(key)
	if i < 0 {
		return false
	}
	k.list = append(append([]string{}, k.list[:i]...), k.list[i+1:]...)
	k.node.StoreKeys(k.list)
	return true
}

// addKey and deleteKey answer as recorded: 200 also when nothing was done.
func addKey(a *api, q url.Values) (int, any) {
	if !a.keys.add(q.Get("key")) {
		return text("{error,key_already_exists}")
	}
	return text("ok")
}

func deleteKey(a *api, q url.Values) (int, any) {
	if !a.keys.remove(q.Get("key")) {
		return text("{error,key_not_found}")
	}
	return text("ok")
}
