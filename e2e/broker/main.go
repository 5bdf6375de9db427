// Command vernemq is the LiveConnect dev broker: a stand-in that speaks VerneMQ's contract, used
// where VerneMQ itself cannot be had. It is not VerneMQ. It is started like it
// (`vernemq console -noshell -noinput`) and reads the same vernemq.conf, vm.args and advanced.config.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"liveconnect.io/e2e/broker/internal/broker"
	"liveconnect.io/e2e/broker/internal/cluster"
	"liveconnect.io/e2e/broker/internal/config"
	"liveconnect.io/e2e/broker/internal/httpapi"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
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

// generate is `vernemq config generate`: the only way to hear what is wrong with vernemq.conf. As
// recorded, it exits 0 whatever it says.
func generate() {
	if _, err := config.Load(filepath.Join(base(), "etc")); err != nil {
		now := time.Now().UTC().Format("2006-01-02T15:04:05.000000+00:00")
		fmt.Printf("%s [error] Error generating configuration in phase transform_datatypes\n", now)
		fmt.Printf("%s [error] %v\n", now, err)
	}
}

func run() error {
	if len(os.Args) > 2 && os.Args[1] == "config" && os.Args[2] == "generate" {
		generate()
		return nil
	}
	fmt.Println("LiveConnect dev broker: a stand-in speaking VerneMQ's contract, not VerneMQ")
	conf, err := config.Load(filepath.Join(base(), "etc"))
	if err != nil {
		return errors.New("Error generating config with cuttlefish\n  run `vernemq config generate -l debug` for more information.")
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
