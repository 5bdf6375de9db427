package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Named as the auth service's, so that the bench reads both alike.
var (
	decisions = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "liveconnect_webhook_decisions_total", Help: "Decisions.",
	}, []string{"hook", "pool", "outcome", "reason"})
	tokenChecks = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "liveconnect_webhook_token_checks", Help: "Token checks by where the answer came from.",
	}, []string{"source"})
	durations = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "liveconnect_webhook_hook_duration_seconds", Help: "Time to answer a hook.",
		Buckets: []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 2.5, 5},
	}, []string{"hook"})
)
