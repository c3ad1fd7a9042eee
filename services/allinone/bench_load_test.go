package allinone_test

import (
	"bufio"
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rounds is how often the variants of a benchmark take turns: what disturbs the machine meanwhile disturbs all of them.
const rounds = 9

// mostOps bounds a window, so that tables stay of the size of a small company's.
const mostOps = 4_000

// window is how long a variant runs in each round: a third of -benchtime, of one second if that is not a time.
func window() time.Duration {
	if d, err := time.ParseDuration(flag.Lookup("test.benchtime").Value.String()); err == nil {
		return d / 3
	}
	return time.Second / 3
}

// sample is what one window, or several, measured.
type sample struct {
	rate float64 // operations per second
	took []time.Duration
	cpu  map[string]time.Duration
}

// cpuMS is the CPU time per operation of processes by their name, in milliseconds.
func (s sample) cpuMS(name string) float64 {
	return s.cpu[name].Seconds() * 1000 / float64(len(s.took))
}

// subject is one variant of a benchmark. Each client calls connect once and then op again and again.
type subject struct {
	connect func() (op func() error, end func(), err error)
	// cpu reads the CPU time that processes have used, by name.
	cpu func() map[string]time.Duration
	// ops bounds a window instead of mostOps where it is not zero.
	ops int64
}

// load runs the subject from a number of clients for a window.
func load(clients int, length time.Duration, s subject) (sample, error) {
	ops := make([]func() error, clients)
	for i := range clients {
		op, end, err := s.connect()
		if err != nil {
			return sample{}, err
		}
		ops[i] = op
		defer end()
	}
	took, errs := make([][]time.Duration, clients), make([]error, clients)
	var left atomic.Int64
	left.Store(cmp.Or(s.ops, mostOps))
	var wg sync.WaitGroup
	var before map[string]time.Duration
	if s.cpu != nil {
		before = s.cpu()
	}
	began := time.Now()
	for i := range clients {
		wg.Go(func() {
			for at := time.Now(); at.Sub(began) < length && left.Add(-1) >= 0; {
				if errs[i] = ops[i](); errs[i] != nil {
					return
				}
				now := time.Now()
				took[i], at = append(took[i], now.Sub(at)), now
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	out := sample{took: slices.Concat(took...), cpu: map[string]time.Duration{}}
	for _, err := range errs {
		if err != nil {
			return sample{}, err
		}
	}
	out.rate = float64(len(out.took)) / elapsed.Seconds()
	if s.cpu != nil {
		for name, after := range s.cpu() {
			out.cpu[name] = after - before[name]
		}
	}
	return out, nil
}

// takeTurns runs every subject once to warm up, and then all of them in turn. The rates that it returns are medians of the
// rounds, everything else is of all rounds together.
func takeTurns(b *testing.B, clients int, subjects ...subject) []sample {
	b.Helper()
	return takeTurnsOf(b, clients, rounds, window(), subjects...)
}

// takeTurnsOf is takeTurns with other rounds and windows.
func takeTurnsOf(b *testing.B, clients, rounds int, window time.Duration, subjects ...subject) []sample {
	b.Helper()
	out, rates := make([]sample, len(subjects)), make([][]float64, len(subjects))
	for round := range rounds + 1 {
		for i, s := range subjects {
			got, err := load(clients, window, s)
			if err != nil {
				b.Fatal(err)
			}
			if round == 0 {
				out[i].cpu = map[string]time.Duration{}
				continue
			}
			rates[i] = append(rates[i], got.rate)
			out[i].took = append(out[i].took, got.took...)
			for name, used := range got.cpu {
				out[i].cpu[name] += used
			}
		}
	}
	for i := range out {
		out[i].rate = median(rates[i])
	}
	return out
}

func median(values []float64) float64 {
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

// quantile is the value below which a share of the durations lies, in milliseconds.
func quantile(durations []time.Duration, share float64) float64 {
	slices.Sort(durations)
	i := min(len(durations)-1, int(share*float64(len(durations))))
	return durations[i].Seconds() * 1000
}

// serial numbers the people of a run; token is one as text of a fixed length, which keeps messages equally long.
var serial atomic.Int64

const tokenLength = 12

func token() string { return fmt.Sprintf("q%0*d", tokenLength-1, serial.Add(1)) }

// placeholder stands in messages for the token.
const placeholder = "q00000000000"

// rawHTTP is a client that costs next to nothing, so that the two cores are left to what is measured: it sends prepared
// bytes on a connection of its own.
type rawHTTP struct {
	conn    net.Conn
	answers *bufio.Reader
	// request with the token to be written at some places.
	request []byte
	places  []int
}

func dialRaw(url, path, authorization string, body []byte) (*rawHTTP, error) {
	address := strings.TrimPrefix(url, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	head := "POST " + path + " HTTP/1.1\r\nHost: " + address + "\r\nAuthorization: Bearer " + authorization +
		"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	request := append([]byte(head), body...)
	return &rawHTTP{conn, bufio.NewReader(conn), request, placesOf(request, placeholder)}, nil
}

// post sends the message for the next person and reads the answer.
func (c *rawHTTP) post() error {
	name := token()
	for _, at := range c.places {
		copy(c.request[at:], name)
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// overREST is the subject that posts the body.
func overREST(url, path, authorization string, body []byte, cpu func() map[string]time.Duration) subject {
	return subject{cpu: cpu, connect: func() (func() error, func(), error) {
		c, err := dialRaw(url, path, authorization, body)
		if err != nil {
			return nil, nil, err
		}
		return c.post, func() { _ = c.conn.Close() }, nil
	}}
}

func placesOf(text []byte, word string) []int {
	var places []int
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte(word))
		if i < 0 {
			return places
		}
		places = append(places, from+i)
		from += i + len(word)
	}
}
