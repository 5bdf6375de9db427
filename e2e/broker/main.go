// Command vernemq is the LiveConnect dev broker: a stand-in that speaks VerneMQ's contract, used
// where VerneMQ itself cannot be had. It is not VerneMQ. It is started like it
// (`vernemq console -noshell -noinput`) and reads the same vernemq.conf, vm.args and advanced.config.
package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"liveconnect.io/e2e/broker/internal/broker"
	"liveconnect.io/e2e/broker/internal/cluster"
	"liveconnect.io/e2e/broker/internal/config"
	"liveconnect.io/e2e/broker/internal/httpapi"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// base is where etc, data and log are: /vernemq as in the official image, unless told otherwise.
func base() string {
	if dir := os.Getenv("DEV_BROKER_BASE"); dir != "" {
		return dir
	}
	return "/vernemq"
}

func run() error {
	fmt.Println("LiveConnect dev broker: a stand-in speaking VerneMQ's contract, not VerneMQ")
	conf, err := config.Load(filepath.Join(base(), "etc"))
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelInfo}))
	data := filepath.Join(base(), "data")
	node, err := cluster.New(conf, data, log)
	if err != nil {
		return err
	}
	server, err := broker.New(conf, node, data, log)
	if err != nil {
		return err
	}
	node.Attach(server)
	if err := node.Listen(); err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	node.OnLeft(func() { close(ended) })
	if err := httpapi.Serve(conf, node, server); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-signals:
		// As recorded: clients are cut at once, no hook is called, queues stay on disk.
		server.Stop()
	case <-ended:
		log.Info("left the cluster")
		server.Stop()
	}
	return nil
}
