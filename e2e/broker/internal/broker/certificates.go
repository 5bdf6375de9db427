package broker

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"sync"
	"time"

	"liveconnect.io/e2e/broker/internal/config"
)

// pemCheck is how often Erlang drops files from its cache that have changed since (118 s recorded).
const pemCheck = 120 * time.Second

// pemFile is what Erlang keeps of a file.
type pemFile struct {
	certificates [][]byte
	key          crypto.PrivateKey
	read         time.Time
}

// pemCache is Erlang's: one for all listeners, by file name. As recorded, a key in a file of its own
// is read anew for each handshake while its certificate comes from here, so after a change in place
// the two do not match; a file that holds both is kept or read as one.
type pemCache struct {
	mu    sync.Mutex
	files map[string]pemFile
}

func newPemCache() *pemCache {
	c := &pemCache{files: map[string]pemFile{}}
	go func() {
		for range time.Tick(pemCheck) {
			c.dropChanged()
		}
	}()
	return c
}

// Clear forgets every file.
func (c *pemCache) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files = map[string]pemFile{}
}

func (c *pemCache) dropChanged() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, file := range c.files {
		if info, err := os.Stat(name); err != nil || info.ModTime().After(file.read) {
			delete(c.files, name)
		}
	}
}

func (c *pemCache) get(name string) (pemFile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if file, ok := c.files[name]; ok {
		return file, nil
	}
	file, err := readPem(name)
	if err == nil {
		c.files[name] = file
	}
	return file, err
}

func readPem(name string) (pemFile, error) {
	file := pemFile{read: time.Now()}
	rest, err := os.ReadFile(name)
	if err != nil {
		return file, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return file, nil
		}
		switch block.Type {
		case "CERTIFICATE":
			file.certificates = append(file.certificates, block.Bytes)
		case "PRIVATE KEY":
			file.key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			file.key, err = x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			file.key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		}
		if err != nil {
			return file, err
		}
	}
}

// pair is a listener's certificate as Erlang puts it together.
func (c *pemCache) pair(o config.TLS) (*tls.Certificate, error) {
	file, err := c.get(o.CertFile)
	if err != nil {
		return nil, err
	}
	key := file.key
	if o.KeyFile != o.CertFile {
		own, err := readPem(o.KeyFile)
		if err != nil {
			return nil, err
		}
		key = own.key
	}
	if len(file.certificates) == 0 || key == nil {
		return nil, errors.New("no certificate or no key")
	}
	return &tls.Certificate{Certificate: file.certificates, PrivateKey: key}, nil
}

// tlsConfig makes the options of one handshake after the other.
func (c *pemCache) tlsConfig(o config.TLS) *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}
	for _, version := range o.Versions {
		switch version {
		case "tlsv1.2":
			base.MinVersion = tls.VersionTLS12
		case "tlsv1.3":
			base.MaxVersion = tls.VersionTLS13
		}
	}
	base.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair(o) }
	if !o.RequireCertificate {
		return base
	}
	base.ClientAuth = tls.RequireAndVerifyClientCert
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		authorities, err := c.get(o.CAFile)
		if err != nil {
			return nil, err
		}
		one := base.Clone()
		one.GetConfigForClient = nil
		one.ClientCAs = x509.NewCertPool()
		for _, der := range authorities.certificates {
			if parsed, err := x509.ParseCertificate(der); err == nil {
				one.ClientCAs.AddCert(parsed)
			}
		}
		return one, nil
	}
	return base
}
