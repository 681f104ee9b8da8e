// Parses bytes with Go's net/http: the server of Prometheus and most receivers, and its client.
//
// It reads frames from its standard input, and writes a line of JSON for each. A frame is a byte for
// its kind, the length of the data in four bytes (big endian), and the data:
//
//	Q  the data of a client on one connection: the result is each request that a server reads
//	A  the method of a request on a line, and a server's answer: the result is what a client reads
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// message is a parsed request or answer; bytes are base64 in JSON.
type message struct {
	Method  []byte
	Target  []byte
	Host    []byte
	Minor   int
	Status  int
	Fields  [][2][]byte
	Body    []byte
	Broken  bool // the body does not end as its framing requires
	Closes  bool
	Trailer int
}

type understood struct {
	Messages []message
	Answered []byte // the answer of a server
	Problem  string
}

func main() {
	log.SetOutput(io.Discard)
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		var head [5]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		data := make([]byte, binary.BigEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(in, data); err != nil {
			return
		}
		found := requests(data)
		if head[0] == 'A' {
			method, rest, _ := bytes.Cut(data, []byte("\n"))
			found = answer(string(method), rest)
		}
		if err := json.NewEncoder(out).Encode(found); err != nil {
			log.Panic(err)
		}
		out.Flush()
	}
}

// requests lets a server read a connection.
func requests(data []byte) understood {
	connection := &connection{in: bytes.NewReader(data), closed: make(chan struct{})}
	var found understood
	server := &http.Server{DisableGeneralOptionsHandler: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		found.Messages = append(found.Messages, message{
			Method: []byte(r.Method), Target: []byte(r.RequestURI), Host: []byte(r.Host), Minor: r.ProtoMinor,
			Fields: fields(r.Header), Body: body, Broken: err != nil, Closes: r.Close, Trailer: len(r.Trailer),
		})
	})}
	server.Serve(&listener{connection: connection})
	<-connection.closed
	found.Answered = connection.out.Bytes()
	return found
}

// answer lets a client read an answer.
func answer(method string, data []byte) understood {
	reader := bufio.NewReader(bytes.NewReader(data))
	for {
		response, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			return understood{Problem: err.Error()}
		}
		if response.StatusCode < 200 && response.StatusCode != 101 {
			continue
		}
		body, err := io.ReadAll(response.Body)
		rest, _ := io.ReadAll(reader)
		return understood{Answered: rest, Messages: []message{{
			Status: response.StatusCode, Minor: response.ProtoMinor, Fields: fields(response.Header),
			Body: body, Broken: err != nil, Closes: response.Close, Trailer: len(response.Trailer),
		}}}
	}
}

func fields(header http.Header) [][2][]byte {
	found := [][2][]byte{}
	for name, values := range header {
		for _, value := range values {
			found = append(found, [2][]byte{[]byte(name), []byte(value)})
		}
	}
	return found
}

// listener accepts one connection.
type listener struct{ connection *connection }

func (l *listener) Accept() (net.Conn, error) {
	if given := l.connection; given != nil {
		l.connection = nil
		return given, nil
	}
	return nil, errors.New("no more")
}
func (l *listener) Close() error   { return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// connection is a connection of a client that has sent its data and closed its side.
type connection struct {
	in     *bytes.Reader
	out    bytes.Buffer
	once   sync.Once
	closed chan struct{}
}

func (c *connection) Read(to []byte) (int, error) { return c.in.Read(to) }
func (c *connection) Write(data []byte) (int, error) {
	return c.out.Write(data)
}
func (c *connection) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}
func (c *connection) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *connection) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *connection) SetDeadline(time.Time) error      { return nil }
func (c *connection) SetReadDeadline(time.Time) error  { return nil }
func (c *connection) SetWriteDeadline(time.Time) error { return nil }
