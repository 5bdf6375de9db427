// Command authpeer answers VerneMQ's auth_on_register as the auth service does, written the way
// that a Go programmer would: net/http, encoding/json, golang-jwt, client_golang. It is what
// `make bench` compares the auth service with, and nothing else: it has no presence, no topics.
package main

import (
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	keys := flag.String("jwks", "", "file with the issuer's key set")
	issuer := flag.String("issuer", "", "exact `iss`")
	audience := flag.String("audience", "", "required `aud`")
	claim := flag.String("client-id-claim", "client_id", "claim that must equal the MQTT client id")
	leeway := flag.Duration("leeway", 5*time.Second, "tolerated clock difference")
	remembered := flag.Int("remember", 100_000, "verified tokens that are remembered")
	flag.Parse()

	document, err := os.ReadFile(*keys)
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := newVerifier(document, *issuer, *audience, *leeway, *remembered)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /hooks/auth/{pool}/{node}", &hook{verifier: verifier, clientIDClaim: *claim})
	mux.Handle("GET /metrics", promhttp.Handler())
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	server := &http.Server{Addr: *listen, Handler: mux, ReadTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second}
	log.Fatal(server.ListenAndServe())
}
