// Package httpapi is a node's HTTP side: health, status, metrics and the management API.
package httpapi

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"liveconnect.io/e2e/broker/internal/broker"
	"liveconnect.io/e2e/broker/internal/cluster"
	"liveconnect.io/e2e/broker/internal/config"
)

type api struct {
	conf   *config.Config
	node   *cluster.Node
	broker *broker.Broker
	keys   *keys
}

// Serve opens every http listener.
func Serve(conf *config.Config, node *cluster.Node, b *broker.Broker) error {
	a := &api{conf: conf, node: node, broker: b, keys: newKeys(conf, node)}
	mux := http.NewServeMux()
	mux.HandleFunc("/health/ping", func(w http.ResponseWriter, _ *http.Request) { write(w, 200, map[string]any{"status": "OK"}) })
	mux.HandleFunc("/health", a.health)
	mux.HandleFunc("/health/listeners", a.health)
	mux.HandleFunc("/health/listeners_full_cluster", a.healthCluster)
	mux.HandleFunc("/status.json", a.status)
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(metrics(node, b)))
	})
	mux.HandleFunc("/api/v1/", a.command)
	for _, l := range conf.Listeners {
		if l.Type != "http" {
			continue
		}
		listener, err := net.Listen("tcp", l.Address)
		if err != nil {
			return err
		}
		go func() { _ = http.Serve(listener, mux) }()
	}
	return nil
}

func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func (a *api) health(w http.ResponseWriter, _ *http.Request) {
	if stopped := a.broker.Suspended(); len(stopped) > 0 {
		write(w, 503, map[string]any{"status": "DOWN", "reasons": []string{"Listeners are not ready: [" + strings.Join(stopped, ",") + "]"}})
		return
	}
	write(w, 200, map[string]any{"status": "OK"})
}

func (a *api) healthCluster(w http.ResponseWriter, r *http.Request) {
	if !a.node.Whole() {
		write(w, 503, map[string]any{"status": "DOWN", "reasons": []string{"At least one node is offline"}})
		return
	}
	a.health(w, r)
}

func (a *api) status(w http.ResponseWriter, _ *http.Request) {
	nodes := map[string]any{}
	for name, list := range a.node.Lists() {
		counts := map[string]any{"version": "2.1.2", "mystatus": []map[string]bool{list}}
		if name == a.node.Name {
			counts["num_online"] = a.broker.Online()
			counts["num_offline"] = a.broker.Sessions() - a.broker.Online()
		}
		nodes[name] = counts
	}
	write(w, 200, []map[string]any{nodes})
}

// authorized is what an API key gives: as user name, or in a header.
func (a *api) authorized(r *http.Request) bool {
	user, _, _ := r.BasicAuth()
	return a.keys.has(user) || a.keys.has(r.Header.Get("x-api-key"))
}

type command func(a *api, q url.Values) (int, any)

var commands = map[string]command{
	"cluster/show":               showCluster,
	"cluster/join":               join,
	"cluster/leave":              leave,
	"listener/show":              showListeners,
	"listener/stop":              stopListener,
	"listener/restart":           restartListener,
	"session/show":               showSessions,
	"session/disconnect":         disconnect,
	"session/reauthorize":        reauthorize,
	"session/disconnect/batch":   disconnectBatch,
	"session/disconnect/clients": disconnectClients,
	"webhooks/show":              showWebhooks,
	"api-key/add":                addKey,
	"api-key/delete":             deleteKey,
	"node/status":                func(a *api, _ url.Values) (int, any) { return showCluster(a, nil) },
	"node/swc_sync_status":       showSync,
	"tls/clear-pem-cache":        clearPemCache,
}

func (a *api) command(w http.ResponseWriter, r *http.Request) {
	if !a.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="VerneMQ"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	words := strings.Trim(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/")
	if words == "set" {
		a.setOptions(w, r.URL.Query())
		return
	}
	if key, found := strings.CutPrefix(words, "show/"); found {
		a.showOption(w, key)
		return
	}
	run, ok := commands[words]
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !known(r.URL.Path, r.URL.Query()) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status, answer := run(a, r.URL.Query())
	if answer == nil { // every failing command: 500 and an empty body
		w.WriteHeader(status)
		return
	}
	write(w, status, answer)
}

// flags are those of `cluster leave`: an unknown one is refused, a misspelt one too.
var flags = map[string]bool{"node": true, "--kill_sessions": true, "-k": true, "--summary-interval": true, "-i": true, "--timeout": true, "-t": true}

func known(path string, q url.Values) bool {
	for name := range q {
		if strings.HasSuffix(path, "/cluster/leave") && !flags[name] {
			return false
		}
	}
	return true
}

func table(rows any) (int, any) { return 200, map[string]any{"type": "table", "table": rows} }
func text(s string) (int, any)  { return 200, map[string]any{"type": "text", "text": s} }

func showCluster(a *api, _ url.Values) (int, any) {
	rows := []map[string]any{}
	for name, up := range a.node.Running() {
		rows = append(rows, map[string]any{"Node": name, "Running": up})
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i]["Node"].(string) < rows[j]["Node"].(string) })
	return table(rows)
}

func join(a *api, q url.Values) (int, any) {
	if err := a.node.Join(q.Get("discovery-node")); err != nil {
		return 500, nil
	}
	return text("Done")
}

func leave(a *api, q url.Values) (int, any) {
	_, kill := q["--kill_sessions"]
	_, short := q["-k"]
	if err := a.node.Leave(q.Get("node"), kill || short); err != nil {
		return 200, map[string]any{"type": "alert", "alert": []map[string]any{{"type": "text", "text": err.Error()}}}
	}
	return text("Done")
}

// showSync lists the parts of the metadata, and whether each has been read from the others.
func showSync(a *api, _ url.Values) (int, any) {
	rows := []map[string]any{}
	for part := 1; part <= 10; part++ {
		rows = append(rows, map[string]any{"SWC Partition": "meta" + strconv.Itoa(part), "InitSynced": a.node.Synced()})
	}
	return table(rows)
}

func showListeners(a *api, _ url.Values) (int, any) {
	stopped := map[string]bool{}
	for _, name := range a.broker.Suspended() {
		stopped[name] = true
	}
	types := map[string]string{"tcp": "mqtt", "ws": "mqttws", "ssl": "mqtts", "wss": "mqttwss"}
	clients := a.broker.PerListener()
	rows := []map[string]any{}
	for _, l := range a.conf.Listeners {
		host, port, _ := net.SplitHostPort(l.Address)
		kind, state := types[l.Type], "running"
		if kind == "" {
			kind = l.Type
		}
		if stopped[l.Name] {
			state = "suspended"
		}
		rows = append(rows, map[string]any{"type": kind, "status": state, "address": host, "port": port,
			"mountpoint": l.Mountpoint, "max_conns": l.MaxConnections, "active_conns": clients[l.Name], "all_conns": clients[l.Name]})
	}
	return table(rows)
}

func stopListener(a *api, q url.Values) (int, any) {
	if !a.broker.StopListener(q.Get("port")) {
		return 500, nil
	}
	if _, kill := q["--kill_sessions"]; kill {
		a.broker.CutAll()
	}
	return text("Done")
}

func restartListener(a *api, q url.Values) (int, any) {
	if !a.broker.RestartListener(q.Get("port")) {
		return 500, nil
	}
	return text("Done")
}

func showWebhooks(a *api, _ url.Values) (int, any) {
	rows := []map[string]any{}
	for _, h := range a.broker.Webhooks.All() {
		rows = append(rows, map[string]any{"hook": h.Hook, "endpoint": h.Endpoint, "base64payload": true, "response_timeout": h.Timeout.Milliseconds()})
	}
	return table(rows)
}

// clearPemCache does it and fails afterwards, as recorded.
func clearPemCache(a *api, _ url.Values) (int, any) {
	a.broker.ClearPemCache()
	return 500, nil
}

func disconnect(a *api, q url.Values) (int, any) {
	_, cleanup := q["--cleanup"]
	if id, ok := clientID(q.Get("client-id")); ok {
		a.node.Disconnect(id, cleanup)
	}
	return text("Done")
}

func reauthorize(a *api, q url.Values) (int, any) {
	if a.broker.Reauthorize(q.Get("username"), q.Get("client-id")) {
		return text("Done")
	}
	return text("Unchanged")
}

func disconnectClients(a *api, q url.Values) (int, any) {
	_, cleanup := q["--cleanup"]
	for _, id := range strings.Split(q.Get("client-ids"), ",") {
		if id, ok := clientID(id); ok {
			a.node.Disconnect(id, cleanup)
		}
	}
	return text("Done")
}

// clientID reads a client id as VerneMQ does: bytes are Latin-1, and a quote ends the string of the
// query that it is glued into. (There the rest of such an id becomes part of the query; here nobody
// has that id.)
func clientID(raw string) (string, bool) {
	if raw == "" || strings.ContainsAny(raw, "\"\\") {
		return "", false
	}
	var id []rune
	for _, b := range []byte(raw) {
		id = append(id, rune(b))
	}
	return string(id), true
}

// disconnectBatch takes the first sessions in the table's order, offline ones and those of every
// node included unless told otherwise: asked again it takes the same ones.
func disconnectBatch(a *api, q url.Values) (int, any) {
	count, err := strconv.Atoi(q.Get("count"))
	if err != nil {
		return 500, nil
	}
	nodes := map[string]bool{}
	for _, name := range strings.Split(q.Get("--node"), ",") {
		nodes[name] = true
	}
	rows := a.node.Rows()
	sort.Slice(rows, func(i, j int) bool { return rows[i].ClientID < rows[j].ClientID })
	for _, row := range rows {
		if count == 0 {
			break
		}
		if nodes[""] || nodes[row.Node] {
			a.node.Disconnect(row.ClientID, false)
			count--
		}
	}
	return text("Done")
}

// showSessions knows the fields that an operator asks for; a field used as filter is not shown.
// topics are those that rows are about: with `--topic` there is a row for each subscription, none
// for a session without one.
func topics(s cluster.Row, q url.Values) []string {
	if _, asked := q["--topic"]; asked {
		return s.Topics
	}
	return []string{""}
}

func showSessions(a *api, q url.Values) (int, any) {
	limit := 100
	if n, err := strconv.Atoi(q.Get("--limit")); err == nil {
		limit = n
	}
	perNode := map[string]int{}
	rows := []map[string]any{}
	for _, s := range a.node.Rows() {
		for _, topic := range topics(s, q) {
			fields := map[string]any{
				"client_id": s.ClientID, "node": s.Node, "is_online": s.Online, "user": s.User, "mountpoint": s.Mountpoint,
				"peer_host": s.PeerHost, "peer_port": s.PeerPort, "offline_messages": s.Offline,
				"clean_session": s.Clean, "protocol": s.Protocol, "queue_size": s.Offline, "topic": topic,
			}
			row, matched := pick(fields, q)
			if !matched || perNode[s.Node] >= limit {
				continue
			}
			perNode[s.Node]++
			rows = append(rows, row)
		}
	}
	return table(rows)
}

var defaults = []string{"client_id", "is_online", "mountpoint", "peer_host", "peer_port", "user"}

func pick(fields map[string]any, q url.Values) (map[string]any, bool) {
	row := map[string]any{}
	for key, values := range q {
		name := strings.TrimPrefix(key, "--")
		value, ok := fields[name]
		if !ok {
			continue
		}
		if values[0] == "" {
			row[name] = value
			continue
		}
		wanted := values[0]
		if name == "client_id" && !strings.HasPrefix(wanted, "~") {
			wanted, _ = clientID(wanted)
		}
		shown := strings.Trim(string(mustJSON(value)), `"`)
		if pattern, isRegex := strings.CutPrefix(values[0], "~"); isRegex {
			if matched, err := regexp.MatchString("^(?:"+pattern+")$", shown); err != nil || !matched {
				return nil, false
			}
		} else if shown != wanted {
			return nil, false
		}
	}
	if len(row) == 0 {
		for _, name := range defaults {
			row[name] = fields[name]
		}
	}
	return row, true
}

func mustJSON(value any) []byte {
	raw, _ := json.Marshal(value)
	return raw
}
