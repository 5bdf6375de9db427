package broker

import (
	"errors"
	"net"
	"sync"
)

// ceiling is a listener that accepts nobody while it has as many connections as it may have: who comes
// waits in the kernel's queue, without an answer, until another goes (recorded).
type ceiling struct {
	net.Listener
	taken  chan struct{}
	closed chan struct{}
	once   sync.Once
}

// bounded returns the listener with at most so many connections; -1: any number. Those of WebSockets
// have no bound here, as at VerneMQ: cowboy takes an upgraded connection out of ranch's count (seen).
func bounded(open net.Listener, most int) net.Listener {
	if most < 0 {
		return open
	}
	return &ceiling{Listener: open, taken: make(chan struct{}, most), closed: make(chan struct{})}
}

// Accept waits for room, then for a connection.
func (c *ceiling) Accept() (net.Conn, error) {
	select {
	case c.taken <- struct{}{}:
	case <-c.closed:
		return nil, net.ErrClosed
	}
	conn, err := c.Listener.Accept()
	if err != nil {
		<-c.taken
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, errors.New("not a TCP connection")
	}
	return &counted{TCPConn: tcp, leave: sync.OnceFunc(func() { <-c.taken })}, nil
}

// Close lets nobody in any more; connections stay.
func (c *ceiling) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Listener.Close()
}

// counted is a connection that makes room when it ends.
type counted struct {
	*net.TCPConn
	leave func()
}

// Close ends it.
func (c *counted) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}
