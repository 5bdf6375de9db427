package broker

import (
	"strconv"
	"sync"
)

// live are the options that a running VerneMQ takes over (recorded), with their defaults. Of these
// the stand-in acts on max_client_id_size alone.
var live = map[string]string{
	"max_client_id_size": "100", "max_inflight_messages": "20", "max_message_rate": "0",
	"max_message_size": "0", "max_offline_messages": "1000", "max_online_messages": "1000",
	"mqtt_connect_timeout": "5000", "receive_max_broker": "65535", "receive_max_client": "65535",
	"retry_interval": "20", "systree_interval": "20000", "topic_alias_max_broker": "0",
	"topic_alias_max_client": "0", "coordinate_registrations": "on",
	"disconnect_on_unauthorized_publish_v3": "off", "suppress_lwt_on_session_takeover": "off",
	"systree_enabled": "on", "upgrade_outgoing_qos": "off", "persistent_client_expiration": "never",
	"shared_subscription_policy": "prefer_local", "queue_type": "fifo",
	"allow_register_during_netsplit": "off", "allow_publish_during_netsplit": "off",
	"allow_subscribe_during_netsplit": "off", "allow_unsubscribe_during_netsplit": "off",
}

// Options are the values that the node runs with.
type Options struct {
	mu     sync.RWMutex
	values map[string]string
}

func newOptions(file map[string]string) *Options {
	o := &Options{values: map[string]string{}}
	for key, value := range live {
		o.values[key] = value
		if given, ok := file[key]; ok {
			o.values[key] = given
		}
	}
	return o
}

// Has says whether it is one of them.
func (o *Options) Has(key string) bool { _, ok := live[key]; return ok }

// Get returns a value.
func (o *Options) Get(key string) string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.values[key]
}

// Set changes a value; one of another kind changes nothing.
func (o *Options) Set(key, value string) {
	_, wasNumber := strconv.Atoi(live[key])
	_, isNumber := strconv.Atoi(value)
	if wasNumber == nil && isNumber != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.values[key] = value
}

func (o *Options) number(key string) int {
	number, _ := strconv.Atoi(o.Get(key))
	return number
}

func (o *Options) on(key string) bool { return o.Get(key) == "on" }
