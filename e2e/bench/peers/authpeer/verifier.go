package main

import (
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	lru "github.com/hashicorp/golang-lru/v2"
)

// verified is what is remembered of a good token.
type verified struct {
	claims  jwt.MapClaims
	expires time.Time
}

// verifier checks access tokens: signature, algorithm, issuer, audience, times.
type verifier struct {
	parser     *jwt.Parser
	keys       keySet
	leeway     time.Duration
	remembered *lru.Cache[string, *verified]
}

func newVerifier(document []byte, issuer, audience string, leeway time.Duration, remember int) (*verifier, error) {
	keys, err := parseKeySet(document)
	if err != nil {
		return nil, err
	}
	remembered, err := lru.New[string, *verified](remember)
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithLeeway(leeway),
		jwt.WithExpirationRequired(),
	)
	return &verifier{parser: parser, keys: keys, leeway: leeway, remembered: remembered}, nil
}

// check verifies a token, or remembers that it did.
func (v *verifier) check(token string, now time.Time) (*verified, error) {
	if known, ok := v.remembered.Get(token); ok {
		if now.Before(known.expires.Add(v.leeway)) {
			tokenChecks.WithLabelValues("memory").Inc()
			return known, nil
		}
		v.remembered.Remove(token)
		return nil, jwt.ErrTokenExpired
	}
	tokenChecks.WithLabelValues("verification").Inc()
	claims := jwt.MapClaims{}
	if _, err := v.parser.ParseWithClaims(token, claims, v.key); err != nil {
		return nil, err
	}
	expires, err := claims.GetExpirationTime()
	if err != nil {
		return nil, err
	}
	good := &verified{claims: claims, expires: expires.Time}
	v.remembered.Add(token, good)
	return good, nil
}

func (v *verifier) key(token *jwt.Token) (any, error) {
	kid, _ := token.Header["kid"].(string)
	if key, ok := v.keys[kid]; ok {
		return key, nil
	}
	return nil, fmt.Errorf("no key %q", kid)
}
