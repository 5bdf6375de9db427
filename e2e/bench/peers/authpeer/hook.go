package main

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

const maxBody = 1 << 20

// registerBody is the body of auth_on_register.
type registerBody struct {
	PeerAddr     string  `json:"peer_addr"`
	PeerPort     int     `json:"peer_port"`
	Mountpoint   string  `json:"mountpoint"`
	ClientID     string  `json:"client_id"`
	Username     *string `json:"username"`
	Password     *string `json:"password"`
	CleanSession bool    `json:"clean_session"`
}

type modifiers struct {
	MaxConnectionLifetime int `json:"max_connection_lifetime"`
}

type allowed struct {
	Result    string    `json:"result"`
	Modifiers modifiers `json:"modifiers"`
}

var refused = []byte(`{"result":{"error":"not_allowed"}}`)

// hook answers auth_on_register.
type hook struct {
	verifier      *verifier
	clientIDClaim string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	name, pool := r.Header.Get("vernemq-hook"), r.PathValue("pool")
	if name != "auth_on_register" {
		http.Error(w, "no such hook", http.StatusNotFound)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "body too long", http.StatusRequestEntityTooLarge)
		return
	}
	var body registerBody
	if err := json.Unmarshal(raw, &body); err != nil || body.ClientID == "" {
		http.Error(w, "not a body of auth_on_register", http.StatusBadRequest)
		return
	}
	answer, reason := h.decide(pool, &body, began)
	outcome := "allowed"
	if reason != "" {
		outcome = "refused"
	}
	decisions.WithLabelValues(name, pool, outcome, reason).Inc()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
	durations.WithLabelValues(name).Observe(time.Since(began).Seconds())
}

// decide returns the answer, and why it is a refusal if it is one.
func (h *hook) decide(pool string, body *registerBody, now time.Time) ([]byte, string) {
	if body.Username == nil || *body.Username == "" {
		return refused, "token-missing"
	}
	if pool != "subscriber" {
		return refused, "device-on-publisher-pool"
	}
	token, err := h.verifier.check(*body.Username, now)
	if err != nil {
		return refused, "token-refused"
	}
	if claim, ok := token.claims[h.clientIDClaim].(string); !ok || claim != body.ClientID {
		return refused, "client-id"
	}
	remaining := token.expires.Sub(now).Seconds()
	jitter := min(remaining*0.1, 300) * rand.Float64()
	answer, err := json.Marshal(allowed{"ok", modifiers{max(int(remaining-jitter), 1)}})
	if err != nil {
		return refused, "internal"
	}
	return answer, ""
}
