// Package webhooks calls a node's registered endpoints as vmq_webhooks does (recorded contract).
package webhooks

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"liveconnect.io/e2e/broker/internal/config"
)

// poolSize is how many connections one endpoint URL gets.
const poolSize = 100

// poolWait is how long a request waits for one of them (recorded; the answer's time counts from then).
const poolWait = 8 * time.Second

// pool is what one endpoint URL has.
type pool struct {
	client *http.Client
	slots  chan struct{}
}

// take waits for a connection; false when none was free in time.
func (p *pool) take() bool {
	select {
	case p.slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(poolWait)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (p *pool) give() { <-p.slots }

// ErrRefused is every answer that is no permission.
var ErrRefused = errors.New("refused")

// ErrCrash is an answer on which VerneMQ's session crashes: the client gets a reset and no CONNACK.
var ErrCrash = errors.New("session crash")

// Counters are the metrics of one hook.
type Counters struct{ Requests, Errors, Bytes atomic.Int64 }

// Client calls the hooks.
type Client struct {
	tls      *tls.Config
	mu       sync.RWMutex
	hooks    map[string][]config.Hook
	pools    map[string]*pool
	counters map[string]*Counters
}

// New makes a client that knows no hook yet: VerneMQ registers them only after it listens.
func New(values map[string]string) *Client {
	return &Client{tls: tlsOf(values), hooks: map[string][]config.Hook{}, pools: map[string]*pool{}, counters: map[string]*Counters{}}
}

// tlsOf is what https endpoints are asked with. With a private authority use_crls must be off, or
// every one is refused (webhooks.md, recorded).
func tlsOf(values map[string]string) *tls.Config {
	known := x509.NewCertPool()
	if raw, err := os.ReadFile(values["vmq_webhooks.cafile"]); err == nil && values["vmq_webhooks.use_crls"] == "off" {
		known.AppendCertsFromPEM(raw)
	}
	return &tls.Config{RootCAs: known, InsecureSkipVerify: values["vmq_webhooks.verify_peer"] == "off"}
}

// Register adds hooks.
func (c *Client) Register(hooks []config.Hook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, hook := range hooks {
		c.hooks[hook.Hook] = append(c.hooks[hook.Hook], hook)
		if c.pools[hook.Endpoint] == nil {
			transport := &http.Transport{MaxConnsPerHost: poolSize, MaxIdleConnsPerHost: poolSize, IdleConnTimeout: 60 * time.Second, TLSClientConfig: c.tls}
			client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			}}
			c.pools[hook.Endpoint] = &pool{client: client, slots: make(chan struct{}, poolSize)}
		}
		if c.counters[hook.Hook] == nil {
			c.counters[hook.Hook] = &Counters{}
		}
	}
}

// All lists what is registered.
func (c *Client) All() []config.Hook {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all []config.Hook
	for _, hooks := range c.hooks {
		all = append(all, hooks...)
	}
	return all
}

// Counters gives the metrics by hook.
func (c *Client) Counters() map[string]*Counters {
	c.mu.RLock()
	defer c.mu.RUnlock()
	copied := map[string]*Counters{}
	for name, counters := range c.counters {
		copied[name] = counters
	}
	return copied
}

// Answer is what a hook said beside *ok*.
type Answer struct {
	Topics    json.RawMessage `json:"topics"`
	Modifiers json.RawMessage `json:"modifiers"`
}

// Ask calls a hook and wants a permission; with no endpoint nobody permits anything.
func (c *Client) Ask(hook string, body any) (Answer, error) {
	c.mu.RLock()
	hooks := c.hooks[hook]
	c.mu.RUnlock()
	for _, h := range hooks {
		answer, next, err := c.call(h, body)
		if next {
			continue
		}
		return answer, err
	}
	return Answer{}, ErrRefused
}

// Tell calls a hook whose answer does not matter; it waits for it, as VerneMQ does.
func (c *Client) Tell(hook string, body any) {
	c.mu.RLock()
	hooks := c.hooks[hook]
	c.mu.RUnlock()
	for _, h := range hooks {
		_, _, _ = c.call(h, body)
	}
}

// Has says whether somebody wants this hook.
func (c *Client) Has(hook string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.hooks[hook]) > 0
}

func (c *Client) call(hook config.Hook, body any) (Answer, bool, error) {
	raw, err := json.Marshal(body)
	if err == nil && hook.NoPayload && strings.HasPrefix(hook.Hook, "auth_on_publish") {
		raw, err = withoutPayload(raw)
	}
	if err != nil {
		return Answer{}, false, err
	}
	c.mu.RLock()
	shared, counters := c.pools[hook.Endpoint], c.counters[hook.Hook]
	c.mu.RUnlock()
	counters.Requests.Add(1)
	counters.Bytes.Add(int64(len(raw)))
	if !shared.take() {
		counters.Errors.Add(1)
		return Answer{}, false, ErrRefused
	}
	defer shared.give()
	answer, next, err := post(shared.client, hook, raw)
	if err != nil {
		counters.Errors.Add(1)
	}
	return answer, next, err
}

// withoutPayload leaves the member out, as vmq_webhooks_plugin:filter_args does.
func withoutPayload(raw []byte) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, err
	}
	delete(members, "payload")
	return json.Marshal(members)
}

func post(client *http.Client, hook config.Hook, raw []byte) (Answer, bool, error) {
	request, err := http.NewRequest(http.MethodPost, hook.Endpoint, bytes.NewReader(raw))
	if err != nil {
		return Answer{}, false, ErrRefused
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header["vernemq-hook"] = []string{hook.Hook}
	request.Header.Set("User-Agent", "hackney/1.20.1")
	timed := *client
	timed.Timeout = hook.Timeout
	response, err := timed.Do(request)
	if err != nil {
		return Answer{}, false, ErrRefused
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil || response.StatusCode != http.StatusOK {
		return Answer{}, false, ErrRefused
	}
	return parse(content)
}

// parse reads an answer; the shapes that crash a session are in webhooks.md.
func parse(content []byte) (Answer, bool, error) {
	if !json.Valid(content) {
		return Answer{}, false, ErrRefused
	}
	var shape map[string]json.RawMessage
	if json.Unmarshal(content, &shape) != nil || shape["result"] == nil {
		return Answer{}, false, ErrCrash
	}
	var word string
	if json.Unmarshal(shape["result"], &word) == nil {
		switch word {
		case "ok":
			if string(shape["modifiers"]) == "{}" {
				return Answer{}, false, ErrCrash
			}
			return Answer{Topics: shape["topics"], Modifiers: shape["modifiers"]}, false, nil
		case "next":
			return Answer{}, true, ErrRefused
		}
		return Answer{}, false, ErrCrash
	}
	var refusal map[string]json.RawMessage
	if json.Unmarshal(shape["result"], &refusal) == nil && refusal["error"] != nil {
		return Answer{}, false, ErrRefused
	}
	return Answer{}, false, ErrCrash
}
