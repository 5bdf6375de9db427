// Many devices at once: each connects to a broker, waits for its CONNACK and stays.
//
// It prints one line of JSON: how many got which code, how long that took, and how many connections
// had to be tried again because nobody answered. With -ok it is a hook endpoint instead that always
// says yes: what a broker can do with no auth service at all.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

var (
	addresses = flag.String("addresses", "", "brokers, host:port, comma-separated")
	devices   = flag.String("devices", "", "file: client id and token in each line")
	spread    = flag.Duration("spread", 0, "devices come at random moments of this time")
	atOnce    = flag.Int("at-once", 0, "connects under way at a time, 0 for all")
	within    = flag.Duration("within", 2*time.Minute, "give up after")
	ok        = flag.String("ok", "", "be a hook endpoint there that always says yes")
)

// patience is how long a device waits for its CONNACK before it tries again.
const patience = 30 * time.Second

type device struct{ id, token string }

type result struct {
	Codes     map[string]int `json:"codes"`
	Retries   int            `json:"retries"`
	Unserved  int            `json:"unserved"`
	Cut       int            `json:"cut"`
	Seconds   float64        `json:"seconds"`
	MedianMS  float64        `json:"median_ms"`
	P99MS     float64        `json:"p99_ms"`
	LongestMS float64        `json:"longest_ms"`
}

type storm struct {
	mu       sync.Mutex
	codes    map[string]int
	retries  int
	unserved int
	cut      int
	waits    []float64
	open     []net.Conn
}

func main() {
	flag.Parse()
	if *ok != "" {
		log.Fatal(http.ListenAndServe(*ok, http.HandlerFunc(yes)))
	}
	all, err := read(*devices)
	if err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(run(all, strings.Split(*addresses, ",")))
}

func yes(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"result":"ok"}`)
}

func read(path string) ([]device, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []device
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		id, token, _ := strings.Cut(lines.Text(), " ")
		all = append(all, device{id, token})
	}
	return all, lines.Err()
}

func run(all []device, brokers []string) result {
	s := &storm{codes: map[string]int{}}
	var group sync.WaitGroup
	turn := make(chan struct{}, max(*atOnce, 1))
	began := time.Now()
	deadline := began.Add(*within)
	for n, d := range all {
		group.Add(1)
		go func() {
			defer group.Done()
			if *spread > 0 {
				time.Sleep(time.Duration(rand.Int64N(int64(*spread))))
			}
			if *atOnce > 0 {
				turn <- struct{}{}
				defer func() { <-turn }()
			}
			s.come(d, brokers[n%len(brokers)], deadline)
		}()
	}
	group.Wait()
	seconds := time.Since(began).Seconds()
	s.look()
	sort.Float64s(s.waits)
	at := func(share float64) float64 {
		if len(s.waits) == 0 {
			return 0
		}
		return s.waits[int(share*float64(len(s.waits)-1))] * 1000
	}
	return result{s.codes, s.retries, s.unserved, s.cut, seconds, at(0.5), at(0.99), at(1)}
}

// come connects until somebody answers.
func (s *storm) come(d device, broker string, deadline time.Time) {
	for time.Now().Before(deadline) {
		began := time.Now()
		conn, code, err := connect(d, broker)
		s.mu.Lock()
		if err == nil {
			s.codes[fmt.Sprintf("%d", code)]++
			s.waits = append(s.waits, time.Since(began).Seconds())
			s.open = append(s.open, conn)
			s.mu.Unlock()
			return
		}
		s.retries++
		s.mu.Unlock()
		time.Sleep(time.Second + time.Duration(rand.Int64N(int64(time.Second))))
	}
	s.mu.Lock()
	s.unserved++
	s.mu.Unlock()
}

// look counts connections that were let in and did not last.
func (s *storm) look() {
	one := make([]byte, 1)
	for _, conn := range s.open {
		_ = conn.SetReadDeadline(time.Now().Add(50 * time.Microsecond))
		if _, err := conn.Read(one); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			s.cut++
		}
	}
}

func connect(d device, broker string) (net.Conn, byte, error) {
	conn, err := net.DialTimeout("tcp", broker, patience)
	if err != nil {
		return nil, 0, err
	}
	code, err := shake(conn, d)
	if err != nil {
		_ = conn.Close()
		return nil, 0, err
	}
	return conn, code, nil
}

// shake sends CONNECT and reads the CONNACK.
func shake(conn net.Conn, d device) (byte, error) {
	pk := packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Connect},
		ProtocolVersion: 4,
		Connect: packets.ConnectParams{
			ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 600, ClientIdentifier: d.id,
			UsernameFlag: true, Username: []byte(d.token),
		},
	}
	var sent bytes.Buffer
	if err := pk.ConnectEncode(&sent); err != nil {
		return 0, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(sent.Bytes()); err != nil {
		return 0, err
	}
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return 0, err
	}
	var header packets.FixedHeader
	if err := header.Decode(head[0]); err != nil || header.Type != packets.Connack {
		return 0, errors.New("no CONNACK")
	}
	rest := make([]byte, head[1])
	if _, err := io.ReadFull(conn, rest); err != nil {
		return 0, err
	}
	answer := packets.Packet{FixedHeader: header, ProtocolVersion: 4}
	if err := answer.ConnackDecode(rest); err != nil {
		return 0, err
	}
	_ = conn.SetDeadline(time.Time{})
	return answer.ReasonCode, nil
}
