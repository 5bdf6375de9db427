package httpapi

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"liveconnect.io/e2e/broker/internal/broker"
	"liveconnect.io/e2e/broker/internal/cluster"
)

// recorded is /metrics of a real node: every name, help text and label of it is shown; what the
// stand-in does not count is 0.
//
//go:embed metrics.prom
var recorded string

var sample = regexp.MustCompile(`^([a-z_]+)\{node="[^"]*"(.*)\} \S+$`)

func metrics(node *cluster.Node, b *broker.Broker) string {
	values := tracked(node, b)
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimRight(recorded, "\n"), "\n") {
		m := sample.FindStringSubmatch(line)
		if m == nil {
			out.WriteString(line + "\n")
			continue
		}
		fmt.Fprintf(&out, "%s{node=%q%s} %d\n", m[1], node.Name, m[2], values[m[1]+m[2]])
	}
	return out.String()
}

func tracked(node *cluster.Node, b *broker.Broker) map[string]int64 {
	online := int64(b.Online())
	values := map[string]int64{
		"vernemq_active_mqtt_connections":                  online,
		"vernemq_total_active_connections":                 online,
		`vernemq_mqtt_connect_received,mqtt_version="4"`:   b.Counters.Connects4.Load(),
		`vernemq_mqtt_connect_received,mqtt_version="5"`:   b.Counters.Connects5.Load(),
		`vernemq_mqtt_publish_received,mqtt_version="4"`:   b.Counters.PublishIn.Load(),
		`vernemq_mqtt_publish_sent,mqtt_version="4"`:       b.Counters.PublishOut.Load(),
		`vernemq_mqtt_publish_auth_error,mqtt_version="4"`: b.Counters.AuthErrors.Load(),
		"vernemq_queue_processes":                          int64(b.Sessions()),
		"vernemq_router_subscriptions":                     b.Subscriptions(),
		"vernemq_retain_messages":                          b.Retained(),
		"vernemq_queue_message_in":                         b.Counters.QueueIn.Load(),
		"vernemq_queue_message_out":                        b.Counters.QueueOut.Load(),
		"vernemq_queue_message_drop":                       b.Counters.QueueDrop.Load(),
		"vernemq_netsplit_detected":                        node.Detected.Load(),
		"vernemq_netsplit_resolved":                        node.Resolved.Load(),
		"vernemq_cluster_bytes_dropped":                    node.Dropped.Load(),
	}
	for hook, c := range b.Webhooks.Counters() {
		values["vernemq_webhooks_"+hook+"_requests"] = c.Requests.Load()
		values["vernemq_webhooks_"+hook+"_errors"] = c.Errors.Load()
		values["vernemq_webhooks_"+hook+"_bytes_sent"] = c.Bytes.Load()
	}
	return values
}
