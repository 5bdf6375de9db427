package main

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
)

// keySet maps key ids to the RSA keys of a JSON Web Key Set (RFC 7517).
type keySet map[string]*rsa.PublicKey

func parseKeySet(document []byte) (keySet, error) {
	var content struct {
		Keys []struct{ Kty, Kid, N, E string }
	}
	if err := json.Unmarshal(document, &content); err != nil {
		return nil, err
	}
	keys := keySet{}
	for _, key := range content.Keys {
		if key.Kty != "RSA" {
			continue
		}
		n, err := base64.RawURLEncoding.DecodeString(key.N)
		if err != nil {
			return nil, err
		}
		e, err := base64.RawURLEncoding.DecodeString(key.E)
		if err != nil {
			return nil, err
		}
		keys[key.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	if len(keys) == 0 {
		return nil, errors.New("no RSA key in the key set")
	}
	return keys, nil
}
