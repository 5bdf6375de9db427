// Package config reads the configuration of a VerneMQ node.
package config

import (
	"bufio"
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

//go:embed keys.txt
var knownKeys string

// Listener is one `listener.<type>.<name> = ip:port`.
type Listener struct {
	Type, Name, Address    string
	Mountpoint             string
	MaxConnections, Accept int // -1: no bound
	ProxyProtocol          bool
	TLS                    TLS
}

// Ceiling is how many connections the listener really has at most: MaxConnections for each acceptor
// (recorded). -1: any number.
func (l Listener) Ceiling() int {
	if l.MaxConnections < 0 {
		return -1
	}
	return l.MaxConnections * l.Accept
}

// TLS are the options of an ssl or wss listener.
type TLS struct {
	CertFile, KeyFile, CAFile string
	Versions                  []string
	RequireCertificate        bool
}

// Hook is one registered webhook.
type Hook struct {
	Name, Hook, Endpoint string
	Timeout              time.Duration
	NoPayload            bool
}

// Config is everything that the node needs to know.
type Config struct {
	NodeName, Cookie string
	Listeners        []Listener
	Hooks            []Hook
	WebhooksOn       bool
	AllowAnonymous   bool
	Netsplit         map[string]bool // register, publish, subscribe, unsubscribe
	APIKeys          []string
	Values           map[string]string
	JoinDelay        time.Duration

	cookieGiven bool
}

var (
	listenerKey = regexp.MustCompile(`^listener\.(tcp|ws|ssl|wss|vmq|vmqs|http|https)\.([A-Za-z0-9_-]+)$`)
	hookKey     = regexp.MustCompile(`^vmq_webhooks\.([A-Za-z0-9_]+)\.(hook|endpoint|response_timeout|no_payload)$`)
	apiKey      = regexp.MustCompile(`\{<<"([^"]+)">>,\s*"mgmt",`)
)

// Load reads vernemq.conf, vm.args and advanced.config; an unknown key is an error, as it is there.
func Load(etc string) (*Config, error) {
	values, err := readPairs(filepath.Join(etc, "vernemq.conf"))
	if err != nil {
		return nil, err
	}
	c := &Config{Values: values, Netsplit: map[string]bool{}, JoinDelay: 2 * time.Second}
	if delay, err := time.ParseDuration(os.Getenv("DEV_BROKER_JOIN_DELAY")); err == nil {
		c.JoinDelay = delay
	}
	hooks := map[string]*Hook{}
	for key, value := range values {
		if err := c.take(key, value, hooks); err != nil {
			return nil, err
		}
	}
	for name, hook := range hooks {
		hook.Name = name
		c.Hooks = append(c.Hooks, *hook)
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		l.TLS = c.tls(*l)
		l.MaxConnections, l.Accept = c.bound(*l, "max_connections", 10000), c.bound(*l, "nr_of_acceptors", 10)
		l.ProxyProtocol = c.Values["listener."+l.Type+"."+l.Name+".proxy_protocol"] == "on"
		l.Mountpoint = c.Values["listener."+l.Type+"."+l.Name+".mountpoint"]
	}
	sort.Slice(c.Hooks, func(i, j int) bool { return c.Hooks[i].Name < c.Hooks[j].Name })
	sort.Slice(c.Listeners, func(i, j int) bool { return c.Listeners[i].Name < c.Listeners[j].Name })
	return c, c.readErlang(etc)
}

// option reads a listener's own option, then that of its type.
func (c *Config) option(l Listener, name, otherwise string) string {
	for _, key := range []string{"listener." + l.Type + "." + l.Name + "." + name, "listener." + l.Type + "." + name} {
		if value, ok := c.Values[key]; ok {
			return value
		}
	}
	return otherwise
}

// bound reads a number that a listener has, or all listeners have; -1 is `infinity`, for VerneMQ
// takes -1 for a listener that has none of its own. Those of a type it does not look at (vmq_schema).
func (c *Config) bound(l Listener, name string, otherwise int) int {
	for _, key := range []string{"listener." + l.Type + "." + l.Name, "listener"} {
		value := c.Values[key+"."+name]
		if value == "infinity" {
			return -1
		}
		if n := number(value, -1); n >= 0 {
			return n
		}
	}
	return otherwise
}

func (c *Config) tls(l Listener) TLS {
	return TLS{
		CertFile: c.option(l, "certfile", ""), KeyFile: c.option(l, "keyfile", ""), CAFile: c.option(l, "cafile", ""),
		Versions:           strings.Split(c.option(l, "tls_version", "tlsv1.2"), ","),
		RequireCertificate: c.option(l, "require_certificate", "off") == "on",
	}
}

func (c *Config) take(key, value string, hooks map[string]*Hook) error {
	if m := listenerKey.FindStringSubmatch(key); m != nil && strings.Contains(value, ":") {
		if _, _, err := net.SplitHostPort(value); err != nil {
			return fmt.Errorf("%s: %q is not ip:port", key, value)
		}
		c.Listeners = append(c.Listeners, Listener{Type: m[1], Name: m[2], Address: value})
		return nil
	}
	if m := hookKey.FindStringSubmatch(key); m != nil {
		if hooks[m[1]] == nil {
			hooks[m[1]] = &Hook{Timeout: 5 * time.Second}
		}
		switch m[2] {
		case "hook":
			hooks[m[1]].Hook = value
		case "endpoint":
			hooks[m[1]].Endpoint = value
		case "no_payload":
			hooks[m[1]].NoPayload = value == "on"
		default:
			hooks[m[1]].Timeout = time.Duration(number(value, 5000)) * time.Millisecond
		}
		return nil
	}
	switch key {
	case "plugins.vmq_webhooks":
		c.WebhooksOn = value == "on"
	case "allow_anonymous":
		c.AllowAnonymous = value == "on"
	case "nodename":
		c.NodeName = value
	case "distributed_cookie":
		c.Cookie = value
	}
	for _, act := range []string{"register", "publish", "subscribe", "unsubscribe"} {
		if key == "allow_"+act+"_during_netsplit" {
			c.Netsplit[act] = value == "on"
		}
	}
	if !known(key) {
		return fmt.Errorf("Conf file attempted to set unknown variable: %s", key)
	}
	return nil
}

// readErlang takes the name and the cookie from vm.args, which wins over vernemq.conf, and the API
// keys from advanced.config.
func (c *Config) readErlang(etc string) error {
	if args, err := os.ReadFile(filepath.Join(etc, "vm.args")); err == nil {
		for _, line := range strings.Split(string(args), "\n") {
			fields := strings.Fields(line)
			if len(fields) != 2 {
				continue
			}
			switch fields[0] {
			case "-name":
				c.NodeName = fields[1]
			case "-setcookie":
				c.Cookie, c.cookieGiven = fields[1], true
			}
		}
	}
	// Without -setcookie Erlang takes the cookie from the home directory; it wins over
	// distributed_cookie, which reaches the VM only through a generated vm.args.
	if home, err := os.ReadFile(filepath.Join(os.Getenv("HOME"), ".erlang.cookie")); err == nil && !c.cookieGiven {
		c.Cookie = strings.TrimSpace(string(home))
	}
	if !strings.Contains(c.NodeName, "@") {
		return fmt.Errorf("nodename %q is not name@host", c.NodeName)
	}
	if advanced, err := os.ReadFile(filepath.Join(etc, "advanced.config")); err == nil {
		for _, m := range apiKey.FindAllStringSubmatch(string(advanced), -1) {
			c.APIKeys = append(c.APIKeys, m[1])
		}
	}
	return nil
}

func readPairs(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	values := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found {
			return nil, fmt.Errorf("%s: not key = value: %q", path, line)
		}
		values[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return values, lines.Err()
}

// known compares with the keys of 2.1.2 as recorded; `$name` in a key stands for any word.
func known(key string) bool {
	parts := strings.Split(key, ".")
	for _, line := range strings.Split(knownKeys, "\n") {
		pattern := strings.Split(strings.TrimSpace(line), ".")
		if len(pattern) != len(parts) {
			continue
		}
		same := true
		for i := range parts {
			same = same && (pattern[i] == parts[i] || strings.HasPrefix(pattern[i], "$"))
		}
		if same {
			return true
		}
	}
	return false
}

func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}
