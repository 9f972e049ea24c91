// Command load sends one request again and again over many TLS connections to a server on this machine: as fast as it
// can, at a fixed rate whether or not the server keeps up, or slowly.
//
// It prints "connected" when all connections are open, and then a line for each request: when it was sent (µs since the epoch), the status of its answer, how long that
// took (µs), and how many bytes of a body arrived. The status is -1 when there was no whole answer, and 0 when there
// was none yet at the end of the time.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	pieceBytes = 16 << 10
	// A slow reader must not hide behind a large buffer of its kernel.
	slowBufferBytes = 64 << 10
	openTimeout     = 30 * time.Second
	answerTimeout   = 30 * time.Second
	openedAtOnce    = 32
	unfinished      = 0
	failed          = -1
)

type load struct {
	address     string
	tls         *tls.Config
	head        []byte
	body        int64
	connections int
	requests    int     // of each connection; 0 for as many as there is time for
	rate        float64 // of all connections together; 0 for as fast as answers come
	pace        int64   // bytes a second in which bodies are sent and read; 0 for as fast as it goes
	duration    time.Duration
	begin, end  time.Time
	warm        bool
	hold        time.Duration // how long connections stay open after their last request
	results     chan result
}

type result struct {
	sent   time.Time
	status int
	took   time.Duration
	bytes  int64
}

func main() {
	address := flag.String("address", "", "127.0.0.1:port")
	authority := flag.String("authority", "", "PEM file")
	head := flag.String("head", "", "file with the request line and the header fields")
	body := flag.Int64("body", 0, "bytes of the request's body")
	connections := flag.Int("connections", 1, "how many")
	requests := flag.Int("requests", 0, "of each connection")
	rate := flag.Float64("rate", 0, "requests a second of all connections together")
	pace := flag.Int64("pace", 0, "bytes a second of each body")
	duration := flag.Float64("seconds", 0, "how long")
	warm := flag.Bool("warm", false, "whether connections begin with a request that does not count")
	hold := flag.Float64("hold", 0, "seconds that connections stay open after their last request")
	flag.Parse()
	if host, _, err := net.SplitHostPort(*address); err != nil || !net.ParseIP(host).IsLoopback() {
		log.Fatal("-address: not a port of this machine")
	}
	pem, err := os.ReadFile(*authority)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	request, err := os.ReadFile(*head)
	if err != nil {
		log.Fatal(err)
	}
	l := &load{
		address: *address, tls: &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12},
		head: request, body: *body, warm: *warm, connections: *connections, requests: *requests, rate: *rate, pace: *pace,
		duration: seconds(*duration), hold: seconds(*hold), results: make(chan result, 1024),
	}
	l.run()
}

func (l *load) run() {
	opened := l.openAll()
	fmt.Println("connected")
	l.begin = time.Now()
	l.end = l.begin.Add(l.duration)
	var clients sync.WaitGroup
	for number, connection := range opened {
		clients.Add(1)
		go func(number int, connection *client) {
			defer clients.Done()
			l.client(number, connection)
		}(number, connection)
	}
	go func() {
		clients.Wait()
		close(l.results)
	}()
	l.print()
}

// openAll opens every connection; if it is asked to, with a first request over each, so that the server has everything
// ready that it makes for a connection.
func (l *load) openAll() []*client {
	opened := make([]*client, l.connections)
	places := make(chan struct{}, openedAtOnce)
	var opening sync.WaitGroup
	for number := range opened {
		places <- struct{}{}
		opening.Add(1)
		go func(number int) {
			defer opening.Done()
			defer func() { <-places }()
			connection, err := l.open()
			if err != nil {
				log.Fatal(err)
			}
			if l.warm {
				if _, err := connection.ask(new(int64)); err != nil {
					log.Fatal("the first request of a connection: ", err)
				}
			}
			opened[number] = connection
		}(number)
	}
	opening.Wait()
	return opened
}

// print writes results as they come, ten times a second: who reads them waits for some of them.
func (l *load) print() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	tick := time.NewTicker(100 * time.Millisecond)
	for {
		select {
		case r, open := <-l.results:
			if !open {
				return
			}
			fmt.Fprintf(out, "%d\t%d\t%d\t%d\n", r.sent.UnixMicro(), r.status, r.took.Microseconds(), r.bytes)
		case <-tick.C:
			out.Flush()
		}
	}
}

// client sends requests over one connection, which it opens anew when it breaks.
func (l *load) client(number int, connection *client) {
	defer func() {
		if connection != nil {
			time.Sleep(l.hold)
			connection.Close()
		}
	}()
	for n := 0; l.requests == 0 || n < l.requests; n++ {
		if l.rate > 0 {
			due := (float64(n)*float64(l.connections) + float64(number)) / l.rate
			time.Sleep(time.Until(l.begin.Add(seconds(due))))
		}
		if !time.Now().Before(l.end) {
			return
		}
		if connection == nil {
			opened, err := l.open()
			if err != nil {
				l.results <- result{sent: time.Now(), status: failed}
				time.Sleep(100 * time.Millisecond)
				continue
			}
			connection = opened
		}
		done := connection.exchange()
		l.results <- done
		if done.status <= 0 || connection.closing {
			connection.Close()
			connection = nil
		}
	}
}

type client struct {
	*tls.Conn
	load    *load
	reader  *bufio.Reader
	closing bool
}

func (l *load) open() (*client, error) {
	plain, err := net.DialTimeout("tcp", l.address, openTimeout)
	if err != nil {
		return nil, err
	}
	if l.pace > 0 {
		if err := plain.(*net.TCPConn).SetReadBuffer(slowBufferBytes); err != nil {
			return nil, err
		}
	}
	// This is for the first request too; each further one has a deadline of its own.
	_ = plain.SetDeadline(time.Now().Add(openTimeout))
	connection := tls.Client(plain, l.tls)
	if err := connection.Handshake(); err != nil {
		plain.Close()
		return nil, err
	}
	return &client{Conn: connection, load: l, reader: bufio.NewReaderSize(connection, pieceBytes)}, nil
}

// exchange sends the request and reads its answer. Answers to what was sent in time are awaited for as long as it takes
// the server to refuse; bodies that flow slowly end with the time.
func (c *client) exchange() result {
	wait := answerTimeout
	if c.load.pace > 0 {
		wait = 0
	}
	_ = c.SetDeadline(c.load.end.Add(wait))
	r := result{sent: time.Now()}
	status, err := c.ask(&r.bytes)
	r.status, r.took = status, time.Since(r.sent)
	if err != nil {
		r.status = failed
		if errors.Is(err, os.ErrDeadlineExceeded) && c.load.pace > 0 {
			r.status = unfinished
		}
	}
	return r
}

func (c *client) ask(received *int64) (int, error) {
	if err := c.send(); err != nil {
		return 0, err
	}
	lines := textproto.NewReader(c.reader)
	first, err := lines.ReadLine()
	if err != nil {
		return 0, err
	}
	fields, err := lines.ReadMIMEHeader()
	if err != nil {
		return 0, err
	}
	words := strings.SplitN(first, " ", 3)
	if len(words) < 2 {
		return 0, errors.New("no status line")
	}
	status, err := strconv.Atoi(words[1])
	if err != nil {
		return 0, err
	}
	length, err := strconv.ParseInt(fields.Get("Content-Length"), 10, 64)
	if err != nil {
		return 0, err
	}
	c.closing = strings.EqualFold(fields.Get("Connection"), "close")
	return status, c.paced(length, func(size int64) error {
		n, err := io.CopyN(io.Discard, c.reader, size)
		*received += n
		return err
	})
}

// send sends the head together with the beginning of the body.
func (c *client) send() error {
	piece := make([]byte, min(c.load.body, pieceBytes))
	if _, err := c.Write(append(append([]byte{}, c.load.head...), piece...)); err != nil {
		return err
	}
	return c.paced(c.load.body-int64(len(piece)), func(size int64) error {
		_, err := c.Write(piece[:size])
		return err
	})
}

// paced moves bytes piece by piece, not faster than the load's pace.
func (c *client) paced(size int64, move func(int64) error) error {
	begun := time.Now()
	for moved := int64(0); moved < size; {
		next := min(size-moved, pieceBytes)
		if err := move(next); err != nil {
			return err
		}
		moved += next
		if c.load.pace > 0 {
			time.Sleep(time.Until(begun.Add(seconds(float64(moved) / float64(c.load.pace)))))
		}
	}
	return nil
}

func seconds(number float64) time.Duration {
	return time.Duration(number * float64(time.Second))
}
